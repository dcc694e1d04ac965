"""The notifier over the real SQLite outbox, with channels that do as they are told."""

import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

from opinionwatch.alerts.attempt import MOST_ATTEMPTS, after, wait_s
from opinionwatch.alerts.channel import UncertainError
from opinionwatch.alerts.message import render
from opinionwatch.alerts.outbox import Deliverer
from opinionwatch.alerts.route import Route
from opinionwatch.pipeline.contracts_trend import Alert, Delivery, Message
from opinionwatch.pipeline.errors import RejectedError, RetryableError
from opinionwatch.pipeline.outbox_sqlite import SqliteOutbox
from opinionwatch.pipeline.ports import Channel, ManualClock
from opinionwatch.pipeline.store_sqlite import SqliteStore
from tests.alerts.sample import OPENED, crisis

NOW = datetime(2026, 3, 8, 14, 41, tzinfo=UTC)


class Listed:
    """A channel that keeps what it was given, after raising the errors it was told to raise.

    Delivery: to a list.
    """

    def __init__(self, name: str, *errors: BaseException) -> None:
        self.name = name
        self.errors = list(errors)
        self.got: list[Message] = []

    def notify(self, message: Message) -> None:
        self.got.append(message)
        if self.errors:
            raise self.errors.pop(0)


class Hanging:
    """A channel that hangs until it is let go.

    Delivery: never in time.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.begun, self.let_go = Event(), Event()

    def notify(self, message: Message) -> None:
        del message
        self.begun.set()
        self.let_go.wait()


def said(alert: Alert, repeat: bool) -> Message:
    return render(alert, lang="en", public_url="http://127.0.0.1", watchlist_name="Lumora", repeat=repeat)


class World:
    """A store with an outbox, and a clock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = SqliteStore(path)
        self.outbox = SqliteOutbox(path)
        self.clock = ManualClock(NOW)

    def decide(self, *alerts: Alert, channels: tuple[str, ...]) -> None:
        with self.store.transaction():
            self.store.write(Route(channels)(alerts, NOW))

    def deliverer(self, *channels: Channel, patience_s: float = 20.0) -> Deliverer:
        by_name = {channel.name: channel for channel in channels}
        return Deliverer(self.outbox, by_name, said, self.clock, patience_s=patience_s, poll_s=0.005)

    def deliveries(self) -> list[Delivery]:
        with sqlite3.connect(self.path) as db:
            rows = db.execute("SELECT body FROM deliveries ORDER BY due_at, id").fetchall()
        db.close()
        return [Delivery.model_validate_json(body) for (body,) in rows]

    def close(self) -> None:
        self.outbox.close()
        self.store.close()


def test_a_due_delivery_is_sent_once_and_stays_sent(world: World) -> None:
    world.decide(crisis(), channels=("a", "b"))
    a, b = Listed("a"), Listed("b")
    deliverer = world.deliverer(a, b)
    deliverer.deliver_due()
    deliverer.deliver_due()
    assert [len(a.got), len(b.got)] == [1, 1]
    assert not a.got[0].repeat
    assert {(d.state, d.attempts, d.detail) for d in world.deliveries()} == {("sent", 1, "")}


def test_routing_again_after_a_restart_sends_nothing_twice(world: World) -> None:
    channel = Listed("a")
    for _ in range(3):
        world.decide(crisis(), channels=("a",))
        world.deliverer(channel).deliver_due()
    assert len(channel.got) == 1


def test_what_an_earlier_life_left_in_sending_is_sent_again_and_says_so(world: World) -> None:
    world.decide(crisis(), channels=("a",))
    (delivery,) = world.deliveries()
    world.outbox.save(delivery.model_copy(update={"state": "sending", "attempts": 1}))
    channel = Listed("a")
    world.deliverer(channel).deliver_due()
    (message,) = channel.got
    assert message.repeat
    assert message.alert_id == crisis().id
    assert [(d.state, d.attempts) for d in world.deliveries()] == [("sent", 2)]


def test_what_is_not_due_yet_waits(world: World) -> None:
    world.decide(crisis(), channels=("a",))
    world.clock.now = NOW - timedelta(seconds=1)
    channel = Listed("a")
    world.deliverer(channel).deliver_due()
    assert channel.got == []
    assert world.deliveries()[0].state == "pending"


def test_a_retryable_failure_waits_as_long_as_it_asks_and_then_gets_through(world: World) -> None:
    world.decide(crisis(), channels=("a",))
    channel = Listed("a", RetryableError("429", after_s=30))
    deliverer = world.deliverer(channel)
    deliverer.deliver_due()
    (delivery,) = world.deliveries()
    assert (delivery.state, delivery.detail, delivery.due_at) == ("pending", "429", NOW + timedelta(seconds=30))
    world.clock.now = NOW + timedelta(seconds=29)
    deliverer.deliver_due()
    assert len(channel.got) == 1
    world.clock.now = NOW + timedelta(seconds=30)
    deliverer.deliver_due()
    assert [message.repeat for message in channel.got] == [False, False]
    assert world.deliveries()[0].state == "sent"


def test_a_channel_that_asks_to_be_left_alone_is_left_alone_with_everything(world: World) -> None:
    world.decide(crisis(), crisis("escalated"), channels=("a", "b"))
    a, b = Listed("a", RetryableError("429", after_s=30)), Listed("b")
    deliverer = world.deliverer(a, b)
    deliverer.deliver_due()
    assert (len(a.got), len(b.got)) == (1, 2)
    world.clock.now = NOW + timedelta(seconds=30)
    deliverer.deliver_due()
    assert len(a.got) == 3
    assert {d.state for d in world.deliveries()} == {"sent"}


