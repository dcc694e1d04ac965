"""The SQLite store as the ledger of daemons that share one machine: no Elasticsearch needed to try the Kafka runtime.

Each call is one transaction of the store; the log's offsets are committed after it, elsewhere, so every call may come
twice.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from opinionwatch.pipeline.contracts import DeadLetter
from opinionwatch.pipeline.contracts_changes import Engaged
from opinionwatch.pipeline.ports import Outcome
from opinionwatch.pipeline.revisions import Admitted, Record
from opinionwatch.pipeline.store_sqlite import SqliteStore


class SqliteLedger:
    """A `Ledger` on one SQLite file. Any number of processes on this machine; one thread in each."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    @property
    def cpu_s(self) -> float:
        """None: it writes in the caller's thread."""
        return 0.0

    def admit(self, records: Iterable[Record]) -> list[Admitted]:
        """Enter ids; returns what is to go on: new records, later versions, and those that an earlier life had not
        finished.
        """
        admission = self._store.admission
        going: list[Admitted] = []
        taken: dict[str, list[Record]] = {}
        with self._store.transaction():
            for record in map(admission.righted, records):
                before = taken.setdefault(record.id, [])
                if record in before:  # the same line of the log, read twice
                    continue
                if (not before or record.version) and admission.is_same(record):
                    found: list[Admitted] = [admission.again(record)]
                else:
                    found = admission.admit([record])
                if any(not isinstance(each, Engaged) for each in found):
                    before.append(record)
                going += found
        return going

    def write(self, records: Iterable[Outcome]) -> list[DeadLetter]:
        """Write what a hop returned, but nothing of a version that another one has superseded meanwhile. SQLite refuses
        no document.
        """
        with self._store.transaction():
            self._store.write(record for record in records if not self._store.admission.is_superseded(record))
        return []

    def write_parts(self, parts: Iterable[Sequence[Outcome]]) -> list[DeadLetter]:
        """The same, a transaction a part."""
        for part in parts:
            self.write(part)
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
