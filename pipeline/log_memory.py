"""The logs in memory: what a broker does, in one process. For tests and for trying things; nothing outlives it."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from threading import Lock

from opinionwatch.pipeline.log import Entry, FencedError, Stored
from opinionwatch.pipeline.topics import TopicName


class MemoryLog:
    """An `Appender` and `Reader`; passes the same contract suite as Kafka."""

    def __init__(self) -> None:
        self._partitions: defaultdict[tuple[TopicName, int], list[Stored]] = defaultdict(list)
        self._lock = Lock()
        self._epochs: defaultdict[str, int] = defaultdict(int)

    def append(self, entries: Sequence[Entry]) -> None:
        """Store all."""
        with self._lock:
            for entry in entries:
                place = self._partitions[entry.topic, entry.partition]
                place.append(Stored(len(place), entry.key, entry.value))

    def stretch(
        self, topic: TopicName, partition: int, start: int | None = None, end: int | None = None
    ) -> Iterator[Stored]:
        """As `Reader` says. It keeps everything."""
        with self._lock:
            stored = self._partitions[topic, partition][start or 0 : end]
        yield from stored

    def latest(self, topic: TopicName, partition: int = 0) -> dict[bytes, bytes]:
        """As `Reader` says."""
        found: dict[bytes, bytes] = {}
        for record in self.stretch(topic, partition):
            if record.key is not None:
                found.pop(record.key, None)
                if record.value is not None:
                    found[record.key] = record.value
        return found

    def owned(self, name: str) -> "MemoryOwner":
        """A log under a name that only the last who opened it holds."""
        return MemoryOwner(self, self._epochs, name)


class MemoryOwner:
    """An `OwnedAppender`."""

    def __init__(self, log: MemoryLog, epochs: defaultdict[str, int], name: str) -> None:
        self._log, self._epochs, self._name = log, epochs, name
        self._epoch: int | None = None
        self._closed = False

    def open(self) -> None:
        """Shut out whoever held the name."""
        self._epochs[self._name] += 1
        self._epoch = self._epochs[self._name]

    def append(self, entries: Sequence[Entry]) -> None:
        """Store all, if the name is still ours. Raises FencedError when it is not."""
        if not entries:
            return
        if self._epoch is None:
            self.open()
        if self._closed or self._epoch != self._epochs[self._name]:
            raise FencedError(f"{self._name}: another process has taken over")
        self._log.append(entries)

    def close(self) -> None:
        """Let go of the name."""
        self._closed = True
