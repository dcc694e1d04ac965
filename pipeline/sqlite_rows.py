"""Questions to a store's file beside its writer: one read-only connection a thread, and small writes of their own."""

import sqlite3
from pathlib import Path
from threading import local

from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.store_schema import CURE, connect

Row = tuple[object, ...]


class Rows:
    """A store that exists, as rows."""

    def __init__(self, path: Path) -> None:
        """Open a store that exists. Raises FatalError when there is none."""
        if not path.exists():
            raise FatalError(f"there is no store at {path}: `opinionwatch demo` or `opinionwatch run` makes one")
        self._path = path
        self._threads = local()
        self._database()

    def _rows(self, sql: str, *values: object) -> list[Row]:
        return self._execute(sql, *values).fetchall()

    def _execute(self, sql: str, *values: object) -> sqlite3.Cursor:
        return self._database().execute(sql, values)

    def _database(self) -> sqlite3.Connection:
        db: sqlite3.Connection | None = getattr(self._threads, "db", None)
        if db is None:
            db = self._threads.db = connect(self._path, read_only=True)
            db.create_function("lowered", 1, str.lower, deterministic=True)  # SQLite's own knows ASCII only
        return db

    def _write(self, sql: str, *values: object) -> int:
        """One small durable transaction beside the writer. Returns how many rows it changed."""
        db = connect(self._path)
        try:
            return db.execute(sql, values).rowcount
        except sqlite3.OperationalError as error:
            raise RetryableError(f"the store is busy: {error}", after_s=1) from error
        except sqlite3.DatabaseError as error:
            raise FatalError(f"the store is damaged ({error}): {CURE}") from error
        finally:
            db.close()
