"""Versions of one text: whatever the order they arrive in, the same one stands, in the store and in the windows."""

from datetime import timedelta
from itertools import permutations
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.contracts import Document, Drop
from opinionwatch.pipeline.contracts_changes import Deletion
from opinionwatch.pipeline.ledger_sqlite import SqliteLedger
from opinionwatch.pipeline.ports import Item
from opinionwatch.pipeline.revisions import latest
from opinionwatch.pipeline.store_sqlite import SqliteStore
from opinionwatch.pipeline.versions import DELETED, version_of
from tests.pipeline.rig import BEGIN, TABLES, Rig, pages, post, rows
from tests.pipeline.sample import NOON, dead, document, scored

AT = BEGIN + timedelta(hours=1)
GOOD, BAD, OFF = "The Lumora screen is great", "The Lumora screen is awful", "nothing of interest"
VERSIONS: list[dict[str, object]] = [
    {"text": BAD, "edited_at": None},
    {"text": GOOD, "edited_at": (AT + timedelta(minutes=3)).isoformat()},
    {"text": OFF, "edited_at": (AT + timedelta(minutes=5)).isoformat()},
    {"text": BAD, "edited_at": (AT + timedelta(minutes=9)).isoformat()},
]
GONE: dict[str, object] = {"text": "", "deleted": True}
SAID = "SELECT id, json_extract(CAST(body AS TEXT), '$.document.text') FROM documents"
COUNTED = "SELECT watchlist, start, source, aspect, posts, voices, negative, positive FROM windows WHERE posts > 0"


def told(version: dict[str, object], minutes: int) -> Item:
    """A version of one post as it arrives, so many minutes after its publication."""
    return post(7, **{"published_at": AT.isoformat(), **version}, at=AT + timedelta(minutes=minutes))  # type: ignore[arg-type]  # its fields


Rows = list[tuple[object, ...]]


def standing(folder: Path, items: list[Item], sizes: list[int]) -> tuple[Rows, Rows, Rows]:
    """What the store and the windows say in the end."""
    rig = Rig(folder)
    rig.play(pages(items, sizes))
    rig.finish()
    ledger = rows(rig.path, TABLES["ledger"])
    archive = SqliteArchive(rig.path)
    assert all(row.gap == 0 and row.pending == 0 for row in archive.ledger()) and archive.misfiled() == 0
    return rows(rig.path, SAID), rows(rig.path, COUNTED), ledger


