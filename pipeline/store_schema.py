"""The tables of the one SQLite file: log, index, state and outbox.

Version 1. A file of a newer version is refused; an older one would be migrated here, step by step.
"""

import sqlite3
from pathlib import Path

from opinionwatch.pipeline.errors import FatalError, RetryableError

VERSION = 1

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
"""


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open the store, making it when it is not there. Durable: WAL, synchronous=FULL, deleted content overwritten.

    Raises FatalError when the file is damaged, is no store, or is of a newer version, and RetryableError when it is
    locked for longer than 30 s.
    """
    if not read_only:
        path.parent.mkdir(parents=True, exist_ok=True)
    uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
    try:
        connection = sqlite3.connect(uri, uri=True, timeout=30, isolation_level=None, check_same_thread=False)
        if not read_only:
            path.chmod(0o600)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("PRAGMA wal_autocheckpoint = 2000")
            connection.execute("BEGIN IMMEDIATE")
            if _version(connection) == 0:
                for statement in TABLES.split(";\n"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute("COMMIT")
        version = _version(connection)
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise RetryableError(f"{path} is locked by another process") from error
        raise FatalError(f"cannot open {path}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise FatalError(
            f"{path} is damaged ({error}): restore it from a backup, or move it away to start anew"
        ) from error
    if version != VERSION:
        connection.close()
        raise FatalError(f"{path} is of store version {version}, this program reads {VERSION}")
    return connection


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
