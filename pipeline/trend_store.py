"""The trend hop's saved state of one mentions partition, with the offset it stands at, in a compacted topic.

A state may be larger than a record, so it is cut into pieces, and pieces and head are one transaction: a reader sees
a whole state with the offset it belongs to, or the one before. The transaction is its partition owner's: whoever loads
a partition shuts out the owner before it (`FencedError`), so a process that was only paused can spoil nothing when it
wakes up.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

from pydantic import Field, ValidationError

from opinionwatch.pipeline.contracts import Record
from opinionwatch.pipeline.errors import FatalError
from opinionwatch.pipeline.log import Entry, OwnedAppender, Reader

PIECE_BYTES = 512 * 1024


class DamagedError(FatalError):
    """A saved state is there and cannot be used."""


class Head(Record):
    """What the pieces must be, together."""

    schema_version: Literal[1] = 1
    offset: int = Field(ge=0)
    pieces: int = Field(ge=0)
    digest: str


@dataclass(frozen=True, slots=True)
class Saved:
    """A state and the offset of the first entry that is not in it."""

    offset: int
    state: bytes


class TrendStore:
    """Saved states of the trend partitions that this process owns."""

    def __init__(self, own: Callable[[int], OwnedAppender], reader: Reader) -> None:
        """`own(partition)` gives the partition owner's log."""
        self._own, self._reader = own, reader
        self._logs: dict[int, OwnedAppender] = {}

    def take_over(self, partition: int) -> Saved | None:
        """Become the owner of a partition; its last state, None when there is none yet.

        Raises DamagedError when the state is damaged; the partition is owned then, too.
        """
        before = self._logs.pop(partition, None)
        if before is not None:  # somebody else may have had the partition meanwhile
            before.close()
        log = self._own(partition)
        log.open()
        self._logs[partition] = log
        return last_saved(self._reader, partition)

    def save(self, partition: int, saved: Saved) -> None:
        """Replace a partition's state; durable when it returns. Raises FencedError when it is not ours any more."""
        pieces = [saved.state[at : at + PIECE_BYTES] for at in range(0, len(saved.state), PIECE_BYTES)]
        head = Head(offset=saved.offset, pieces=len(pieces), digest=_digest(saved.state))
        self.append(
            partition,
            [
                *(Entry("trend", partition, piece, _key(number)) for number, piece in enumerate(pieces)),
                Entry("trend", partition, head.model_dump_json().encode(), b"head"),
            ],
        )

    def append(self, partition: int, entries: list[Entry]) -> None:
        """Write as the owner of a partition, all or nothing. Raises FencedError when it is not ours any more."""
        self._logs[partition].append(entries)

    def close(self) -> None:
        """Own nothing any more."""
        for log in self._logs.values():
            log.close()
        self._logs.clear()


def last_saved(reader: Reader, partition: int) -> Saved | None:
    """A partition's state, whoever owns it; None when there is none yet. Raises DamagedError when it is damaged."""
    found = reader.latest("trend", partition)
    told = found.get(b"head")
    if told is None:
        return None
    try:
        head = Head.model_validate_json(told)
    except ValidationError as error:
        raise DamagedError(f"the saved trend state of partition {partition} cannot be read: {error}") from error
    state = b"".join(found.get(_key(number), b"") for number in range(head.pieces))
    if _digest(state) != head.digest:
        raise DamagedError(f"the saved trend state of partition {partition} is damaged")
    return Saved(head.offset, state)


def _key(number: int) -> bytes:
    return f"piece/{number}".encode()


def _digest(state: bytes) -> str:
    return blake2b(state, digest_size=16).hexdigest()
