"""The tables of the one SQLite file: log, index, state and outbox.

Version 1. A file of a newer version is refused; an older one would be migrated here, step by step.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from opinionwatch.pipeline.errors import FatalError, RetryableError, SettingsError

VERSION = 1
PAGE_BYTES = 4096
CURE = "restore it from a backup, or move it away to start anew"

TABLES = """
CREATE TABLE ledger (            -- every accepted id and where it ended
    id TEXT PRIMARY KEY, source TEXT NOT NULL, hour TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'indexed', 'dead', 'dropped')), rule TEXT,
    duplicates INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE documents (         -- index
    id TEXT PRIMARY KEY, source TEXT NOT NULL, lang TEXT NOT NULL, label TEXT NOT NULL,
    published_at TEXT NOT NULL, accepted_at TEXT NOT NULL, body BLOB NOT NULL
);
CREATE INDEX documents_by_time ON documents (published_at);
CREATE TABLE mentions (          -- log: what the trend hop reads, in order of `seq`
    seq INTEGER PRIMARY KEY, document_id TEXT NOT NULL, watchlist TEXT NOT NULL, aspect TEXT NOT NULL,
    aspects TEXT NOT NULL, label TEXT NOT NULL, published_at TEXT NOT NULL, UNIQUE (document_id, watchlist)
);
CREATE INDEX mentions_by_watchlist ON mentions (watchlist, published_at);
CREATE TABLE windows (           -- index
    watchlist TEXT NOT NULL, start TEXT NOT NULL, source TEXT NOT NULL, aspect TEXT NOT NULL,
    posts INTEGER NOT NULL, voices INTEGER NOT NULL, negative INTEGER NOT NULL, positive INTEGER NOT NULL,
    unsure INTEGER NOT NULL, negative_voices INTEGER NOT NULL, sure_voices INTEGER NOT NULL,
    PRIMARY KEY (watchlist, start, source, aspect)
) WITHOUT ROWID;
CREATE TABLE episodes (
    id TEXT PRIMARY KEY, watchlist TEXT NOT NULL, opened_at TEXT NOT NULL, body BLOB NOT NULL
);
CREATE TABLE deliveries (        -- outbox
    id TEXT PRIMARY KEY, episode_id TEXT NOT NULL, state TEXT NOT NULL, due_at TEXT NOT NULL, body BLOB NOT NULL
);
CREATE INDEX deliveries_due ON deliveries (state, due_at);
CREATE TABLE deadletters (
    id TEXT PRIMARY KEY, reason TEXT NOT NULL, accepted_at TEXT NOT NULL, redrive INTEGER NOT NULL DEFAULT 0,
    body BLOB NOT NULL
);
CREATE INDEX deadletters_to_redrive ON deadletters (redrive) WHERE redrive = 1;
CREATE TABLE cursors (source TEXT PRIMARY KEY, cursor TEXT NOT NULL);
CREATE TABLE snapshots (name TEXT PRIMARY KEY, seq INTEGER NOT NULL, progress TEXT NOT NULL, state BLOB NOT NULL);
CREATE TABLE progress (one INTEGER PRIMARY KEY CHECK (one = 1), up_to TEXT NOT NULL);
CREATE TABLE silences (id TEXT PRIMARY KEY, starts_at TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE feedback (id TEXT PRIMARY KEY, episode_id TEXT NOT NULL, at TEXT NOT NULL, body BLOB NOT NULL);
CREATE INDEX feedback_by_episode ON feedback (episode_id);
"""


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
        connection = sqlite3.connect(uri, uri=True, timeout=30, isolation_level=None, check_same_thread=False)
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version == VERSION and not read_only:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")
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
