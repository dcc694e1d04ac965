"""Ingest is stopped for a night: that is no silence of the sources, and a real one is told."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from tests.pipeline.fleet import Fleet
from tests.pipeline.rig import half_hour

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
NIGHT = timedelta(hours=10)
STEP = timedelta(minutes=30)


def hear(fleet: Fleet, hours: int, posts: int = 10) -> None:
    """Half-hourly pages, each with a mark before and after it."""
    for _ in range(2 * hours):
        fleet.intake.beat()
        fleet.intake.submit(fleet.feed, half_hour(fleet.clock.now, MONDAY, posts))
        fleet.clock.now += STEP
    fleet.intake.beat()


def silences(fleet: Fleet) -> list[datetime]:
    """When a silence was told."""
    return [each.opened_at for each in SqliteArchive(fleet.settings.store_path).episodes() if each.kind == "no data"]


@pytest.mark.parametrize("at_a_time", [1, 3, 1000])
def test_a_night_without_ingest_is_no_silence_however_its_marks_are_cut_and_a_real_one_is_told(
    tmp_path: Path, at_a_time: int
) -> None:
    fleet = Fleet(tmp_path, random.Random(1), live=True)
    fleet.clock.now = MONDAY
    hear(fleet, 72)
    fleet.drain()
    fleet.clock.now += NIGHT
    fleet.new_intake()
    hear(fleet, 3)
    scorer, trend = fleet.scorer(), fleet.trend()
    while fleet.step(scorer, range(3), at_a_time):
        pass
    while fleet.step(trend, range(2), at_a_time):
        pass
    assert silences(fleet) == []
    hear(fleet, 5, posts=0)
    fleet.drain()
    assert len(silences(fleet)) == 1
    fleet.store.close()
