"""What need not be sent any more when its time has come: over the real outbox and archive."""

from datetime import datetime, timedelta

import pytest

from opinionwatch.alerts.attempt import KEEPS_ITS_PLACE
from opinionwatch.alerts.channel import UncertainError
from opinionwatch.alerts.excuse import excuse
from opinionwatch.alerts.outbox import Deliverer
from opinionwatch.alerts.route import Route
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.contracts_trend import Alert, Feedback, Severity
from opinionwatch.pipeline.errors import RejectedError, RetryableError
from tests.alerts.sample import crisis, silence
from tests.alerts.test_hold import MORNING, NIGHT
from tests.alerts.test_outbox import NOW, Listed, World, said
from tests.alerts.test_routes import settings


def acknowledged(at: datetime) -> Feedback:
    """Mei's answer."""
    return Feedback(id="f1", episode_id=crisis().episode.id, verb="acknowledge", at=at, by="mei", via="page")


class Desk:
    """Channels over that world, and alerts that come to them one after the other."""

    def __init__(self, world: World, **route: object) -> None:
        self.world, self.archive = world, SqliteArchive(world.path)
        self.route = Route((), settings=settings({"receiver": "desk", **route}, quiet_hours=[NIGHT]))
        self.team, self.pager, self.mail = Listed("team"), Listed("pager"), Listed("mail")
        channels = {channel.name: channel for channel in (self.team, self.pager, self.mail)}
        self.deliverer = Deliverer(
            world.outbox, channels, said, world.clock, excuse=excuse(self.archive, world.clock), patience_s=20
        )

    def hears(self, alert: Alert) -> None:
        """At the alert's own time; what is due is sent."""
        self.world.clock.now = alert.at
        before = self.world.store.remembered(alert.at - timedelta(days=1), [alert.episode.id])
        with self.world.store.transaction():
            routed = self.route([alert, *before, *self.archive.silences()], alert.at)
            self.world.store.write([alert.episode, *routed])
        self.deliverer.deliver_due()

    def waits_until(self, moment: datetime) -> None:
        """Nothing new comes; what is due by then is sent."""
        self.world.clock.now = moment
        self.deliverer.deliver_due()

    def details(self) -> list[str]:
        """Why something was not sent."""
        return [one.detail for one in self.world.deliveries() if one.state == "suppressed"]


def silenced_desk(world: World, length: timedelta) -> Desk:
    """An alert at which a silence began; its escalation has just become due."""
    desk = Desk(world, escalate={"after_m": 30, "receiver": "duty"})
    desk.hears(crisis(at=NOW))
    desk.archive.add_silence(silence(starts_at=NOW, ends_at=NOW + length))
    desk.waits_until(NOW + timedelta(minutes=30))
    return desk


def answered_desk(world: World, severity: Severity) -> Desk:
    """An opening that Mei has acknowledged."""
    desk = Desk(world, escalate={"after_m": 30, "receiver": "duty"})
    desk.hears(crisis(severity=severity, at=NOW))
    desk.archive.add_feedback(acknowledged(NOW + timedelta(minutes=5)))
    return desk


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


def test_an_escalation_waits_while_its_watchlist_is_silent_and_says_so_and_is_told_when_the_silence_ends(
    world: World,
) -> None:
    desk = silenced_desk(world, timedelta(minutes=60))
    (waiting,) = (one for one in world.deliveries() if one.state == "pending")
    assert waiting.due_at == NOW + timedelta(minutes=35)
    assert waiting.detail == "put off: silenced by mei until 2026-03-08 15:41 UTC: known recall (silence s1)"
    for minutes in range(35, 60, 4):
        desk.waits_until(NOW + timedelta(minutes=minutes))
    assert desk.pager.got == []
    desk.waits_until(NOW + timedelta(minutes=60))
    assert [one.event for one in desk.pager.got] == ["opened"]
    assert "nobody has acknowledged it" in dict(desk.pager.got[0].facts)["Note"]


def test_an_escalation_that_waits_for_the_end_of_a_silence_is_told_soon_after_somebody_ends_it_early(
    world: World,
) -> None:
    desk = silenced_desk(world, timedelta(days=2))
    desk.archive.add_silence(silence(starts_at=NOW, ends_at=NOW + timedelta(minutes=31)))
    desk.waits_until(NOW + timedelta(minutes=35))
    assert [one.event for one in desk.pager.got] == ["opened"]


