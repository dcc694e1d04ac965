"""Backfills by way of the log: wishes and how far they have come, in the compacted cursors topic.

A wish is written by whoever asks; it is carried out by the ingest daemon that reads the source, and by no other. The
topic is followed: after the first look only what has been added is read.
"""

from collections.abc import Mapping

from opinionwatch.connectors.backfill import WISH, Progress, Wish, progress_of, stored_as
from opinionwatch.pipeline.cursors import Position, position_key
from opinionwatch.pipeline.log import Appender, Entry, Reader


class BackfillLog:
    """What was asked for, as far as it was looked at. For one thread."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._next: int | None = None
        self._latest: dict[bytes, bytes] = {}

    def look(self) -> None:
        """Read what has been added. Raises RetryableError when the broker is away."""
        for stored in self._reader.stretch("cursors", 0, self._next):
            self._next = stored.offset + 1
            if stored.key is not None and stored.value is not None:
                self._latest[stored.key] = stored.value

    def wishes(self) -> Mapping[str, Wish]:
        """The latest wish for each source. Raises FatalError when one cannot be read."""
        begins = WISH.encode() + stored_as("").encode()
        return {
            key.removeprefix(begins).decode(): Wish.read(value)
            for key, value in self._latest.items()
            if key.startswith(begins)
        }

    def progress(self, name: str) -> Progress | None:
        """How far the latest wish for a source has come; None while nobody has taken it up."""
        wish, stored = self.wishes().get(name), self._latest.get(position_key(stored_as(name)))
        if wish is None or stored is None:
            return None
        return progress_of(wish, Position.model_validate_json(stored).cursor)

    @staticmethod
    def ask(log: Appender, name: str, wish: Wish) -> None:
        """Write a wish; durable when it returns. Raises RetryableError when the broker does not confirm in time."""
        key = (WISH + stored_as(name)).encode()
        log.append([Entry("cursors", 0, wish.model_dump_json().encode(), key)])
