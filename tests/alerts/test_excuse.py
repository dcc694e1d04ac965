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
from tests.alerts.sample import crisis, silence
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
            world.outbox, channels, said, world.clock, excuse=excuse(self.archive, world.clock), patience_s=20
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


@pytest.mark.parametrize(("minutes", "told"), [(60, 0), (20, 1)])
def test_an_escalation_is_not_told_while_somebody_keeps_its_watchlist_silent(
    world: World, minutes: int, told: int
) -> None:
    desk = Desk(world, escalate={"after_m": 30, "receiver": "duty"})
    desk.hears(crisis(at=NOW))
    desk.archive.add_silence(silence(starts_at=NOW, ends_at=NOW + timedelta(minutes=minutes)))
    world.clock.now = NOW + timedelta(minutes=30)
    desk.deliverer.deliver_due()
    assert len(desk.pager.got) == told
    assert desk.details() == [
        "not escalated: silenced by mei until 2026-03-08 15:41 UTC: known recall (silence s1)"
    ] * (1 - told)


def test_an_end_within_a_silence_reaches_where_the_opening_was_told(world: World) -> None:
    desk = Desk(world)
    desk.hears(crisis(at=NOW))
    desk.archive.add_silence(silence(starts_at=NOW, ends_at=NOW + timedelta(hours=4)))
    desk.hears(crisis("escalated", at=NOW + timedelta(hours=1)))
    desk.hears(crisis("resolved", at=NOW + timedelta(hours=2)))
    assert [one.event for one in desk.team.got] == ["opened", "resolved"]