def test_an_escalation_that_waits_for_the_end_of_a_silence_is_not_told_when_somebody_has_acknowledged_meanwhile(
    world: World,
) -> None:
    desk = silenced_desk(world, timedelta(minutes=60))
    desk.archive.add_feedback(acknowledged(NOW + timedelta(minutes=40)))
    desk.waits_until(NOW + timedelta(minutes=60))
    assert desk.pager.got == []
    assert desk.details() == ["not escalated: acknowledge by mei at 2026-03-08 15:21 UTC (page)"]


def test_who_has_acknowledged_a_warning_has_not_acknowledged_that_it_turned_critical(world: World) -> None:
    desk = answered_desk(world, "warning")
    desk.waits_until(NOW + timedelta(minutes=40))
    assert desk.pager.got == []
    desk.hears(crisis("escalated", severity="critical", at=NOW + timedelta(hours=1)))
    desk.waits_until(NOW + timedelta(minutes=90))
    assert [one.event for one in desk.pager.got] == ["escalated"]


def test_a_second_acknowledgement_answers_that_it_turned_critical(world: World) -> None:
    desk = answered_desk(world, "warning")
    desk.hears(crisis("escalated", severity="critical", at=NOW + timedelta(hours=1)))
    desk.archive.add_feedback(acknowledged(NOW + timedelta(minutes=65)).model_copy(update={"id": "f2"}))
    desk.waits_until(NOW + timedelta(minutes=90))
    assert desk.pager.got == []


def test_who_has_acknowledged_that_it_is_critical_is_not_asked_again_when_it_grows(world: World) -> None:
    desk = answered_desk(world, "critical")
    desk.hears(crisis("escalated", severity="critical", at=NOW + timedelta(hours=1)))
    desk.waits_until(NOW + timedelta(minutes=90))
    assert desk.pager.got == []


def test_a_silence_that_is_over_when_the_escalation_is_due_changes_nothing(world: World) -> None:
    desk = Desk(world, escalate={"after_m": 30, "receiver": "duty"})
    desk.hears(crisis(at=NOW))
    desk.archive.add_silence(silence(starts_at=NOW, ends_at=NOW + timedelta(minutes=20)))
    desk.waits_until(NOW + timedelta(minutes=30))
    assert [one.event for one in desk.pager.got] == ["opened"]


def test_an_end_within_a_silence_reaches_where_the_opening_was_told(world: World) -> None:
    desk = Desk(world)
    desk.hears(crisis(at=NOW))
    desk.archive.add_silence(silence(starts_at=NOW, ends_at=NOW + timedelta(hours=4)))
    desk.hears(crisis("escalated", at=NOW + timedelta(hours=1)))
    desk.hears(crisis("resolved", at=NOW + timedelta(hours=2)))
    assert [one.event for one in desk.team.got] == ["opened", "resolved"]


@pytest.mark.parametrize("hours", [1, 50])
def test_whoever_was_told_only_by_an_escalation_is_told_the_end_once_whatever_its_route_says_by_then(
    world: World, hours: int
) -> None:
    branch = {"matchers": ["kind=crisis"], "escalate": {"after_m": 30, "receiver": "duty"}}
    desk = Desk(world, routes=[branch])
    desk.hears(crisis(at=NOW))
    desk.waits_until(NOW + timedelta(minutes=30))
    over = crisis("resolved", at=NOW + timedelta(hours=hours), kind="tone shift")
    desk.hears(over)
    desk.hears(over)
    assert [one.event for one in desk.pager.got] == ["opened", "resolved"]
    assert "Note" not in dict(desk.pager.got[-1].facts)
    assert [one.event for one in desk.team.got] == ["opened", "resolved"]


def test_the_end_of_an_escalation_is_told_under_a_silence_and_though_somebody_has_acknowledged(world: World) -> None:
    desk = Desk(world, escalate={"after_m": 30, "receiver": "duty"})
    desk.hears(crisis(at=NOW))
    desk.waits_until(NOW + timedelta(minutes=30))
    desk.archive.add_silence(silence(starts_at=NOW, ends_at=NOW + timedelta(hours=4)))
    desk.archive.add_feedback(acknowledged(NOW + timedelta(minutes=40)))
    desk.hears(crisis("resolved", at=NOW + timedelta(hours=2)))
    assert [one.event for one in desk.pager.got] == ["opened", "resolved"]


