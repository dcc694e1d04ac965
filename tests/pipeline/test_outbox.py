"""The outbox in the store's file: what is due, in which order, and what a change of state leaves behind."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from threading import Thread

import pytest

from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.outbox_sqlite import SqliteOutbox
from opinionwatch.pipeline.store_sqlite import SqliteStore
from tests.pipeline.sample import NOON, delivery

LATER = NOON + timedelta(hours=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "opinionwatch.db")
    yield opened
    opened.close()


@pytest.fixture
def outbox(tmp_path: Path, store: SqliteStore) -> Iterator[SqliteOutbox]:
    opened = SqliteOutbox(tmp_path / "opinionwatch.db")
    yield opened
    opened.close()


def test_what_is_due_comes_oldest_first_and_nothing_before_its_time(store: SqliteStore, outbox: SqliteOutbox) -> None:
    made = [delivery(number, due_at=NOON + timedelta(minutes=number)) for number in (3, 1, 2, 90)]
    with store.transaction():
        store.write(made)
        assert outbox.due(LATER, 10) == []
    assert outbox.due(LATER, 10) == [made[1], made[2], made[0]]
    assert outbox.due(LATER, 2) == [made[1], made[2]]
    assert outbox.due(NOON, 10) == []


def test_what_an_earlier_life_left_in_sending_is_due_and_what_is_settled_is_not(
    store: SqliteStore, outbox: SqliteOutbox
) -> None:
    with store.transaction():
        store.write([delivery(1, state="sending", due_at=LATER + timedelta(days=1))])
        store.write([delivery(2, state="sent"), delivery(3, state="failed"), delivery(4, state="suppressed")])
    assert outbox.due(LATER, 10) == [delivery(1, state="sending", due_at=LATER + timedelta(days=1))]


def test_a_saved_state_is_durable_and_seen_by_everybody(
    tmp_path: Path, store: SqliteStore, outbox: SqliteOutbox
) -> None:
    with store.transaction():
        store.write([delivery(1), delivery(2)])
    again = delivery(1).model_copy(update={"attempts": 1, "due_at": LATER, "detail": "503 from the channel"})
    outbox.save(again)
    outbox.save(delivery(2, state="sent"))
    assert outbox.due(NOON, 10) == []
    second = SqliteOutbox(tmp_path / "opinionwatch.db")
    assert second.due(LATER, 10) == [again]
    second.close()
    assert {each.state for each in SqliteArchive(tmp_path / "opinionwatch.db").deliveries()} == {"pending", "sent"}


def test_what_somebody_else_has_changed_is_read_anew(tmp_path: Path, store: SqliteStore, outbox: SqliteOutbox) -> None:
    with store.transaction():
        store.write([delivery(1), delivery(2)])
    assert len(outbox.due(LATER, 10)) == 2
    other = SqliteOutbox(tmp_path / "opinionwatch.db")
    changed = delivery(1).model_copy(update={"attempts": 1, "detail": "503 from the channel"})
    other.save(changed, delivery(2, state="sent"))
    other.close()
    assert outbox.due(LATER, 10) == [changed]


def test_sending_goes_on_while_a_batch_is_being_committed(store: SqliteStore, outbox: SqliteOutbox) -> None:
    with store.transaction():
        store.write([delivery(1)])
    outbox._db.execute("PRAGMA busy_timeout = 0")
    with store.transaction():
        store.save_cursor("feed", "1")
        assert outbox.due(LATER, 10) == [delivery(1)]
        with pytest.raises(RetryableError, match="cannot be written now"):
            outbox.save(delivery(1, state="sent"))
    outbox.save(delivery(1, state="sent"))
    assert outbox.due(LATER, 10) == []


def test_lanes_of_several_channels_may_save_at_once(store: SqliteStore, outbox: SqliteOutbox) -> None:
    made = [delivery(number) for number in range(12)]
    with store.transaction():
        store.write(made)
    lanes = [Thread(target=outbox.save, args=(each.model_copy(update={"state": "sent"}),)) for each in made]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()
    assert outbox.due(LATER, 100) == []
