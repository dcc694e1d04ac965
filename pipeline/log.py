"""A log as its writers and readers see it: entries in partitions. The broker is in `kafka_log` and `kafka_read`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from opinionwatch.pipeline.errors import FatalError
from opinionwatch.pipeline.topics import TopicName


class FencedError(FatalError):
    """Somebody else has taken over what this process was the owner of."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One record to be written. No value: the key's earlier records may go."""

    topic: TopicName
    partition: int
    value: bytes | None
    key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as it stands in a partition."""

    offset: int
    key: bytes | None
    value: bytes | None


class Appender(Protocol):
    """Writes."""

    def append(self, entries: Sequence[Entry]) -> None:
        """Store all; returns when every one is confirmed. Raises RetryableError when that does not work in time."""
        ...


class OwnedAppender(Appender, Protocol):
    """Writes under a name that only one process holds: `append` is all or nothing, and fails for the one before."""

    def open(self) -> None:
        """Shut out whoever held the name."""
        ...

    def close(self) -> None:
        """Let go of the name, for good: FencedError for whoever still writes."""
        ...


class Reader(Protocol):
    """Reads stretches of a partition."""

    def stretch(
        self, topic: TopicName, partition: int, start: int | None = None, end: int | None = None
    ) -> Iterator[Stored]:
        """The records from `start` (None: the beginning) up to and without `end` (None: where the log ends now).

        Raises FatalError when `start` is no longer there.
        """
        ...

    def latest(self, topic: TopicName, partition: int = 0) -> dict[bytes, bytes]:
        """The last value of every key of a compacted partition."""
        ...
