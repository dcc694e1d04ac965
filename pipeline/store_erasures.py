"""Erasure in the SQLite store: every table that holds what a person said, in the transaction of the caller.

An erased id stays in the ledger as its own tombstone (dropped: `erased`), so a replay that brings it again meets a
duplicate. An erased author stays as a keyed pseudonym and a time: what was published under it before then is dropped
(`erased`), whenever it arrives.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from opinionwatch.pipeline.contracts import Document, Mention, ScoredDocument
from opinionwatch.pipeline.contracts_trend import Delivery, Episode
from opinionwatch.pipeline.mention import mention_of
from opinionwatch.pipeline.scrub import scrubbed, scrubbed_delivery
from opinionwatch.pipeline.store_schema import BUSY_MS, reading
from opinionwatch.pipeline.versions import DELETED


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure found, by place."""

    documents: int = 0
    deadletters: int = 0
    episodes: int = 0
    deliveries: int = 0


class Erasures:
    """Requests to erase, and their execution. Shares the connection of the store's writer."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database

    def request(self, authors: Iterable[str], documents: Iterable[str], asked_at: datetime) -> None:
        """Ask for the erasure of authors (pseudonyms) and documents (ids); again, where it was done before."""
        wanted = [*(("author", author) for author in authors), *(("document", each) for each in documents)]
        self._db.executemany(
            "INSERT OR REPLACE INTO erasures (kind, value, asked_at) VALUES (?, ?, ?)",
            [(kind, value, asked_at.astimezone(UTC).isoformat()) for kind, value in wanted],
        )

    @reading()
    def waiting(self) -> bool:
        """Whether something is to be erased."""
        return self._db.execute("SELECT 1 FROM erasures WHERE done_at IS NULL LIMIT 1").fetchone() is not None

    @reading()
    def found(self, values: Sequence[str]) -> int | None:
        """How many records the erasure of these took; None while it is not done."""
        rows = [self._db.execute("SELECT done_at, found FROM erasures WHERE value = ?", (value,)) for value in values]
        # What was erased together has the same time, and each of its rows the count of all.
        done = {(at, int(count)) for cursor in rows for at, count in cursor}
        return None if any(at is None for at, _ in done) else sum(count for _, count in done)

    @reading()
    def is_erased(self, document: Document) -> bool:
        """Whether the author of a document was erased after it was published."""
        if document.author is None:
            return False
        row = self._db.execute(
            "SELECT asked_at FROM erasures WHERE kind = 'author' AND value = ?", (document.author,)
        ).fetchone()
        return row is not None and document.published_at <= datetime.fromisoformat(row[0])

    @reading()
    def doomed(self) -> tuple[list[str], list[Mention]]:
        """The authors to be erased, and all mentions of documents that are to be erased."""
        authors = [value for (value,) in self._db.execute(
            "SELECT value FROM erasures WHERE kind = 'author' AND done_at IS NULL ORDER BY value"
        )]  # fmt: skip
        self._db.execute("CREATE TEMP TABLE IF NOT EXISTS doomed (id TEXT PRIMARY KEY) WITHOUT ROWID")
        self._db.execute("DELETE FROM doomed")
        self._db.execute(
            "INSERT INTO doomed SELECT value FROM erasures WHERE kind = 'document' AND done_at IS NULL UNION "
            "SELECT id FROM documents WHERE json_extract(CAST(body AS TEXT), '$.document.author') IN "
            "(SELECT value FROM erasures WHERE kind = 'author' AND done_at IS NULL)"
        )
        rows = self._db.execute(
            "SELECT watchlist, aspect, aspects, body FROM mentions JOIN documents ON id = document_id "
            "WHERE document_id IN (SELECT id FROM doomed) ORDER BY seq"
        )
        return authors, [
            mention_of(ScoredDocument.model_validate_json(body), watchlist, aspect, tuple(orjson.loads(names)))
            for watchlist, aspect, names, body in rows
        ]

    def erase(self, authors: Sequence[str], mentions: Sequence[Mention], now: datetime) -> Erased:
        """Erase what `doomed` found, and what was told of it. Call it in a transaction, right after `doomed`."""
        self._db.executemany(
            "INSERT OR IGNORE INTO doomed SELECT id FROM deadletters WHERE instr(body, CAST(? AS BLOB)) > 0",
            [(author,) for author in authors],
        )
        texts = {mention.document_id: mention.text for mention in mentions}
        episodes, deliveries = scrub(self._db, texts) if texts else (0, 0)
        self._db.execute("DELETE FROM mentions WHERE document_id IN (SELECT id FROM doomed)")
        documents = self._db.execute("DELETE FROM documents WHERE id IN (SELECT id FROM doomed)").rowcount
        letters = self._db.execute("DELETE FROM deadletters WHERE id IN (SELECT id FROM doomed)").rowcount
        self._db.execute(
            "UPDATE ledger SET state = 'dropped', rule = 'erased', version = ? WHERE id IN (SELECT id FROM doomed)",
            (DELETED,),
        )
        self._db.execute("DELETE FROM doomed")
        self._db.execute(
            "UPDATE erasures SET done_at = ?, found = ? WHERE done_at IS NULL",
            (now.astimezone(UTC).isoformat(), documents + letters),
        )
        return Erased(documents, letters, episodes, deliveries)

    def clean(self, patience_s: float) -> bool:
        """After the commit: empty the write-ahead log, which still holds what was erased. Whether that is done; readers
        may hold it up.
        """
        self._db.execute(f"PRAGMA busy_timeout = {round(1000 * patience_s)}")
        try:
            busy, _, _ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.OperationalError:  # a full disk, a lock: tried again by whoever asks
            return False
        finally:
            self._db.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        return not busy


def scrub(db: sqlite3.Connection, texts: dict[str, str], quoted: str = "") -> tuple[int, int]:
    """Leave these documents (id → text) out of episodes and deliveries; `quoted`: only where this one is quoted.
    Returns how many of each told of them.
    """
    episodes = deliveries = 0
    where = "WHERE ?1 = '' OR instr(body, CAST(?1 AS BLOB)) > 0"
    for key, body in db.execute(f"SELECT id, body FROM episodes {where}", (quoted,)).fetchall():  # noqa: S608 - fixed
        episode = Episode.model_validate_json(body)
        kept = scrubbed(episode, texts)
        if kept is not episode:
            episodes += 1
            db.execute("UPDATE episodes SET body = ? WHERE id = ?", (_body(kept), key))
    for key, body in db.execute(f"SELECT id, body FROM deliveries {where}", (quoted,)).fetchall():  # noqa: S608
        delivery = Delivery.model_validate_json(body)
        kept_delivery = scrubbed_delivery(delivery, texts)
        if kept_delivery is not delivery:
            deliveries += 1
            db.execute("UPDATE deliveries SET body = ? WHERE id = ?", (_body(kept_delivery), key))
    return episodes, deliveries


def _body(record: Episode | Delivery) -> bytes:
    return record.model_dump_json(exclude_defaults=True).encode()
