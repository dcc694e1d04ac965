"""The outbox in the store's file beside the store itself; what every outbox must do is in the contract suite."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.outbox_sqlite import SqliteOutbox
from opinionwatch.pipeline.store_erasures import scrub
from opinionwatch.pipeline.store_schema import PAGE_BYTES
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


def test_what_a_batch_decides_is_due_when_the_batch_is_committed(store: SqliteStore, outbox: SqliteOutbox) -> None:
    with store.transaction():
        store.write([delivery(1)])
        assert outbox.due(LATER, 10) == []
    assert outbox.due(LATER, 10) == [delivery(1)]


def test_a_saved_state_is_seen_by_the_archive(tmp_path: Path, store: SqliteStore, outbox: SqliteOutbox) -> None:
    with store.transaction():
        store.write([delivery(1), delivery(2)])
    outbox.save(delivery(1).model_copy(update={"attempts": 1, "due_at": LATER}), delivery(2, state="sent"))
    assert {each.state for each in SqliteArchive(tmp_path / "opinionwatch.db").deliveries()} == {"pending", "sent"}


def test_a_damaged_file_is_never_to_be_asked_again(tmp_path: Path, store: SqliteStore, outbox: SqliteOutbox) -> None:
    outbox.save(delivery(1))
    for opened in (outbox, store):
        opened.close()
    path = tmp_path / "opinionwatch.db"
    with closing(sqlite3.connect(path)) as db:
        roots = db.execute("SELECT rootpage FROM sqlite_master WHERE tbl_name IN ('deliveries', 'cursors')").fetchall()
    with path.open("r+b") as file:
        for (page,) in roots:
            file.seek((page - 1) * PAGE_BYTES)
            file.write(b"\xa5" * PAGE_BYTES)
    damaged = SqliteOutbox(path)
    asked: tuple[Callable[[], object], ...] = (
        lambda: damaged.due(NOON, 10),
        lambda: damaged.save(delivery(1, state="sent")),
        lambda: damaged.note("digest/morning"),
        lambda: damaged.keep("digest/morning", "text"),
    )
    for ask in asked:
        with pytest.raises(FatalError, match="restore it from a backup"):
            ask()
    damaged.close()


def test_what_was_erased_while_it_was_being_sent_does_not_come_back(tmp_path: Path, outbox: SqliteOutbox) -> None:
    outbox.save(delivery(1))
    [held] = outbox.due(NOON, 10)
    shown = held.alert.episode.explanation.exemplars[0]
    with closing(sqlite3.connect(tmp_path / "opinionwatch.db")) as db, db:
        assert scrub(db, {shown.document_id: shown.text}) == (0, 1)
    outbox.save(held.model_copy(update={"attempts": 1, "detail": "503"}))
    [found] = outbox.due(NOON, 10)
    assert (found.attempts, found.detail) == (1, "503")
    assert shown.text not in found.model_dump_json()
    assert shown.text in held.model_dump_json()
