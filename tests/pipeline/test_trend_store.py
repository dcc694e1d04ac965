"""A saved trend state is whole, stands at its offset, and belongs to one process."""

import pytest

from opinionwatch.pipeline.log import Entry, FencedError
from opinionwatch.pipeline.log_memory import MemoryLog
from opinionwatch.pipeline.trend_store import PIECE_BYTES, DamagedError, Saved, TrendStore


def store(log: MemoryLog) -> TrendStore:
    return TrendStore(lambda partition: log.owned(f"trend.{partition}"), log)


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, 3 * PIECE_BYTES + 7])
def test_a_state_of_any_size_comes_back_with_its_offset(size: int) -> None:
    log = MemoryLog()
    saved = Saved(42, bytes(number % 251 for number in range(size)))
    mine = store(log)
    assert mine.take_over(1) is None
    mine.save(1, saved)
    assert store(log).take_over(1) == saved
    assert store(log).take_over(0) is None


def test_a_smaller_state_leaves_nothing_of_a_larger_one() -> None:
    log = MemoryLog()
    mine = store(log)
    mine.take_over(0)
    mine.save(0, Saved(1, b"x" * (2 * PIECE_BYTES)))
    mine.save(0, Saved(2, b"small"))
    assert store(log).take_over(0) == Saved(2, b"small")


def test_the_owner_before_can_write_nothing_any_more() -> None:
    log = MemoryLog()
    first, second = store(log), store(log)
    first.take_over(0)
    first.save(0, Saved(1, b"first"))
    assert second.take_over(0) == Saved(1, b"first")
    with pytest.raises(FencedError):
        first.save(0, Saved(2, b"zombie"))
    with pytest.raises(FencedError):
        first.append(0, [Entry("alerts", 0, b"zombie")])
    second.save(0, Saved(3, b"second"))
    assert store(log).take_over(0) == Saved(3, b"second")
    assert list(log.stretch("alerts", 0)) == []


def test_a_partition_that_comes_back_is_owned_anew() -> None:
    log = MemoryLog()
    first, second = store(log), store(log)
    first.take_over(0)
    second.take_over(0)
    first.take_over(0)
    first.save(0, Saved(1, b"mine again"))
    assert second.take_over(0) == Saved(1, b"mine again")


@pytest.mark.parametrize(
    ("key", "value"), [(b"head", b"{}"), (b"head", b"no JSON"), (b"piece/0", b"other"), (b"piece/0", None)]
)
def test_a_damaged_state_is_refused_and_never_half_used(key: bytes, value: bytes | None) -> None:
    log = MemoryLog()
    mine = store(log)
    mine.take_over(0)
    mine.save(0, Saved(1, b"state"))
    log.append([Entry("trend", 0, value, key)])
    with pytest.raises(DamagedError, match="partition 0"):
        store(log).take_over(0)
