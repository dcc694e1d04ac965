"""When a delivery is due among others: a group's company, quiet hours and the limit an hour, one after the other."""

from datetime import timedelta

from opinionwatch.alerts.route import Route
from opinionwatch.pipeline.contracts_trend import Delivery
from tests.alerts.sample import crisis
from tests.alerts.test_routes import BOSS, DESK, DUTY, NOW, of, routed, settings

NIGHT = {"name": "nights", "begins": "22:00", "ends": "07:00", "zone": "Asia/Shanghai"}
"""14:45 UTC, when these tests begin, is 22:45 in Shanghai."""
MORNING = NOW.replace(hour=23, minute=0)


def waits(delivery: Delivery, hours: float) -> Delivery:
    """It has been tried, and is to be tried again so much later."""
    return delivery.model_copy(update={"attempts": 9, "due_at": NOW + timedelta(hours=hours)})


def test_an_episode_that_turns_critical_at_night_does_not_wait_with_its_opening_and_neither_does_its_escalation() -> (
    None
):
    notify = settings(
        {"receiver": "desk", "quiet_hours": ["nights"], "escalate": {"after_m": 30, "receiver": "duty"}},
        quiet_hours=[NIGHT],
    )
    opened, *planned = routed(notify, crisis(severity="warning"))
    assert opened.due_at == MORNING
    graver, escalation = routed(notify, crisis("escalated", at=NOW), opened, *planned)
    assert (graver.due_at, graver.detail) == (NOW, "")
    assert escalation.due_at == NOW + timedelta(minutes=30)


def test_a_critical_alert_joins_company_that_is_told_sooner_than_it_would_be_alone() -> None:
    notify = settings({"receiver": "desk", "group_by": ["kind"], "group_wait_s": 60})
    (first,) = routed(notify, of("lumora", severity="warning"))
    soon = first.model_copy(update={"due_at": NOW + timedelta(seconds=10)})
    assert routed(notify, of("skyfare"), soon)[0].due_at == soon.due_at


def test_a_critical_alert_does_not_wait_with_one_of_its_group_that_the_limit_holds() -> None:
    notify = settings({"receiver": "desk", "group_by": ["kind"]}, receivers=[{**DESK, "per_hour": 1}, BOSS, DUTY])
    before = routed(notify, of("w1", severity="warning", kind="tone shift"), of("w2", severity="warning"))
    assert [one.due_at - NOW for one in before] == [timedelta(0), timedelta(hours=1)]
    assert routed(notify, of("w3"), *before)[0].due_at == NOW
    assert routed(notify, of("w4", severity="warning"), *before)[0].due_at == before[1].due_at


def test_what_the_limit_pushes_into_quiet_hours_waits_for_their_end() -> None:
    later = {**NIGHT, "begins": "23:00"}
    notify = settings(
        {"receiver": "desk", "quiet_hours": ["nights"]},
        quiet_hours=[later],
        receivers=[{**DESK, "per_hour": 1}, BOSS, DUTY],
    )
    first, second, third = routed(notify, *(of(f"w{n}", severity="warning") for n in range(3)))
    assert (first.due_at, second.due_at) == (NOW, MORNING)
    assert second.detail == "held until 2026-03-08 23:00 UTC: quiet hours 'nights'"
    assert third.due_at == MORNING + timedelta(hours=1)


def test_without_routes_a_channel_that_fails_holds_up_neither_the_others_nor_what_is_new() -> None:
    route = Route(["slack", "email"])
    slack, email = route([of("lumora")], NOW)
    before = [slack.model_copy(update={"state": "sent"}), waits(email, 1)]
    assert [one.due_at for one in route([of("skyfare"), *before], NOW)] == [NOW, NOW]


def test_a_fallback_that_waits_holds_up_only_its_own_channel() -> None:
    notify = settings({"receiver": "desk", "group_by": ["kind"]})
    (refused,) = routed(notify, of("lumora", severity="warning"))
    instead = refused.model_copy(update={"channel": "mail", "purpose": "fallback"})
    after = [refused.model_copy(update={"state": "failed"}), waits(instead, 1)]
    assert routed(notify, of("skyfare", severity="warning"), *after)[0].due_at == NOW
