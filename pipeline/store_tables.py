"""The tables of the one SQLite file (log, index, state, outbox), and the steps from one version of them to the next."""

from opinionwatch.pipeline.versions import DELETED

VERSION = 3
NOTES = "note:"
"""What the names of notes begin with among the cursors; no source is called so."""

SINCE_2 = """
CREATE TABLE gaps (              -- what a source could not have, because its service had dropped it before
    id TEXT PRIMARY KEY, source TEXT NOT NULL, found_at TEXT NOT NULL, body BLOB NOT NULL
);
CREATE TABLE erasures (          -- what people wanted erased (authors as keyed pseudonyms)
    kind TEXT NOT NULL CHECK (kind IN ('author', 'document')), value TEXT NOT NULL, asked_at TEXT NOT NULL,
    done_at TEXT, found INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (kind, value)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS feedback (
    id TEXT PRIMARY KEY, episode_id TEXT NOT NULL, at TEXT NOT NULL, body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS feedback_by_episode ON feedback (episode_id);
CREATE TABLE exports (path TEXT PRIMARY KEY, written_at TEXT NOT NULL, documents INTEGER NOT NULL) WITHOUT ROWID;
"""
SINCE_3 = """
CREATE TABLE revisions (         -- later versions of an id that were admitted
    id TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (id, version)
) WITHOUT ROWID;
"""
TABLES = (
    """
CREATE TABLE ledger (            -- every accepted id and where it ended (an erased one stays: dropped)
    id TEXT PRIMARY KEY, source TEXT NOT NULL, hour TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'indexed', 'dead', 'dropped')), rule TEXT,
    duplicates INTEGER NOT NULL DEFAULT 0
, version INTEGER NOT NULL DEFAULT 0, accepted_at TEXT, published_at TEXT) WITHOUT ROWID;
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
    + SINCE_2
    + SINCE_3
)

STEPS: dict[int, tuple[str, ...]] = {
    1: tuple(statement for statement in SINCE_2.split(";") if statement.strip()),
    2: (
        "ALTER TABLE ledger ADD COLUMN version INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE ledger ADD COLUMN accepted_at TEXT",
        "ALTER TABLE ledger ADD COLUMN published_at TEXT",
        f"UPDATE ledger SET version = {DELETED} WHERE rule = 'erased'",  # noqa: S608 - a number of ours
        SINCE_3,
    ),
}
"""Statements that make a store of the next version out of one of this version."""
