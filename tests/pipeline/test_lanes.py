"""A trend partition goes on when every lane has passed, and not one moment earlier."""

from datetime import UTC, datetime, timedelta

from opinionwatch.pipeline.lanes import Lanes
from opinionwatch.pipeline.log_records import Mark
from opinionwatch.pipeline.ticks import Away

T = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def mark(partition: int, minutes: int, ingest: str = "one", *, assumed: bool = False) -> Mark:
    return Mark(ingest=ingest, partition=partition, up_to=T + minutes * MINUTE, assumed=assumed)


def test_nothing_is_passed_before_every_lane_was_heard_of() -> None:
    lanes = Lanes(3)
    for partition in range(3):
        assert lanes.up_to() is None
        lanes.take(mark(partition, 5 + partition), T)
    assert lanes.up_to() == T + 5 * MINUTE


def test_the_slowest_lane_decides_and_no_mark_goes_back() -> None:
    lanes = Lanes(2)
    for partition, minutes in ((0, 5), (1, 9), (0, 7), (0, 6), (1, 3)):
        lanes.take(mark(partition, minutes), T)
    assert lanes.up_to() == T + 7 * MINUTE


def test_another_ingest_daemon_brings_lanes_of_its_own() -> None:
    lanes = Lanes(1)
    lanes.take(mark(0, 9), T)
    lanes.take(mark(0, 4, "two"), T)
    assert lanes.up_to() == T + 4 * MINUTE


def test_a_silent_lane_is_written_for_after_its_time_and_only_up_to_the_others() -> None:
    lanes, patience = Lanes(2), 5 * MINUTE
    lanes.take(mark(0, 1), T)
    lanes.take(mark(1, 1), T)
    lanes.take(mark(0, 8), T + 4 * MINUTE)
    assert lanes.silent(T + 4 * MINUTE, patience) == []
    assert lanes.silent(T + 5 * MINUTE, patience) == [mark(1, 8, assumed=True)]
    lanes.take(mark(1, 8, assumed=True), T + 5 * MINUTE)
    assert lanes.up_to() == T + 8 * MINUTE
    assert lanes.silent(T + 6 * MINUTE, patience) == [], "written for once, and now as far as the others"
    assert lanes.left_out(T + 6 * MINUTE, patience) == [("one", 1)], "and still silent"
    lanes.take(mark(0, 11), T + 7 * MINUTE)
    assert lanes.silent(T + 7 * MINUTE, patience) == [mark(1, 11, assumed=True)]
    lanes.take(mark(1, 12), T + 7 * MINUTE)
    assert lanes.left_out(T + 7 * MINUTE, patience) == []


def test_when_all_are_silent_time_stands_still() -> None:
    lanes = Lanes(2)
    lanes.take(mark(0, 1), T)
    lanes.take(mark(1, 1), T)
    assert lanes.silent(T + timedelta(days=1), MINUTE) == []


def test_a_successor_gives_every_lane_its_time_from_its_own_start() -> None:
    lanes = Lanes(2, {("one", 0): T, ("one", 1): T})
    assert lanes.silent(T + timedelta(days=1), MINUTE) == []
    lanes.take(mark(0, 9), T + timedelta(days=1))
    assert lanes.silent(T + timedelta(days=1) + MINUTE / 2, MINUTE) == []
    assert lanes.silent(T + timedelta(days=1) + MINUTE, MINUTE) == []
    lanes.take(mark(0, 10), T + timedelta(days=1) + MINUTE)
    assert lanes.silent(T + timedelta(days=1) + MINUTE, MINUTE) == [mark(1, 10, assumed=True)]


def test_where_an_assumed_mark_goes_far_beyond_all_that_was_heard_of_nobody_of_ours_has_listened() -> None:
    lanes = Lanes(2)
    assert lanes.absence(mark(0, 100, assumed=True)) == [], "the first that is heard of anybody"
    lanes.take(mark(0, 1), T)
    lanes.take(mark(1, 3), T)
    assert lanes.absence(mark(0, 63, assumed=True)) == [Away(T + 3 * MINUTE, T + 63 * MINUTE)]
    assert lanes.absence(mark(0, 62, assumed=True)) == [], "a restart"
    assert lanes.absence(mark(0, 63)) == [], "a replay's time may jump"
    lanes.take(mark(0, 80, "two"), T)
    assert lanes.absence(mark(0, 90, assumed=True)) == [], "the other ingest daemon has listened"
