"""Opening the one SQLite file: durable, whole, and of this program's version.

A file of a newer version is refused; an older one is migrated, step by step, each in a transaction of its own.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile

from opinionwatch.pipeline.errors import FatalError, RetryableError, SettingsError
from opinionwatch.pipeline.store_tables import STEPS, TABLES, VERSION

PAGE_BYTES = 4096
BUSY_MS = 30_000
"""How long a statement waits for another process's lock."""
CURE = "restore it from a backup, or move it away to start anew"


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open the store, making it when it is not there. Durable: WAL, synchronous=FULL, deleted content overwritten.

    Raises FatalError when the file is damaged, is no store, or is of a newer version, SettingsError when it cannot be
    made, and RetryableError when it is locked for longer than 30 s.
    """
    if not read_only and not path.exists():
        try:
            _make(path)
        except OSError as error:
            raise SettingsError(
                f"data_dir: cannot make {path} ({error.strerror}): name a folder to write to"
            ) from error
    _refuse_a_torn_file(path)
    uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}"
    try:
        connection = sqlite3.connect(
            uri, uri=True, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False
        )
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if 0 < version < VERSION:
            connection.close()
            _migrate(path)
            return connect(path, read_only=read_only)
        if version == VERSION and not read_only:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.execute("PRAGMA wal_autocheckpoint = 2000")
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise RetryableError(f"{path} is locked by another process") from error
        raise FatalError(f"cannot open {path}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise FatalError(f"{path} is damaged ({error}): {CURE}") from error
    if version == VERSION:
        return connection
    connection.close()
    if version == 0:
        raise FatalError(f"{path} holds no store: {CURE}")
    raise FatalError(f"{path} is of store version {version}, this program reads {VERSION}: use a newer opinionwatch")


def _migrate(path: Path) -> None:
    """Bring a store of an older version up to this one's; a step that fails leaves it as it was."""
    with closing(
        sqlite3.connect(path.absolute().as_uri(), uri=True, timeout=BUSY_MS / 1000, isolation_level=None)
    ) as db:
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA secure_delete = ON")
        while True:
            db.execute("BEGIN IMMEDIATE")
            # Another process may have done it while this one waited.
            version = int(db.execute("PRAGMA user_version").fetchone()[0])
            if version >= VERSION:
                db.execute("ROLLBACK")
                return
            for statement in STEPS[version]:
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {version + 1}")
            db.execute("COMMIT")


def _make(path: Path) -> None:
    """Make an empty store, whole or not at all: so a file without its tables is always a damaged one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(":memory:")) as empty:
        empty.executescript(f"PRAGMA page_size = {PAGE_BYTES}; {TABLES} PRAGMA user_version = {VERSION};")
        with NamedTemporaryFile(dir=path.parent, prefix=path.name) as file:  # readable by its owner only
            file.write(empty.serialize())
            file.flush()
            os.fsync(file.fileno())
            with suppress(FileExistsError):
                os.link(file.name, path)


def _refuse_a_torn_file(path: Path) -> None:
    """SQLite itself would fill the rest of a torn last page with zeros."""
    log = path.with_name(path.name + "-wal")
    if not path.is_file() or (log.exists() and log.stat().st_size):
        return
    if path.stat().st_size % PAGE_BYTES:
        raise FatalError(f"{path} is damaged (its end is missing): {CURE}")


def stamp(moment: datetime) -> str:
    """UTC as text that sorts as time does: `2026-03-08T14:05:00.000000Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@contextmanager
def reading() -> Iterator[None]:
    """Read from the store: RetryableError when that does not work now, FatalError when what is there is damaged."""
    try:
        yield
    except (sqlite3.DatabaseError, ValueError, TypeError, LookupError) as error:
        if isinstance(error, sqlite3.OperationalError) and "decode" not in str(error):
            raise RetryableError(f"the store cannot be read now: {error}", after_s=1) from error
        words = error if isinstance(error, sqlite3.Error) else type(error).__name__
        raise FatalError(f"the store is damaged ({words}): {CURE}") from error
