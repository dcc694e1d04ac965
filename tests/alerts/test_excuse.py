"""What need not be sent any more when its time has come: over the real outbox and archive."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from opinionwatch.alerts.excuse import excuse
from opinionwatch.alerts.outbox import Deliverer
from opinionwatch.alerts.route import Route
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.contracts_trend import Alert
from tests.alerts.sample import crisis
from tests.alerts.test_hold import MORNING, NIGHT
from tests.alerts.test_outbox import NOW, Listed, World, said
from tests.alerts.test_routes import settings


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "store.db")
    yield world
    world.close()


class Desk:
    """Channels over that world, and alerts that come to them one after the other."""

    def __init__(self, world: World, **route: object) -> None:
        self.world, self.archive = world, SqliteArchive(world.path)
        self.route = Route((), settings=settings({"receiver": "desk", **route}, quiet_hours=[NIGHT]))
        self.team, self.pager = Listed("team"), Listed("pager")
        channels = {"team": self.team, "pager": self.pager}
        self.deliverer = Deliverer(
            world.outbox, channels, said, world.clock, excuse=excuse(self.archive), patience_s=20
        )

    def hears(self, alert: Alert) -> None:
        """At the alert's own time; what is due is sent."""
        self.world.clock.now = alert.at
        before = self.world.store.remembered(alert.at - timedelta(days=1))
        with self.world.store.transaction():
            self.world.store.write(self.route([alert, *before, *self.archive.silences()], alert.at))
        self.deliverer.deliver_due()

    def details(self) -> list[str]:
        """Why something was not sent."""
        return [one.detail for one in self.world.deliveries() if one.state == "suppressed"]


def test_an_opening_that_was_held_over_night_is_not_told_after_the_episode_turned_critical_and_ended(
    world: World,
) -> None:
    desk = Desk(world, quiet_hours=["nights"])
    desk.hears(crisis(severity="warning", at=NOW))
    assert desk.team.got == []
    desk.hears(crisis("escalated", at=NOW + timedelta(hours=1)))
    desk.hears(crisis("resolved", at=NOW + timedelta(hours=4)))
    world.clock.now = MORNING
    desk.deliverer.deliver_due()
    assert [one.event for one in desk.team.got] == ["escalated", "resolved"]
    assert desk.details() == ["not told: what came later was told before it (resolved, 2026-03-08 18:41 UTC)"]


def test_what_is_held_is_told_in_the_morning_when_nothing_came_after_it(world: World) -> None:
    desk = Desk(world, quiet_hours=["nights"])
    desk.hears(crisis(severity="warning", at=NOW))
    world.clock.now = MORNING
    desk.deliverer.deliver_due()
    assert ([one.event for one in desk.team.got], desk.details()) == (["opened"], [])