@pytest.mark.parametrize("gone", [False, True])
def test_in_any_order_the_same_version_stands_and_is_counted(gone: bool, tmp_path: Path) -> None:
    versions = [*VERSIONS[1:], GONE] if gone else VERSIONS[:3]
    ends = []
    for number, order in enumerate(permutations(versions)):
        items = [told(version, 10 + minute) for minute, version in enumerate(order)]
        ends.append(standing(tmp_path / str(number), items, [1] * 9))
    assert all(end == ends[0] for end in ends)
    said, counted, [(*_, state, rule)] = ends[0]
    assert (said, counted, state, rule) == ([], [], "dropped", "deleted" if gone else "no-watchlist")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=st.lists(st.integers(0, 3), min_size=1, max_size=7),
    sizes=st.lists(st.integers(1, 3), max_size=7),
    minutes=st.lists(st.integers(0, 4), min_size=7, max_size=7),
    start=st.sampled_from([0, 1]),
)
def test_whatever_arrives_again_and_however_it_is_cut_the_latest_edit_stands(
    order: list[int], sizes: list[int], minutes: list[int], start: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    order = [max(each, start) for each in order]
    arrivals = [(sum(minutes[: place + 1]) + 10, VERSIONS[each]) for place, each in enumerate(order)]
    items = [told(version, minute) for minute, version in arrivals]
    said, counted, _ = standing(tmp_path_factory.mktemp("cut"), items, sizes)
    text = VERSIONS[max(order)]["text"]
    if text == OFF:
        assert (said, counted) == ([], [])
        return
    assert [each[1] for each in said] == [text]
    [(_, start_of, _, _, posts, voices, negative, positive)] = counted
    assert str(start_of).startswith(AT.isoformat()[:16])
    assert (posts, voices, negative, positive) == (1, 1, int(text == BAD), int(text == GOOD))


def test_what_a_sender_puts_right_is_counted_once_and_its_dead_letter_is_gone(tmp_path: Path) -> None:
    broken = Item(orjson.dumps({"native_id": "post-7"}), AT + timedelta(minutes=1))
    rig = Rig(tmp_path)
    for item in (broken, told({"text": BAD}, 2), told({"text": BAD}, 3), broken):
        rig.play(pages([item], [1]))
    rig.finish()
    assert [text for _, text in rows(rig.path, SAID)] == [BAD]
    assert [row[4:] for row in rows(rig.path, COUNTED)] == [(1, 1, 1, 0)]
    [row] = SqliteArchive(rig.path).ledger()
    assert (row.accepted, row.indexed, row.dead, row.gap, row.duplicates) == (1, 1, 0, 0, 2)
    assert SqliteArchive(rig.path).misfiled() == 0


def test_a_daemon_that_died_with_what_was_put_right_takes_it_again(tmp_path: Path) -> None:
    whole = document(1, accepted_at=NOON + timedelta(hours=1))
    letter = dead(1).model_copy(update={"id": whole.id})
    store = SqliteStore(tmp_path / "opinionwatch.db")
    ledger = SqliteLedger(store)
    [first, right] = ledger.admit([letter, whole])
    assert ledger.admit([letter, whole]) == [first, right], "nothing was written"
    ledger.write([letter, scored(right)])  # type: ignore[arg-type]  # it is a document
    assert ledger.admit([whole]) == [right], "the log is read again from there"
    store.close()


def test_figures_are_updated_as_weights_and_are_no_documents(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    items = [told({"text": BAD, "likes": likes}, minute) for minute, likes in enumerate((1, 40, 7))]
    rig.play(pages(items[:1], [1]))
    before = rows(rig.path, TABLES["windows"])
    rig.play(pages(items[1:], [1]))
    rig.finish()
    [(body,)] = rows(rig.path, "SELECT body FROM documents")
    figures = orjson.loads(bytes(body))["document"]["engagement"]  # type: ignore[call-overload]  # a BLOB
    assert figures["likes"] == 7, "the last that was seen, not the highest"
    [after] = rows(rig.path, TABLES["windows"])
    assert before in ([], [after])
    assert (after[4], after[5]) == (1, 1)


def test_a_tombstone_keeps_id_time_and_rule_and_neither_text_nor_author(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.play(pages([told({"text": f"{BAD} zanzibar", "author": "wilhelmina"}, 1), told(GONE, 2)], [1, 1]))
    rig.play(pages([told({"text": f"{GOOD} zanzibar", "edited_at": (AT + timedelta(hours=1)).isoformat()}, 90)], [1]))
    rig.finish()
    [row] = rows(rig.path, "SELECT * FROM ledger")
    assert not [value for value in row if "wilhelm" in str(value) or "zanzibar" in str(value)]
    assert [rows(rig.path, f"SELECT count(*) FROM {table}") for table in ("documents", "mentions")] == [[(0,)]] * 2
    assert SqliteArchive(rig.path).dropped() == {"deleted": 1}
    assert rows(rig.path, COUNTED) == []


def test_of_one_batch_only_the_outcome_of_the_latest_version_is_written() -> None:
    first = scored(document(1))
    later = document(1).model_copy(update={"edited_at": NOON + timedelta(hours=1)})
    dropped = Drop(id=later.id, source="s", accepted_at=NOON, rule="no-watchlist", version=later.version)
    assert latest([first, dropped]) == [dropped] == latest([dropped, first])


def test_a_deletion_is_above_every_version() -> None:
    gone = Deletion(id="1", tenant="t", source="s", source_kind="k", instance="i", accepted_at=NOON)
    edited: Document = document(1).model_copy(update={"edited_at": NOON.replace(year=2100)})
    assert 0 == document(1).version < edited.version < gone.version == DELETED
    assert version_of(NOON, "a") != version_of(NOON, "b"), "of one moment, the contents decide"
