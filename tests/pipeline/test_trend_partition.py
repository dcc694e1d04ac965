"""A partition of the mentions log: what it decides, and by which calibration, is a function of the log."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from opinionwatch.alerts.calibration import CEILING, FLOOR, GRID, Curve
from opinionwatch.alerts.detect_settings import DetectorSettings
from opinionwatch.alerts.thresholds import Thresholds
from opinionwatch.pipeline import curves, wiring
from opinionwatch.pipeline.errors import FatalError
from opinionwatch.pipeline.lanes import Lanes
from opinionwatch.pipeline.log_memory import MemoryLog
from opinionwatch.pipeline.log_records import Calibrated, Mark, encode
from opinionwatch.pipeline.ports import StatefulStage
from opinionwatch.pipeline.ticks import TICK, start_of, tick_of
from opinionwatch.pipeline.trend_partition import Adopted, Make, TrendPartition
from opinionwatch.pipeline.trend_store import Saved, TrendStore
from tests.pipeline.rig import BEGIN, settings
from tests.pipeline.sample import document, mention, scored

QUIET = Curve(rates=(0.0,) * (1 + round((CEILING - FLOOR) / GRID)), watchlists=3, days=10_000, replayed_weeks=9.0)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """The production stage."""
    chosen = settings(tmp_path)

    def made(told: Sequence[Adopted]) -> StatefulStage:
        return wiring.trend_stage(chosen, None, curves.adopted(told))()

    return made


def log() -> list[bytes]:
    """Mentions, a mark, a calibration in the middle of a tick, and more of both."""
    said = [scored(document(number, published_at=BEGIN), "negative") for number in range(6)]
    lines = [encode(mention(each)) for each in said]
    marks = [
        encode(Mark(ingest="one", partition=0, up_to=BEGIN + timedelta(minutes=minutes))) for minutes in (7, 30, 60)
    ]
    return [*lines[:3], marks[0], encode(Calibrated(curve=QUIET.model_dump_json())), *lines[3:], *marks[1:]]


def taken(partition: TrendPartition, entries: Sequence[bytes]) -> TrendPartition:
    for value in entries:
        partition.take(partition.offset, value, BEGIN)
    return partition


def test_a_calibration_counts_from_the_tick_after_what_was_decided_and_stays_with_the_state(make: Make) -> None:
    whole = taken(TrendPartition(make, Lanes(1)), log())
    [adopted] = whole.adopted
    assert adopted.since == start_of(tick_of(BEGIN + timedelta(minutes=7))) + TICK
    for cut in range(len(log())):
        first = taken(TrendPartition(make, Lanes(1)), log()[:cut])
        moved = taken(TrendPartition.of(make, 1, first.offset, first.save()), log()[cut:])
        assert (moved.adopted, moved.save()) == (whole.adopted, whole.save()), f"moved before entry {cut}"


def test_the_detector_decides_by_it_from_then_on_and_not_before() -> None:
    detector = DetectorSettings(threshold_from="calibration")
    found = Thresholds(detector, curves.adopted([Adopted(BEGIN, QUIET.model_dump_json())]))
    assert found.at(tick_of(BEGIN) - 1) == detector.threshold
    assert found.at(tick_of(BEGIN)) < detector.threshold


def test_what_cannot_be_read_stops_the_worker_and_is_not_ignored() -> None:
    with pytest.raises(FatalError, match="two versions"):
        curves.adopted([Adopted(BEGIN, '{"rates": 1}')])


def test_a_look_back_finds_the_calibrations_of_all_partitions_from_the_last_that_took_them_up(make: Make) -> None:
    topics = MemoryLog()
    store = TrendStore(lambda partition: topics.owned(f"trend.{partition}"), topics)
    since = []
    for partition, entries in enumerate((log(), [log()[4], *log()[:4]], log()[:2])):
        state = taken(TrendPartition(make, Lanes(1)), entries)
        since += [each.since for each in state.adopted]
        store.take_over(partition)
        store.save(partition, Saved(state.offset, state.save()))
    assert len(set(since)) == 2, "one took it up before anything was decided"
    [found] = curves.in_the_log(topics, 4)
    assert found == QUIET.model_copy(update={"applies_from": max(since)})
