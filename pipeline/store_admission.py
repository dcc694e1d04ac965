"""Admission to the SQLite store: which delivered records go on. The rules are those of `revisions`."""

import sqlite3
from collections.abc import Iterable
from datetime import datetime

from opinionwatch.pipeline.contracts import DeadLetter, Document
from opinionwatch.pipeline.contracts_changes import Deletion
from opinionwatch.pipeline.revisions import Admitted, First, Record, about, engaged, revised, righted
from opinionwatch.pipeline.store_erasures import Erasures
from opinionwatch.pipeline.store_schema import stamp


class Admission:
    """The ledger's entries. Shares the connection of the store's writer, and its transaction."""

    def __init__(self, database: sqlite3.Connection, erasures: Erasures) -> None:
        self._db, self._erasures = database, erasures

    def admit(self, records: Iterable[Record]) -> list[Admitted]:
        """Enter new ids as pending and later versions as those that stand. Returns both, and new figures of engagement;
        other deliveries of known ids are counted as duplicates. What an erased author published before his erasure is
        dropped (`erased`).
        """
        going: list[Admitted] = []
        for record in records:
            admitted = self._admit(record)
            if admitted is not None:
                going.append(admitted)
        return going

    def is_same(self, record: Document | Deletion | DeadLetter) -> bool:
        """Whether this very record (id, version and `accepted_at`) was admitted before.

        One without an outcome yet counts as the same: nothing else of its id can have been delivered before it was
        finished. So does one that was dropped.
        """
        row = self._db.execute(
            "SELECT l.state, l.version, l.accepted_at, coalesce(d.accepted_at, x.accepted_at) FROM ledger l "
            "LEFT JOIN documents d ON d.id = l.id LEFT JOIN deadletters x ON x.id = l.id WHERE l.id = ?",
            (record.id,),
        ).fetchone()
        if row is None:
            return False
        state, version, first_at, lies_at = row
        if (
            record.version
            and self._db.execute(
                "SELECT 1 FROM revisions WHERE id = ? AND version = ?", (record.id, record.version)
            ).fetchone()
        ):
            return True
        if record.version != version and first_at is not None:
            return bool(first_at == stamp(record.accepted_at))
        return state in ("pending", "dropped") or lies_at == stamp(record.accepted_at)

    def righted(self, record: Record) -> Record:
        """The record as it counts: a later version where the ledger knows its id by a delivery that was refused."""
        refused = self._db.execute(
            "SELECT 1 FROM ledger WHERE id = ? AND accepted_at IS NOT NULL AND published_at IS NULL", (record.id,)
        ).fetchone()
        return righted(record, self._first(record)) if refused else record

    def again(self, record: Record) -> Record:
        """A record that was admitted before, as it was admitted: in the place and the times of the first version."""
        first = self._first(record)
        same = not record.version or first.accepted_at == record.accepted_at
        return record if same else revised(record, first)

    def _first(self, record: Record) -> First:
        """What the ledger keeps of an id that it has; of one that an older program has entered, the document does."""
        source, accepted_at, published_at = self._db.execute(
            "SELECT l.source, coalesce(l.accepted_at, d.accepted_at), coalesce(l.published_at, d.published_at) "
            "FROM ledger l LEFT JOIN documents d ON d.id = l.id WHERE l.id = ?",
            (record.id,),
        ).fetchone()
        return First(
            source,
            datetime.fromisoformat(accepted_at) if accepted_at else record.accepted_at,
            datetime.fromisoformat(published_at) if published_at else None,
        )

    def is_superseded(self, outcome: object) -> bool:
        """Whether a later version of what an outcome is about was admitted."""
        name, version = about(outcome)
        row = self._db.execute("SELECT version FROM ledger WHERE id = ?", (name,)).fetchone() if name else None
        return row is not None and bool(row[0] > version)

    def _admit(self, record: Record) -> Admitted | None:
        published = stamp(record.published_at) if isinstance(record, Document) else None
        added = self._db.execute(
            "INSERT OR IGNORE INTO ledger (id, source, hour, state, version, accepted_at, published_at) "
            "VALUES (?, ?, ?, 'pending', ?, ?, ?)",
            (record.id, record.source, record.accepted_at.strftime("%Y-%m-%dT%HZ"), record.version,
             stamp(record.accepted_at), published),
        )  # fmt: skip
        if added.rowcount:
            return self._unless_erased(record)
        record = self.righted(record)
        [(version,)] = self._db.execute("SELECT version FROM ledger WHERE id = ?", (record.id,)).fetchall()
        if record.version > version:
            self._db.execute("UPDATE ledger SET version = ? WHERE id = ?", (record.version, record.id))
            self._db.execute("INSERT OR IGNORE INTO revisions VALUES (?, ?)", (record.id, record.version))
            return self._unless_erased(revised(record, self._first(record)))
        self._db.execute("UPDATE ledger SET duplicates = duplicates + 1 WHERE id = ?", (record.id,))
        return engaged(record, self._first(record).accepted_at)

    def _unless_erased(self, record: Record) -> Record | None:
        if isinstance(record, Document) and self._erasures.is_erased(record):
            self._db.execute("UPDATE ledger SET state = 'dropped', rule = 'erased' WHERE id = ?", (record.id,))
            return None
        return record
