"""One message for several alerts, fallbacks, and deliveries that are excused: over the real outbox."""

from datetime import timedelta

import pytest

from opinionwatch.alerts.channel import UncertainError
from opinionwatch.alerts.excuse import Excuse
from opinionwatch.alerts.outbox import BATCH, Deliverer
from opinionwatch.alerts.route import Route
from opinionwatch.alerts.route_settings import NotifySettings
from opinionwatch.pipeline.contracts_trend import Alert
from opinionwatch.pipeline.errors import RejectedError, RetryableError
from opinionwatch.pipeline.registry import options
from tests.alerts.sample import OPENED, crisis
from tests.alerts.test_outbox import NOW, Listed, World, said


def notify(**route: object) -> NotifySettings:
    given = {
        "receivers": [{"name": "desk", "channels": ["a"], "fallback": "b"}, {"name": "boss", "channels": ["b"]}],
        "route": {"receiver": "desk", **route},
    }
    return options(NotifySettings, given, "notify")


def of(watchlist: str, severity: str = "warning") -> Alert:
    alert = crisis(watchlist=watchlist)
    changes = {"id": f"ep-{watchlist}", "severity": severity}
    return alert.model_copy(update={"episode": alert.episode.model_copy(update=changes)})


def over() -> Alert:
    return crisis("resolved", at=OPENED + timedelta(hours=4))


def decide(world: World, settings: NotifySettings, *alerts: Alert) -> None:
    with world.store.transaction():
        world.store.write(Route((), settings=settings)(alerts, NOW))


def test_a_group_is_one_message_led_by_the_gravest_with_a_line_for_each_other(world: World) -> None:
    decide(world, notify(group_by=["kind"]), of("x"), of("y", "critical"), of("z"))
    channel = Listed("a")
    world.deliverer(channel).deliver_due()
    (message,) = channel.got
    assert message.episode_id == "ep-y"
    assert sorted(other.link for other in message.others) == [f"http://127.0.0.1/episodes/ep-{name}" for name in "xz"]
    deliveries = world.deliveries()
    assert [one.state for one in deliveries] == ["sent"] * 3
    (first,) = {one.joined for one in deliveries}
    assert first in {one.id for one in deliveries}


def test_of_one_episode_only_the_last_word_is_told(world: World) -> None:
    later = OPENED + timedelta(minutes=30)
    decide(world, notify(group_by=["episode"]), crisis(), crisis("escalated", at=later))
    channel = Listed("a")
    world.deliverer(channel).deliver_due()
    assert [one.event for one in channel.got] == ["escalated"]
    assert len(world.deliveries()) == 2


def test_the_end_of_an_episode_is_told_when_its_opening_has_waited_for_it(world: World) -> None:
    other = of("x")
    decide(world, notify(group_by=["kind"]), crisis(), over(), other)
    channel = Listed("a")
    world.deliverer(channel).deliver_due()
    (message,) = channel.got
    assert message.episode_id == "ep-x"
    assert [(one.episode_id, one.event) for one in message.others] == [(crisis().episode.id, "resolved")]
    decide(world, notify(), *(one.model_copy(update={"at": one.at + timedelta(days=1)}) for one in (crisis(), over())))
    world.deliverer(channel).deliver_due()
    assert [one.event for one in channel.got] == ["opened", "resolved"]


@pytest.mark.parametrize("others", [0, BATCH])
def test_without_routes_a_channel_hears_what_happened_in_the_order_in_which_it_happened(
    world: World, others: int
) -> None:
    story = [crisis(), *(crisis("escalated", at=OPENED + timedelta(hours=n)) for n in (1, 2, 3)), over()]
    assert [one.id for one in story] != sorted(one.id for one in story)
    world.decide(*(of(f"w{number}") for number in range(others)), *story, channels=("a",))
    channel = Listed("a")
    world.deliverer(channel).deliver_due()
    told = [one.at for one in channel.got if one.episode_id == crisis().episode.id]
    assert told == [one.at for one in story]


def test_a_later_word_joins_a_message_that_was_refused_for_now_and_leads_it(world: World) -> None:
    decide(world, notify(group_by=["kind"]), crisis(severity="warning"), of("x"))
    channel = Listed("a", RetryableError("full"))
    world.deliverer(channel).deliver_due()
    decide(world, notify(group_by=["kind"]), crisis("escalated", at=OPENED + timedelta(minutes=30)))
    world.clock.now = max(one.due_at for one in world.deliveries())
    world.deliverer(channel).deliver_due()
    assert [one.event for one in channel.got] == ["opened", "escalated"]
    assert [one.episode_id for one in channel.got[-1].others] == ["ep-x"]


