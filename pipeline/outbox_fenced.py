"""An outbox that only its owner can change: a notifier that was replaced while it slept sends nothing when it wakes up.

Every change is first written to the compacted outbox topic under the owner's name. `sending` is written before each
attempt, so an attempt of a process that has been shut out never begins.
"""

from collections.abc import Callable
from datetime import datetime
from threading import Event
from time import monotonic
from typing import Protocol

from opinionwatch.pipeline.contracts_trend import Delivery
from opinionwatch.pipeline.failpoints import failpoint
from opinionwatch.pipeline.log import Entry, FencedError, OwnedAppender
from opinionwatch.pipeline.ports_outbox import Notes, Outbox

FRESH_S = 3.0
"""What was claimed longer ago is claimed once more before it is acted on: less than any `kafka.session_s`."""


class NotingOutbox(Outbox, Notes, Protocol):
    """An outbox that also keeps notes."""


class FencedOutbox:
    """An `Outbox` around another one. Safe to use from several threads."""

    def __init__(self, inner: NotingOutbox, owner: OwnedAppender, seconds: Callable[[], float] = monotonic) -> None:
        """Shut out whoever held the outbox before. `seconds` is a clock that is never set."""
        self._inner, self._owner, self._seconds = inner, owner, seconds
        self.fenced = Event()
        """Set once somebody else has taken over."""
        owner.open()

    def due(self, now: datetime, limit: int) -> list[Delivery]:
        """As the inner outbox says; nothing once somebody else has taken over."""
        return [] if self.fenced.is_set() else self._inner.due(now, limit)

    def save(self, *deliveries: Delivery) -> None:
        """Replace the deliveries' state, or add those that are new. Raises FencedError when somebody else has taken
        over.
        """
        self._claim(*deliveries)
        self._inner.save(*deliveries)

    def put_off(self, delivery: Delivery) -> None:
        """Replace one, though it may never have been tried. Raises FencedError when somebody else has taken over."""
        self._claim(delivery)
        self._inner.put_off(delivery)

    def _claim(self, *deliveries: Delivery) -> None:
        bodies = [(one.id.encode(), one.model_dump_json(exclude_defaults=True).encode()) for one in deliveries]
        entries = [Entry("outbox", 0, body, key) for key, body in bodies]
        began = self._seconds()
        self._write(entries)
        failpoint("outbox.claimed")
        if self._seconds() - began > FRESH_S:  # it may have slept since, and been replaced
            self._write(entries)

    def note(self, name: str) -> str | None:
        """As the inner outbox says."""
        return self._inner.note(name)

    def keep(self, name: str, text: str) -> None:
        """Replace it. Raises FencedError when somebody else has taken over."""
        self._write([Entry("outbox", 0, text.encode(), f"note/{name}".encode())])
        self._inner.keep(name, text)

    def _write(self, entries: list[Entry]) -> None:
        try:
            self._owner.append(entries)
        except FencedError:
            self.fenced.set()
            raise
