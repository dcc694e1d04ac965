"""A silent source is taken out of the settings: in both runtimes its story ends, and nobody is told of its end."""

import random
from pathlib import Path

import pytest

from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.contracts_trend import Episode
from opinionwatch.pipeline.ports import ManualClock
from opinionwatch.pipeline.settings import Settings
from tests.pipeline import test_embedded_pause, test_fleet_pause
from tests.pipeline.fleet import Fleet
from tests.pipeline.rig import Rig, settings

MONDAY = test_fleet_pause.MONDAY
BOTH, ONE = ([{"name": name, "kind": "demo"} for name in names] for names in (("forum", "news"), ("news",)))


def silence(settings: Settings) -> Episode:
    """The one silence that was told."""
    [found] = [each for each in SqliteArchive(settings.store_path).episodes() if each.kind == "no data"]
    return found


def ended(before: Episode, after: Episode) -> bool:
    """Whether the story was brought to its end, as one of which nothing more is expected."""
    assert (after.id, before.state != "resolved") == (before.id, True)
    return after.state == "resolved" and after.accepted


def test_embedded_also_when_the_life_before_has_saved_nothing(tmp_path: Path) -> None:
    rig = Rig(tmp_path, live=True, clock=ManualClock(MONDAY), sources=BOTH)
    test_embedded_pause.hear(rig, 72)
    rig.runtime.save()
    test_embedded_pause.hear(rig, 5, posts=0)
    opened = silence(rig.settings)
    rig.die()
    rig = Rig(tmp_path, live=True, clock=rig.clock, sources=ONE)
    test_embedded_pause.hear(rig, 1, posts=0)
    assert ended(opened, silence(rig.settings))
    told = SqliteArchive(rig.path).deliveries(opened.id)
    assert [each.alert.event for each in told] == ["opened"]
    rig.die()


@pytest.mark.parametrize("saved", [False, True])
def test_daemons_also_when_the_owner_before_has_saved_nothing(tmp_path: Path, *, saved: bool) -> None:
    fleet = Fleet(tmp_path, random.Random(1), live=True, mentions_partitions=1)
    fleet.clock.now = MONDAY
    fleet.settings = settings(tmp_path, kafka=fleet.kafka, sources=BOTH)
    test_fleet_pause.hear(fleet, 72)
    fleet.drain()
    test_fleet_pause.hear(fleet, 5, posts=0)
    scorer, first = fleet.scorer(), fleet.trend()
    while fleet.step(scorer, range(3), 1000) or fleet.step(first, [0], 1000):
        pass
    opened = silence(fleet.settings)
    if saved:
        first.finish()
    fleet.settings = settings(tmp_path, kafka=fleet.kafka, sources=ONE)
    test_fleet_pause.hear(fleet, 1, posts=0)
    fleet.drain()
    assert ended(opened, silence(fleet.settings))
    told = [alert.event for alert in fleet.alerts().values() if alert.episode.id == opened.id]
    assert told == ["opened"]
    fleet.store.close()
