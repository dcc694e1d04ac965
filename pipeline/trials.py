"""Quarantine: finding the one document on which the process dies, though a dead process can tell nobody.

Before a worker touches the first batch of a partition in its life, it writes down where it begins and how often this
was tried. Who finds that somebody tried the same twice and got nowhere takes the documents one by one, and writes down
the name of each before. Who finds a name under which two processes have died buries that document.

    life 1  dies, anywhere
    life 2  first try of the batch           dies
    life 3  one by one, named                dies on the document
    life 4  one by one, named again          dies on the document
    life 5  buries it, and goes on

A process that is killed from outside costs an innocent document nothing unless it happens twice at the same one.
"""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, ValidationError

from opinionwatch.pipeline.contracts import Record
from opinionwatch.pipeline.log import Appender, Entry, Reader

TRIES = 2
"""Tries of a whole batch, and then of one document, that may end in a death."""


class Trial(Record):
    """What was being tried."""

    schema_version: Literal[1] = 1
    offset: int
    """Where the batch begins."""
    tries: int
    document: str | None = None
    """Id of the one document that was being tried alone."""
    deaths: dict[str, int] = Field(default_factory=dict)
    """How many processes have died on a document while it was tried alone."""


class Trials:
    """The trials of a worker's partitions, in the compacted cursors topic."""

    def __init__(self, log: Appender, reader: Reader) -> None:
        self._log, self._reader = log, reader
        self._next: dict[int, int] = {}
        self._running: dict[int, Trial] = {}

    def begin(self, first: Mapping[int, int]) -> set[int]:
        """Begin a batch that starts at `first` offset by partition. Returns the partitions to be taken one by one.

        A batch that this life begins again, because the world was not ready, has killed nobody: what was written down
        last is its own.
        """
        unknown = {partition: offset for partition, offset in first.items() if self._next.get(partition) != offset}
        own, self._running = self._running, {}
        if not unknown:
            return set()
        known = self._reader.latest("cursors")
        for partition, offset in unknown.items():
            before = _read(known.get(_key(partition)))
            if before is not None and before.offset == offset and before == own.get(partition):
                self._running[partition] = before.model_copy(update={"document": None})
                continue
            if before is None or before.offset != offset:
                before = Trial(offset=offset, tries=0)
            deaths = dict(before.deaths)
            if before.document is not None:
                deaths[before.document] = deaths.get(before.document, 0) + 1
            self._running[partition] = Trial(offset=offset, tries=before.tries + 1, deaths=deaths)
        self._save(self._running)
        return {partition for partition, trial in self._running.items() if trial.tries > TRIES}

    def condemned(self, partition: int, document_id: str) -> bool:
        """Whether enough processes have died on this document."""
        return self._running[partition].deaths.get(document_id, 0) >= TRIES

    def alone(self, partition: int, document_id: str) -> None:
        """Write down that this document is now tried alone."""
        self._name({partition: document_id})

    def together(self) -> None:
        """The rest is tried together again: nobody is named any more."""
        self._name({})

    def _name(self, named: Mapping[int, str]) -> None:
        """One name at most stands anywhere: a death is counted against one document."""
        changed = {
            number: trial.model_copy(update={"document": named.get(number)})
            for number, trial in self._running.items()
            if trial.document != named.get(number)
        }
        self._running.update(changed)
        self._save(changed)

    def done(self, following: Mapping[int, int]) -> None:
        """The batch is done; `following` is the offset after it, by partition."""
        self._next.update(following)

    def _save(self, trials: Mapping[int, Trial]) -> None:
        self._log.append(
            [Entry("cursors", 0, trial.model_dump_json().encode(), _key(number)) for number, trial in trials.items()]
        )


def _key(partition: int) -> bytes:
    return f"trial/{partition}".encode()


def _read(value: bytes | None) -> Trial | None:
    """A trial that cannot be read is forgotten: it would only have been a help."""
    if value is None:
        return None
    try:
        return Trial.model_validate_json(value)
    except ValidationError:
        return None
