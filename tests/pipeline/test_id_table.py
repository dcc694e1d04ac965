"""Ids in arrays answer as a dict does."""

import random
from hashlib import blake2b

import numpy as np
import pytest

from opinionwatch.pipeline.contracts import content_id
from opinionwatch.pipeline.id_table import IdTable


def names(count: int, salt: str = "") -> list[bytes]:
    """Ids as content makes them."""
    return [blake2b(f"{salt}{number}".encode(), digest_size=16).digest() for number in range(count)]


def told(table: IdTable) -> dict[bytes, int]:
    """Everything in it."""
    ids = table.ids().tobytes()
    return {ids[16 * at : 16 * at + 16]: number for at, number in enumerate(table.column("tick").tolist())}


def test_a_table_that_grows_and_forgets_holds_what_a_dict_holds() -> None:
    chance, table, known = random.Random(7), IdTable(tick=np.int32), dict[bytes, int]()
    pool = names(3000)
    for step in range(20_000):
        name = chance.choice(pool[: 100 + step // 5])
        place, new = table.put(name)
        assert new == (name not in known)
        assert table.get("tick", place) == known.get(name, 0)
        table.set("tick", place, step)
        known[name] = step
        if step % 3001 == 3000:
            table.keep(table.column("tick") > step - 900)
            known = {name: at for name, at in known.items() if at > step - 900}
    assert len(table) == len(known) > 500
    assert told(table) == known
    assert [name in table for name in pool] == [name in known for name in pool]


def test_ids_that_begin_alike_are_told_apart() -> None:
    table = IdTable(tick=np.int32)
    alike = [bytes([255] * 8) + number.to_bytes(8) for number in range(500)]
    for number, name in enumerate(alike):
        table.set("tick", table.put(name)[0], number)
    assert told(table) == {name: number for number, name in enumerate(alike)}
    assert bytes([255] * 16) not in table
    assert bytes(16) not in table


def test_an_id_of_nothing_but_zeros_is_an_id() -> None:
    table = IdTable(tick=np.int32)
    assert table.find(bytes(16)) == -1
    assert table.put(bytes(16)) == (0, True)
    assert table.put(bytes(16)) == (0, False)


def test_a_table_is_restored_from_what_it_held() -> None:
    table, copy = IdTable(tick=np.int32, bits=np.uint8), IdTable(tick=np.int32, bits=np.uint8)
    for number, name in enumerate(names(1000)):
        place, _ = table.put(name)
        table.set("tick", place, -number)
        table.set("bits", place, number % 256)
    copy.fill(table.ids(), {"tick": table.column("tick"), "bits": table.column("bits")})
    assert told(copy) == told(table)
    assert copy.get("bits", copy.find(names(1000)[300])) == 300 % 256
    with pytest.raises(ValueError, match="not of one length"):
        copy.fill(table.ids(), {"tick": table.column("tick"), "bits": np.zeros(3, np.uint8)})


def test_single_ids_are_dropped_and_a_whole_column_is_changed() -> None:
    table = IdTable(tick=np.int32)
    for name in names(100):
        table.put(name)
    table.drop([*names(100)[:40], *names(5, "strangers ")])
    assert sorted(told(table)) == sorted(names(100)[40:])
    table.change("tick", np.arange(60))
    assert sorted(told(table).values()) == list(range(60))


def test_names_that_run_together_have_ids_of_their_own() -> None:
    assert content_id("ab", "c") != content_id("a", "bc")
    assert len(bytes.fromhex(content_id("kite", "\ud800"))) == 16
