"""We are stopped for a night: that is no silence of the sources, in no later life either, and a real one is told."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.ports import ManualClock
from tests.pipeline.rig import Rig, half_hour

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
STOPPED = MONDAY + timedelta(days=3)
STARTED = STOPPED + timedelta(hours=10)
STEP = timedelta(minutes=30)


def live(folder: Path, now: datetime) -> Rig:
    """One life with live sources."""
    return Rig(folder, live=True, clock=ManualClock(now))


def hear(rig: Rig, hours: int, posts: int = 10) -> None:
    """Half-hourly pages."""
    for _ in range(2 * hours):
        rig.play([half_hour(rig.clock.now, MONDAY, posts)])
        rig.clock.now += STEP


def silences(rig: Rig) -> list[datetime]:
    """When a silence was told."""
    return [episode.opened_at for episode in SqliteArchive(rig.path).episodes() if episode.kind == "no data"]


def test_a_night_in_which_we_were_stopped_is_no_silence_whatever_is_restored_and_a_real_one_is_told(
    tmp_path: Path,
) -> None:
    rig = live(tmp_path, MONDAY)
    hear(rig, 72)
    rig.die()
    rig = live(tmp_path, STARTED)
    rig.play([])
    rig.die()
    rig = live(tmp_path, STARTED + timedelta(minutes=20))
    hear(rig, 3)
    assert silences(rig) == []
    hear(rig, 5, posts=0)
    assert len(silences(rig)) == 1
    rig.die()