def test_who_would_have_been_told_by_an_escalation_hears_nothing_when_the_end_comes_first(world: World) -> None:
    desk = Desk(world, escalate={"after_m": 30, "receiver": "duty"})
    desk.hears(crisis(at=NOW))
    desk.hears(crisis("resolved", at=NOW + timedelta(minutes=29)))
    desk.waits_until(NOW + timedelta(hours=1))
    assert desk.pager.got == []
    assert sorted(desk.details()) == [
        "not escalated: it ended at 2026-03-08 15:10 UTC",
        "not told: no escalation of it was told here",
    ]


def test_an_escalation_that_may_have_got_through_is_followed_by_the_end_and_not_repeated_after_it(
    world: World,
) -> None:
    desk = Desk(world, escalate={"after_m": 30, "receiver": "duty"})
    desk.hears(crisis(at=NOW))
    desk.pager.errors = [UncertainError("no answer")]
    desk.waits_until(NOW + timedelta(minutes=30))
    desk.hears(crisis("resolved", at=world.clock.now))
    desk.waits_until(NOW + timedelta(hours=3))
    assert [one.event for one in desk.pager.got] == ["opened", "resolved"]


def test_whoever_was_told_instead_of_a_channel_that_works_again_is_told_the_end(world: World) -> None:
    desk = Desk(world, receiver="duty")
    desk.pager.errors = [RejectedError("channel_refused", "key revoked")]
    desk.hears(crisis(at=NOW))
    desk.hears(crisis("resolved", at=NOW + timedelta(hours=1)))
    assert [one.event for one in desk.mail.got] == ["opened", "resolved"]


def test_whoever_is_told_instead_of_a_channel_that_refuses_everything_is_told_the_end_once(world: World) -> None:
    desk = Desk(world, receiver="duty")
    desk.pager.errors = [RejectedError("channel_refused", "key revoked")] * 2
    desk.hears(crisis(at=NOW))
    desk.hears(crisis("resolved", at=NOW + timedelta(hours=1)))
    assert [one.event for one in desk.mail.got] == ["opened", "resolved"]


@pytest.mark.parametrize("error", [RetryableError("503"), UncertainError("no answer")])
def test_without_routes_an_opening_that_has_failed_for_minutes_is_not_tried_again_after_the_end_was_told(
    world: World, error: RetryableError
) -> None:
    desk = Desk(world)
    desk.route = Route(["team"])
    desk.team.errors = [error] * (KEEPS_ITS_PLACE + 1)
    desk.hears(crisis(at=NOW))
    while desk.team.errors:
        desk.waits_until(world.deliveries()[0].due_at)
    desk.hears(crisis("resolved", at=world.clock.now + timedelta(microseconds=1)))
    desk.waits_until(NOW + timedelta(hours=1))
    assert [one.event for one in desk.team.got] == [*["opened"] * (KEEPS_ITS_PLACE + 1), "resolved"]
    [detail] = desk.details()
    assert detail.startswith("not told: what came later was told before it (resolved, 2026-03-08 14:4")


@pytest.mark.parametrize("night", [False, True])
def test_whoever_was_told_of_an_episode_is_told_its_end_though_its_labels_lead_elsewhere_by_then(
    world: World, night: bool
) -> None:
    branch = {"matchers": ["aspect=battery"], "receiver": "duty", "quiet_hours": ["nights"] if night else []}
    desk = Desk(world, routes=[branch])
    desk.hears(crisis(at=NOW, severity="warning"))
    desk.hears(crisis("resolved", at=NOW + timedelta(hours=1), severity="warning", aspects=("price",)))
    desk.waits_until(MORNING)
    assert [one.event for one in desk.pager.got] == (["resolved"] if night else ["opened", "resolved"])


def test_a_story_that_is_taken_up_again_is_told_its_second_end_only_where_its_second_life_was_told(
    world: World,
) -> None:
    branch = {"matchers": ["aspect=battery"], "receiver": "duty", "escalate": {"after_m": 30, "receiver": "boss"}}
    desk = Desk(world, routes=[branch])
    desk.hears(crisis(at=NOW))
    desk.waits_until(NOW + timedelta(minutes=30))
    desk.hears(crisis("resolved", at=NOW + timedelta(hours=1)))
    desk.hears(crisis("updated", at=NOW + timedelta(hours=2)))
    desk.hears(crisis("resolved", at=NOW + timedelta(hours=3), aspects=("price",)))
    assert [one.event for one in desk.pager.got] == ["opened", "resolved", "updated", "resolved"]
    assert [one.event for one in desk.mail.got] == ["opened", "resolved"]
