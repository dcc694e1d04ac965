"""The SQLite store as the ledger of daemons that share one machine: no Elasticsearch needed to try the Kafka runtime.

Each call is one transaction of the store; the log's offsets are committed after it, elsewhere, so every call may come
twice.
"""

from collections.abc import Iterable
from datetime import datetime

from opinionwatch.pipeline.contracts import DeadLetter, Document
from opinionwatch.pipeline.ports import Outcome
from opinionwatch.pipeline.store_sqlite import SqliteStore


class SqliteLedger:
    """A `Ledger` on one SQLite file. Any number of processes on this machine; one thread in each."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def admit(self, records: Iterable[Document | DeadLetter]) -> list[Document | DeadLetter]:
        """Enter ids; returns what is to go on: new records, and those that an earlier life had not finished."""
        given = list(records)
        with self._store.transaction():
            first: dict[str, Document | DeadLetter] = {}
            for record in given:
                first.setdefault(record.id, record)
            again = {id_ for id_, record in first.items() if self._store.is_same(record)}
            new = {record.id for record in self._store.admit(first[id_] for id_ in first if id_ not in again)}
            # A second record of one id, delivered beside the first: only counted.
            self._store.admit(
                record for record in given if record is not first[record.id] and record != first[record.id]
            )
            return [record for id_, record in first.items() if id_ in again or id_ in new]

    def write(self, records: Iterable[Outcome]) -> list[DeadLetter]:
        """Write what a hop returned. SQLite refuses no document."""
        with self._store.transaction():
            self._store.write(records)
        return []

    def save_progress(self, up_to: datetime, part: str) -> None:
        """How far the trend hop has come. There is one mark for all parts: the last one told."""
        del part
        with self._store.transaction():
            self._store.save_progress(up_to)

    def forget_letter(self, letter_id: str) -> None:
        """A dead letter that was tried again has a better end now."""
        with self._store.transaction():
            self._store.forget_letter(letter_id)
