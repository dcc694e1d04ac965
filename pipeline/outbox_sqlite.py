"""The outbox of the SQLite store, on a connection of its own so that sending never holds up a batch."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import Lock

from opinionwatch.pipeline.contracts_trend import Delivery
from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.store_schema import CURE, connect, reading, stamp
from opinionwatch.pipeline.store_tables import NOTES


class SqliteOutbox:
    """Deliveries in the store's file; one small durable transaction a change of state. Also keeps `Notes`."""

    def __init__(self, path: Path) -> None:
        """Open the store's file."""
        self._db = connect(path)
        self._lock = Lock()
        self._read: dict[str, tuple[bytes, Delivery]] = {}
        """The backlog as it was read: it is asked for before every attempt, and little of it has changed by then."""

    @reading()
    def due(self, now: datetime, limit: int) -> list[Delivery]:
        """Pending deliveries whose time has come, oldest first, and those an earlier life left in `sending`."""
        with self._lock:
            rows = self._db.execute(
                "SELECT id, body FROM deliveries WHERE state = 'sending' OR (state = 'pending' AND due_at <= ?) "
                "ORDER BY due_at, id LIMIT ?",
                (stamp(now), limit),
            ).fetchall()
            return [self._delivery(name, body) for name, body in rows]

    def _delivery(self, name: str, body: bytes) -> Delivery:
        known = self._read.get(name)
        if known is None or known[0] != body:
            known = self._read[name] = (body, Delivery.model_validate_json(body))
        return known[1]

    def save(self, *deliveries: Delivery) -> None:
        """Replace the deliveries' state, or add those that are new: all or none, durable when it returns.

        One that is new stays as it is when it is added again: a fallback is told once.
        """
        self._commit(deliveries, new=True)

    def put_off(self, delivery: Delivery) -> None:
        """Replace one, though it may never have been tried; durable when it returns."""
        self._commit([delivery], new=False)

    def _commit(self, deliveries: Sequence[Delivery], *, new: bool) -> None:
        with _writing(), self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                for one in deliveries:
                    self._save(one, new=new and one.state == "pending" and not one.attempts)
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _save(self, delivery: Delivery, *, new: bool) -> None:
        self._read.pop(delivery.id, None)
        found = self._db.execute("SELECT body FROM deliveries WHERE id = ?", (delivery.id,)).fetchone()
        # What was erased from the alert meanwhile must not come back.
        kept = delivery if found is None else _with_alert_of(delivery, found[0])
        body = kept.model_dump_json(exclude_defaults=True).encode()
        row = (kept.id, kept.alert.episode.id, kept.state, stamp(kept.due_at), body)
        if new:
            self._db.execute("INSERT OR IGNORE INTO deliveries VALUES (?, ?, ?, ?, ?)", row)
        else:
            self._db.execute("INSERT OR REPLACE INTO deliveries VALUES (?, ?, ?, ?, ?)", row)

    @reading()
    def note(self, name: str) -> str | None:
        """What was kept last under the name."""
        with self._lock:
            row = self._db.execute("SELECT cursor FROM cursors WHERE source = ?", (NOTES + name,)).fetchone()
        return None if row is None else str(row[0])

    def keep(self, name: str, text: str) -> None:
        """Replace it; durable when it returns."""
        with _writing(), self._lock:
            self._db.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", (NOTES + name, text))

    def close(self) -> None:
        """Close the file."""
        self._db.close()


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise RetryableError(f"the outbox cannot be written now: {error}", after_s=1) from error
    except sqlite3.DatabaseError as error:
        raise FatalError(f"the store is damaged ({error}): {CURE}") from error


def _with_alert_of(delivery: Delivery, body: bytes) -> Delivery:
    return delivery.model_copy(update={"alert": Delivery.model_validate_json(body).alert})
