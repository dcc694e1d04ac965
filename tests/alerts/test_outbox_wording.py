"""A message that cannot be worded or sent now, and its sequel, which is due: over the real SQLite outbox."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from opinionwatch.alerts.channel import UncertainError
from opinionwatch.alerts.outbox import Deliverer
from opinionwatch.pipeline.contracts_trend import Alert, Message
from opinionwatch.pipeline.errors import RetryableError
from tests.alerts.sample import OPENED, crisis
from tests.alerts.test_outbox import Listed, World, said


class Forgetful:
    """Says alerts, after it could not look them up so many times."""

    def __init__(self, times: int) -> None:
        self.times = times

    def __call__(self, alert: Alert, repeat: bool) -> Message:
        if self.times:
            self.times -= 1
            raise RetryableError("all shards failed")
        return said(alert, repeat)


def told_by(world: World, a: Listed, say: Callable[[Alert, bool], Message], *, within: timedelta) -> list[str]:
    """What a desk is sent of an opening and its sequel, both due."""
    world.decide(crisis(at=OPENED), crisis("escalated", at=OPENED + timedelta(hours=1)), channels=("a",))
    deliverer = Deliverer(world.outbox, {"a": a}, say, world.clock, patience_s=20, poll_s=0.005)
    end = world.clock.now + within
    while world.clock.now < end:
        deliverer.deliver_due()
        world.clock.now += timedelta(seconds=1)
    return [message.event for message in a.got]


def test_an_opening_that_cannot_be_looked_up_for_a_while_is_told_before_its_sequel(world: World) -> None:
    assert told_by(world, Listed("a"), Forgetful(3), within=timedelta(minutes=1)) == ["opened", "escalated"]


def test_an_opening_that_cannot_be_looked_up_for_minutes_does_not_hold_up_its_sequel(world: World) -> None:
    assert told_by(world, Listed("a"), Forgetful(6), within=timedelta(minutes=5)) == ["escalated", "opened"]


@pytest.mark.parametrize("error", [RetryableError("503"), UncertainError("no answer")])
def test_an_opening_that_a_channel_cannot_take_for_a_while_is_told_before_its_sequel(
    world: World, error: RetryableError
) -> None:
    a = Listed("a", error, error, error)
    assert told_by(world, a, said, within=timedelta(minutes=1)) == [*["opened"] * 4, "escalated"]


def test_an_opening_that_a_channel_takes_later_than_all_else_does_not_hold_it_up(world: World) -> None:
    a = Listed("a", *[RetryableError("503")] * 6)
    assert told_by(world, a, said, within=timedelta(minutes=5)) == [*["opened"] * 6, "escalated", "opened"]