def test_nothing_new_joins_a_message_that_may_have_got_through_before_it_was_refused_for_now(world: World) -> None:
    decide(world, notify(group_by=["kind"]), crisis(severity="warning"), of("x"))
    channel = Listed("a", UncertainError("no answer"), RetryableError("full"))
    for _ in range(2):
        world.deliverer(channel).deliver_due()
        world.clock.now = max(one.due_at for one in world.deliveries())
    decide(world, notify(group_by=["kind"]), crisis("escalated", at=OPENED + timedelta(minutes=30)))
    world.deliverer(channel).deliver_due()
    told = [(one.alert_id, one.repeat) for one in channel.got]
    assert len({name for name, _ in told[:2]}) == 1
    assert sorted(told[2:]) == sorted(
        [(told[0][0], True), (crisis("escalated", at=OPENED + timedelta(minutes=30)).id, False)]
    )


def test_a_message_that_may_have_got_through_is_repeated_with_the_same_company_and_the_same_id(world: World) -> None:
    decide(world, notify(group_by=["kind"]), of("x"), of("y"))
    channel = Listed("a", UncertainError("no answer"))
    world.deliverer(channel).deliver_due()
    decide(world, notify(group_by=["kind"]), of("late", "critical"))
    world.clock.now = max(one.due_at for one in world.deliveries())
    world.deliverer(channel).deliver_due()
    first, *rest = channel.got
    again = next(one for one in rest if one.repeat)
    other = next(one for one in rest if not one.repeat)
    assert len(first.others) == 1
    assert (first.alert_id, len(first.others)) == (again.alert_id, len(again.others))
    assert other.episode_id == "ep-late"
    assert {one.state for one in world.deliveries()} == {"sent"}


def test_what_one_channel_refuses_for_good_another_is_told_once_with_the_reason(world: World) -> None:
    decide(world, notify(), crisis())
    a, b = Listed("a", RejectedError("channel_refused", "channel_is_archived")), Listed("b")
    world.deliverer(a, b).deliver_due()
    (message,) = b.got
    assert "another channel did not take it" in dict(message.facts)["Note"]
    failed, instead = sorted(world.deliveries(), key=lambda one: one.channel)
    assert (failed.state, failed.detail) == ("failed", "channel_is_archived")
    assert (instead.state, instead.purpose) == ("sent", "fallback")
    world.outbox.save(instead.model_copy(update={"state": "pending", "attempts": 0}))
    world.deliverer(a, b).deliver_due()
    assert len(b.got) == 1


def test_a_channel_that_is_gone_from_the_settings_falls_back_too(world: World) -> None:
    decide(world, notify(), crisis())
    b = Listed("b")
    world.deliverer(b).deliver_due()
    assert len(b.got) == 1


def test_an_escalation_that_is_excused_is_put_away_with_the_reason(world: World) -> None:
    decide(world, notify(escalate={"after_m": 10, "receiver": "boss"}), crisis())
    a, b = Listed("a"), Listed("b")
    excuses = {"escalation": Excuse("acknowledged by mei")}
    channels = {"a": a, "b": b}
    deliverer = Deliverer(
        world.outbox, channels, said, world.clock, excuse=lambda one: excuses.get(one.purpose), patience_s=20
    )
    deliverer.deliver_due()
    world.clock.now = NOW + timedelta(minutes=10)
    deliverer.deliver_due()
    assert (len(a.got), len(b.got)) == (1, 0)
    assert [(one.state, one.detail) for one in world.deliveries() if one.purpose == "escalation"] == [
        ("suppressed", "acknowledged by mei")
    ]
    excuses.clear()
    decide(world, notify(escalate={"after_m": 10, "receiver": "boss"}), crisis("escalated"))
    deliverer.deliver_due()
    world.clock.now += timedelta(minutes=10)
    deliverer.deliver_due()
    (told,) = b.got
    assert "nobody has acknowledged it" in dict(told.facts)["Note"]


def test_what_is_excused_does_not_keep_back_what_comes_behind_it(world: World) -> None:
    with world.store.transaction():
        for number in range(2 * BATCH):
            world.store.write(Route(["a"])([of(f"w{number}")], NOW - timedelta(days=1, seconds=-number)))
    world.decide(over(), channels=("a",))
    channel = Listed("a")
    excuse = {"opened": Excuse("nobody wants to know")}
    deliverer = Deliverer(
        world.outbox, {"a": channel}, said, world.clock, excuse=lambda one: excuse.get(one.alert.event), patience_s=20
    )
    deliverer.deliver_due()
    assert [one.event for one in channel.got] == ["resolved"]
    assert {one.state for one in world.deliveries() if one.alert.event == "opened"} == {"suppressed"}


def test_what_became_of_every_attempt_is_told(world: World) -> None:
    decide(world, notify(), crisis())
    told: list[tuple[str, str]] = []
    channels = {"a": Listed("a", RetryableError("full"), RejectedError("channel_refused", "gone")), "b": Listed("b")}
    deliverer = Deliverer(
        world.outbox, channels, said, world.clock, told=lambda one: told.append((one.channel, one.state)), patience_s=20
    )
    deliverer.deliver_due()
    world.clock.now = NOW + timedelta(hours=1)
    deliverer.deliver_due()
    assert told == [("a", "pending"), ("a", "failed"), ("b", "sent")]