def test_a_rejected_message_fails_with_its_reason_and_the_next_goes_on(world: World) -> None:
    world.decide(crisis(), crisis("escalated"), channels=("a",))
    channel = Listed("a", RejectedError("stage_failed", "no_service"))
    world.deliverer(channel).deliver_due()
    assert sorted((d.state, d.detail) for d in world.deliveries()) == [("failed", "no_service"), ("sent", "")]


def test_an_uncertain_attempt_is_repeated_and_says_so(world: World) -> None:
    world.decide(crisis(), channels=("a",))
    channel = Listed("a", UncertainError("no answer"))
    deliverer = world.deliverer(channel)
    deliverer.deliver_due()
    (delivery,) = world.deliveries()
    assert (delivery.state, delivery.detail) == ("sending", "may have got through: no answer")
    world.clock.now = delivery.due_at
    deliverer.deliver_due()
    assert [message.repeat for message in channel.got] == [False, True]


def test_what_may_have_got_through_once_says_so_however_the_next_attempts_end(world: World) -> None:
    world.decide(crisis(), channels=("a",))
    channel = Listed("a", UncertainError("no answer"), RetryableError("429 slow down"))
    deliverer = world.deliverer(channel)
    for _ in range(3):
        deliverer.deliver_due()
        world.clock.now += timedelta(hours=1)
    assert [message.repeat for message in channel.got] == [False, True, True]
    assert [one.state for one in world.deliveries()] == ["sent"]


def test_a_defect_in_a_channel_stops_nobody_and_its_words_are_not_kept(world: World) -> None:
    world.decide(crisis(), channels=("a", "b"))
    a, b = Listed("a", ValueError("https://hooks.example/secret")), Listed("b")
    deliverer = world.deliverer(a, b)
    deliverer.deliver_due()
    broken, fine = sorted(world.deliveries(), key=lambda d: d.channel)
    assert fine.state == "sent"
    assert broken.detail == "may have got through: defect in the channel (ValueError)"
    world.clock.now = broken.due_at
    deliverer.deliver_due()
    assert {d.state for d in world.deliveries()} == {"sent"}


def test_a_hanging_channel_holds_up_nobody_else(world: World) -> None:
    world.decide(*(crisis(at=OPENED + timedelta(minutes=n)) for n in range(70)), channels=("a", "b"))
    hanging = Hanging("a")
    states_then: list[str] = []

    class Last(Listed):
        """Lets the hanging channel go after its last message.

        Delivery: to a list.
        """

        def notify(self, message: Message) -> None:
            super().notify(message)
            if len(self.got) == 70:
                states_then.extend(d.state for d in world.deliveries() if d.channel == "a")
                hanging.let_go.set()

    world.deliverer(hanging, Last("b")).deliver_due()
    assert sorted(states_then) == ["pending"] * 69 + ["sending"]
    assert {d.state for d in world.deliveries()} == {"sent"}


def test_a_pass_waits_for_a_hanging_channel_only_so_long(world: World) -> None:
    world.decide(crisis(), channels=("a",))
    hanging = Hanging("a")
    deliverer = world.deliverer(hanging, patience_s=0.01)
    assert not deliverer.hangs(0), "nothing was handed out yet"
    deliverer.deliver_due()
    assert hanging.begun.wait(20)
    assert deliverer.hangs(0)
    assert not deliverer.hangs(3600)
    assert [d.state for d in world.deliveries()] == ["sending"]
    hanging.let_go.set()
    for thread in threading.enumerate():
        if thread.name == "channel a":
            thread.join(20)
    assert not deliverer.hangs(0)
    assert [d.state for d in world.deliveries()] == ["sent"]


def test_a_delivery_to_a_channel_that_is_no_more_fails_with_its_reason(world: World) -> None:
    world.decide(crisis(), channels=("gone",))
    world.deliverer().deliver_due()
    assert [(d.state, d.detail) for d in world.deliveries()] == [("failed", "no channel 'gone' in the settings")]


def test_the_loop_delivers_until_it_is_told_to_stop(world: World) -> None:
    stop, first = Event(), Event()

    class Telling(Listed):
        """Tells when it was told.

        Delivery: to a list.
        """

        def notify(self, message: Message) -> None:
            super().notify(message)
            first.set()

    channel = Telling("a")
    loop = Thread(target=world.deliverer(channel).run, args=(stop,))
    loop.start()
    world.decide(crisis(), channels=("a",))
    assert first.wait(10)
    stop.set()
    loop.join(10)
    assert not loop.is_alive()
    assert [d.state for d in world.deliveries()] == ["sent"]


def test_waits_grow_to_an_hour_differ_between_deliveries_and_never_by_chance() -> None:
    (one, other) = Route(["a", "b"])([crisis()], NOW)
    waits = [wait_s(one.model_copy(update={"attempts": n}), None) for n in range(1, MOST_ATTEMPTS)]
    assert waits == [wait_s(one.model_copy(update={"attempts": n}), None) for n in range(1, MOST_ATTEMPTS)]
    assert 1 <= waits[0] <= 2
    assert all(1800 <= wait <= 3600 for wait in waits[12:])
    assert 14 * 3600 <= sum(waits) <= 30 * 3600
    assert waits[20] != wait_s(other.model_copy(update={"attempts": 21}), None)
    assert wait_s(one.model_copy(update={"attempts": 1}), 1e12) == 86_400


def test_it_gives_up_after_about_a_day_and_says_what_was_wrong() -> None:
    (delivery,) = Route(["a"])([crisis()], NOW)
    last = after(delivery.model_copy(update={"attempts": MOST_ATTEMPTS}), RetryableError("503"), NOW)
    assert (last.state, last.detail) == ("failed", "given up after 40 attempts: 503")
