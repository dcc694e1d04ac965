"""The writing side of the SQLite store: atomic, idempotent, and honest about a damaged file."""

import random
import sqlite3
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from opinionwatch.pipeline.archive import DocumentQuery
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.errors import FatalError, OpinionwatchError, RetryableError
from opinionwatch.pipeline.ports import Outcome
from opinionwatch.pipeline.store_lock import held
from opinionwatch.pipeline.store_schema import connect, stamp
from opinionwatch.pipeline.store_sqlite import SqliteStore
from opinionwatch.pipeline.store_tables import VERSION
from tests.pipeline.sample import NOON, dead, delivery, document, drop, episode, gap, mention, scored, silence, window


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "opinionwatch.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(path)
    yield opened
    opened.close()


def everything() -> list[Outcome]:
    """One record of every kind that a batch may leave."""
    indexed = scored(document(1))
    outcome: list[Outcome] = [indexed, mention(indexed), drop(document(2)), dead(3), gap(4)]
    return [*outcome, window(NOON), episode(1), delivery(1)]


def take_everything(store: SqliteStore) -> None:
    store.admit([document(1), document(2), dead(3)])
    store.write(everything())
    store.save_cursor("feed", "page-1")
    store.save_progress(NOON)


def contents(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, as another program sees them."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {table: sorted(db.execute(f"SELECT * FROM {table}"), key=repr) for table in tables}
    db.close()
    return found


def test_what_a_batch_leaves_is_committed_together(path: Path, store: SqliteStore) -> None:
    with store.transaction():
        take_everything(store)
        assert not any(contents(path).values())
    filled = {table for table, rows in contents(path).items() if rows}
    assert filled == set(contents(path)) - {"snapshots", "silences", "feedback", "erasures", "exports", "revisions"}


@pytest.mark.parametrize("failure", [RetryableError("later"), FatalError("stop"), KeyError("bug"), KeyboardInterrupt()])
def test_of_a_batch_that_fails_nothing_stays(path: Path, store: SqliteStore, failure: BaseException) -> None:
    with pytest.raises(type(failure)), store.transaction():
        take_everything(store)
        raise failure
    assert not any(contents(path).values())
    with store.transaction():
        take_everything(store)
    assert contents(path)["ledger"]


def test_writing_the_same_records_again_changes_nothing(path: Path, store: SqliteStore) -> None:
    with store.transaction():
        take_everything(store)
    once = contents(path)
    with store.transaction():
        store.write(everything())
    assert contents(path) == once


def test_a_delivery_that_was_sent_is_not_made_pending_again(path: Path, store: SqliteStore) -> None:
    with store.transaction():
        store.write([delivery(1, state="sent")])
        store.write([delivery(1, state="pending")])
    assert [each.state for each in SqliteArchive(path).deliveries()] == ["sent"]


def test_an_id_is_admitted_once_and_counted_each_time_after(path: Path, store: SqliteStore) -> None:
    with store.transaction():
        assert store.admit([document(1), document(2), document(1)]) == [document(1), document(2)]
    with store.transaction():
        assert store.admit([document(2), dead(9)]) == [dead(9)]
    [row] = SqliteArchive(path).ledger()
    assert (row.accepted, row.pending, row.duplicates) == (3, 3, 2)


def test_a_dead_letter_with_the_id_of_a_document_is_its_duplicate(path: Path, store: SqliteStore) -> None:
    twin = dead(1).model_copy(update={"id": document(1).id})
    with store.transaction():
        assert store.admit([document(1), twin]) == [document(1)]
        store.write([scored(document(1))])
    assert SqliteArchive(path).misfiled() == 0


def test_the_ledger_says_where_each_record_ended(path: Path, store: SqliteStore) -> None:
    with store.transaction():
        store.admit([document(4, accepted_at=NOON + timedelta(hours=1))])
        take_everything(store)
    first, second = SqliteArchive(path).ledger()
    assert (first.hour, first.accepted, first.indexed, first.dropped, first.dead) == ("2026-03-08T12Z", 3, 1, 1, 1)
    assert (second.hour, second.accepted, second.pending) == ("2026-03-08T13Z", 1, 1)
    assert (first.gap, second.gap) == (0, 0)


def test_times_sort_as_text_whatever_their_fraction() -> None:
    moments = [NOON, NOON + timedelta(microseconds=1), NOON + timedelta(seconds=1), NOON + timedelta(days=400)]
    assert sorted(map(stamp, reversed(moments))) == list(map(stamp, moments))


def test_the_log_gives_back_the_mentions_in_order_bit_for_bit(store: SqliteStore) -> None:
    origins = [scored(document(number, f"流墨 {number} \U0001f525")) for number in range(25)]
    said = [mention(origin, name, "battery", "price") for origin in origins for name in ("lumora", "all phones")]
    with store.transaction():
        store.write(origins)
        store.write(said)
    assert [each for chunk in store.mentions(0, chunk=7) for each in chunk] == said
    assert [each for chunk in store.mentions(40, chunk=7) for each in chunk] == said[40:]
    assert list(store.mentions(50)) == []


def test_a_snapshot_stands_at_the_end_of_the_log(store: SqliteStore) -> None:
    assert store.snapshot("trend") is None
    with store.transaction():
        store.save_snapshot("trend", b"\x00empty", NOON)
    assert store.snapshot("trend") == (0, b"\x00empty")
    with store.transaction():
        store.write(everything())
        store.save_snapshot("trend", b"\x00later", NOON)
    assert store.snapshot("trend") == (1, b"\x00later")


def test_progress_and_cursor_are_what_was_saved_last(path: Path, store: SqliteStore) -> None:
    assert store.progress() is None
    for step in (1, 2):
        with store.transaction():
            store.save_cursor("feed", f"page-{step}")
            store.save_progress(NOON + timedelta(microseconds=step))
    assert store.progress() == NOON + timedelta(microseconds=2)
    assert SqliteArchive(path).cursor("feed") == "page-2"
    assert SqliteArchive(path).cursor("other") is None


def test_silences_are_seen_by_the_runtime(path: Path, store: SqliteStore) -> None:
    SqliteArchive(path).add_silence(silence(1))
    assert store.silences() == [silence(1)]


def test_dead_letters_are_counted_from_a_moment_on(store: SqliteStore) -> None:
    with store.transaction():
        store.write([dead(number, accepted_at=NOON + timedelta(minutes=number)) for number in range(10)])
    assert store.dead_since(NOON + timedelta(minutes=4)) == 6


def test_a_redrive_takes_letters_out_of_the_ledger_once(path: Path, store: SqliteStore) -> None:
    letters = [dead(number) for number in range(3)]
    with store.transaction():
        store.admit(letters)
        store.write(letters)
    assert not store.redrives()
    assert store.request_redrive([letters[0].id, letters[2].id, "unknown"]) == 2
    assert store.redrives()
    with store.transaction():
        assert sorted(letter.id for letter in store.claim_redrives()) == sorted([letters[0].id, letters[2].id])
        assert store.claim_redrives() == []
    assert not store.redrives()
    assert [letter.id for letter in SqliteArchive(path).deadletters()] == [letters[1].id]
    assert sum(row.accepted for row in SqliteArchive(path).ledger()) == 1


def test_a_busy_store_is_a_reason_to_wait(path: Path, store: SqliteStore) -> None:
    store._db.execute("PRAGMA busy_timeout = 0")
    other = connect(path)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(RetryableError, match="busy"), store.transaction():
        pass
    other.execute("ROLLBACK")
    other.close()
    with store.transaction():
        take_everything(store)


def test_a_full_disk_is_a_reason_to_wait_and_takes_nothing(path: Path, store: SqliteStore) -> None:
    [(pages,)] = store._db.execute("PRAGMA page_count")
    store._db.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(RetryableError, match="full"), store.transaction():
        store.write([scored(document(number, "long " * 500)) for number in range(50)])
    assert not any(contents(path).values())
    store._db.execute("PRAGMA max_page_count = 1000000")
    with store.transaction():
        take_everything(store)


def test_the_file_is_for_its_owner_only_and_durable(path: Path, store: SqliteStore) -> None:
    assert path.stat().st_mode & 0o777 == 0o600
    settings = {name: store._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")}
    assert settings == {"journal_mode": "wal", "synchronous": 2}
    assert store._db.execute("PRAGMA secure_delete").fetchone()[0] == 1


def test_a_file_of_a_newer_version_is_left_alone(path: Path, store: SqliteStore) -> None:
    store._db.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(FatalError, match=f"version {VERSION + 1}, this program reads {VERSION}"):
        connect(path)


def garbage(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(8192))


def truncated(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2 // 4096 * 4096)


def torn(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1000)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def foreign(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE holidays (day TEXT)")
    db.close()


def text(path: Path) -> None:
    path.write_text("dear diary\n" * 1000)


def closed_store(path: Path, documents: int = 40) -> None:
    """A store that was shut down properly, everything in its one file."""
    store = SqliteStore(path)
    with store.transaction():
        take_everything(store)
        store.write([scored(document(number)) for number in range(10, 10 + documents)])
    store.close()
    assert not path.with_name(path.name + "-wal").exists()


@pytest.mark.parametrize(
    "damage", [garbage, truncated, torn, emptied, foreign, text], ids=lambda damage: damage.__name__
)
@pytest.mark.parametrize("read_only", [False, True])
def test_a_damaged_file_is_refused_with_a_cure_and_left_as_it_is(
    path: Path, damage: Callable[[Path], None], read_only: bool
) -> None:
    closed_store(path)
    damage(path)
    before = path.read_bytes()
    with pytest.raises(FatalError, match=r"restore it from a backup, or move it away") as caught:
        connect(path, read_only=read_only)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == before


def test_a_folder_where_the_file_should_be_is_said_and_not_thrown(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(FatalError, match="cannot open"):
        connect(path)


def test_bits_that_flip_are_met_as_our_own_errors_or_not_at_all(path: Path) -> None:
    closed_store(path)
    whole = path.read_bytes()
    dice = random.Random(20260308)
    met = 0
    for _ in range(150):
        broken = bytearray(whole)
        broken[dice.randrange(len(whole))] ^= 1 << dice.randrange(8)
        path.write_bytes(broken)
        try:
            store = SqliteStore(path)
            try:
                list(store.mentions(0))
                store.progress()
                with store.transaction():
                    store.admit([document(99)])
                    store.write([scored(document(99))])
            finally:
                store.close()
            archive = SqliteArchive(path)
            for _ in archive.every_document():
                pass
            archive.documents(DocumentQuery(limit=1000))
            archive.ledger()
            archive.misfiled()
            archive.windows("lumora", NOON, NOON + timedelta(hours=1))
            archive.deadletters()
        except OpinionwatchError:
            met += 1
        for name in ("-wal", "-shm"):
            path.with_name(path.name + name).unlink(missing_ok=True)
    assert met > 10


def test_only_one_runtime_holds_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    with (
        held(folder),
        pytest.raises(FatalError, match=r"already runs on .* stop it, or give this one its own"),
        held(folder),
    ):
        pass
    with held(folder):
        pass
