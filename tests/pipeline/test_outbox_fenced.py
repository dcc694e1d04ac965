"""A notifier that was replaced while it slept can send nothing when it wakes up."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from opinionwatch.alerts.message import render
from opinionwatch.alerts.outbox import Deliverer
from opinionwatch.alerts.route import Route
from opinionwatch.pipeline.contracts_trend import Alert, Message
from opinionwatch.pipeline.log import FencedError
from opinionwatch.pipeline.log_memory import MemoryLog
from opinionwatch.pipeline.outbox_fenced import FencedOutbox
from opinionwatch.pipeline.outbox_sqlite import SqliteOutbox
from opinionwatch.pipeline.ports import ManualClock
from opinionwatch.pipeline.store_sqlite import SqliteStore
from tests.alerts.sample import OPENED, crisis

NOW: datetime = OPENED + timedelta(minutes=1)


class Listed:
    """A channel that keeps what it was given.

    Delivery: to a list.
    """

    name = "here"

    def __init__(self) -> None:
        self.got: list[Message] = []

    def notify(self, message: Message) -> None:
        """Keep it."""
        self.got.append(message)


def said(alert: Alert, repeat: bool) -> Message:
    return render(alert, lang="en", public_url="http://127.0.0.1", watchlist_name="Lumora", repeat=repeat)


@pytest.fixture
def outbox(tmp_path: Path) -> SqliteOutbox:
    """With one delivery that is due."""
    store = SqliteStore(tmp_path / "opinionwatch.db")
    with store.transaction():
        store.write(Route(["here"])([crisis()], NOW))
    store.close()
    return SqliteOutbox(tmp_path / "opinionwatch.db")


def test_only_the_last_to_take_over_may_send(outbox: SqliteOutbox) -> None:
    log, channel = MemoryLog(), Listed()
    sleeper = FencedOutbox(outbox, log.owned("notify"))
    owner = FencedOutbox(outbox, log.owned("notify"))
    Deliverer(sleeper, {"here": channel}, said, ManualClock(NOW)).deliver_due()
    assert channel.got == []
    assert sleeper.fenced.is_set()
    assert sleeper.due(NOW, 10) == []
    assert [each.state for each in outbox.due(NOW, 10)] == ["pending"]
    Deliverer(owner, {"here": channel}, said, ManualClock(NOW)).deliver_due()
    assert [message.repeat for message in channel.got] == [False]
    assert outbox.due(NOW, 10) == []
    outbox.close()


def test_a_change_is_in_the_log_before_it_is_in_the_outbox(outbox: SqliteOutbox) -> None:
    log = MemoryLog()
    first = FencedOutbox(outbox, log.owned("notify"))
    second = FencedOutbox(outbox, log.owned("notify"))
    [due] = outbox.due(NOW, 10)
    with pytest.raises(FencedError):
        first.save(due.model_copy(update={"state": "sending"}))
    assert outbox.due(NOW, 10) == [due]
    second.save(due.model_copy(update={"state": "sending"}))
    assert [each.state for each in outbox.due(NOW, 10)] == ["sending"]
    assert list(log.latest("outbox")) == [due.id.encode()]
    outbox.close()


def test_one_that_slept_between_claiming_and_marking_marks_nothing_that_its_successor_has_sent(
    outbox: SqliteOutbox,
) -> None:
    log, channel, seconds = MemoryLog(), Listed(), iter([0.0, 15.0])
    owners: list[FencedOutbox] = []

    def woken() -> float:
        now = next(seconds)
        if now:  # meanwhile
            owners.append(FencedOutbox(outbox, log.owned("notify")))
            Deliverer(owners[0], {"here": channel}, said, ManualClock(NOW)).deliver_due()
        return now

    sleeper = FencedOutbox(outbox, log.owned("notify"), woken)
    [due] = outbox.due(NOW, 10)
    with pytest.raises(FencedError):
        sleeper.save(due.model_copy(update={"state": "sending"}))
    assert outbox.due(NOW, 10) == [], "what is sent stays sent"
    assert len(channel.got) == 1
    outbox.close()
