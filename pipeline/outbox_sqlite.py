"""The outbox of the SQLite store, on a connection of its own so that sending never holds up a batch."""

import sqlite3
from datetime import datetime
from pathlib import Path
from threading import Lock

from opinionwatch.pipeline.contracts_trend import Delivery
from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.store_schema import CURE, connect, reading
from opinionwatch.pipeline.store_sqlite import stamp


class SqliteOutbox:
    """Deliveries in the store's file; one small durable transaction a change of state."""

    def __init__(self, path: Path) -> None:
        """Open the store's file."""
        self._db = connect(path)
        self._lock = Lock()

    @reading()
    def due(self, now: datetime, limit: int) -> list[Delivery]:
        """Pending deliveries whose time has come, oldest first, and those an earlier life left in `sending`."""
        with self._lock:
            rows = self._db.execute(
                "SELECT body FROM deliveries WHERE state = 'sending' OR (state = 'pending' AND due_at <= ?) "
                "ORDER BY due_at, id LIMIT ?",
                (stamp(now), limit),
            ).fetchall()
        return [Delivery.model_validate_json(body) for (body,) in rows]

    def save(self, delivery: Delivery) -> None:
        """Replace a delivery's state; durable when it returns."""
        body = delivery.model_dump_json(exclude_defaults=True).encode()
        try:
            with self._lock:
                self._db.execute(
                    "UPDATE deliveries SET state = ?, due_at = ?, body = ? WHERE id = ?",
                    (delivery.state, stamp(delivery.due_at), body, delivery.id),
                )
        except sqlite3.OperationalError as error:
            raise RetryableError(f"the outbox cannot be written now: {error}", after_s=1) from error
        except sqlite3.DatabaseError as error:
            raise FatalError(f"the store is damaged ({error}): {CURE}") from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()
