"""A store of version 1 becomes one of today: nothing lost, all or nothing, also when only a reader opens it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.errors import FatalError
from opinionwatch.pipeline.store_schema import connect
from opinionwatch.pipeline.store_sqlite import SqliteStore
from opinionwatch.pipeline.store_tables import STEPS, VERSION
from tests.pipeline.sample import NOON, dead, document, scored
from tests.pipeline.test_store import contents, take_everything

NEW = ("gaps", "erasures", "feedback", "exports", "revisions")
COLUMNS = ("version", "accepted_at", "published_at")
"""Of the ledger, since version 3."""


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Path]:
    """A full store as version 1 wrote it: today's, less what came since."""
    path = tmp_path / "data" / "opinionwatch.db"
    store = SqliteStore(path)
    with store.transaction():
        take_everything(store)
        store.save_snapshot("trend", b"state", NOON)
    store.close()
    with closing(sqlite3.connect(path)) as db:
        for table in NEW:
            db.execute(f"DROP TABLE {table}")
        for column in COLUMNS:
            db.execute(f"ALTER TABLE ledger DROP COLUMN {column}")
        db.execute("PRAGMA user_version = 1")
        db.commit()
    yield path


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def schema(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as db:
        return {" ".join(sql.split()) for (sql,) in db.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}


def test_every_version_has_its_step() -> None:
    assert set(STEPS) == set(range(1, VERSION))


def test_an_old_store_keeps_every_row_and_gets_what_is_new(old: Path, tmp_path: Path) -> None:
    before = contents(old)
    store = SqliteStore(old)
    after = contents(old)
    ledger = before.pop("ledger")
    assert after.pop("ledger") == [(*row, 0, None, None) for row in ledger]
    assert {table: rows for table, rows in after.items() if table not in NEW} == before
    assert [after[table] for table in NEW] == [[]] * len(NEW)
    with store.transaction():
        assert store.admit([document(1), document(9), dead(3)]) == [document(9)]
        store.write([scored(document(9))])
    store.close()
    fresh = tmp_path / "fresh" / "opinionwatch.db"
    connect(fresh).close()
    assert (version(old), schema(old)) == (VERSION, schema(fresh)), "migrated and new stores are alike"


def test_a_reader_alone_migrates_it_too(old: Path) -> None:
    assert SqliteArchive(old).document(document(1).id) is not None
    assert version(old) == VERSION


def test_a_step_that_fails_leaves_the_store_as_it_was(old: Path) -> None:
    with closing(sqlite3.connect(old)) as db:
        db.execute("CREATE TABLE exports (mine TEXT)")
        db.commit()
    before = contents(old)
    with pytest.raises(FatalError, match=r"cannot open .*exports already exists"):
        SqliteStore(old)
    assert (version(old), contents(old)) == (1, before)
