"""A hop's work on a log, without the framework that feeds it: entries in, everything confirmed, or an error.

The framework commits an entry's offset only after `take` has returned. So whatever `take` did may be done again with
the same entries, by this process or another, and must come to the same.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from opinionwatch.pipeline.contracts import DeadLetter
from opinionwatch.pipeline.ports import Ledger, Outcome
from opinionwatch.pipeline.topics import TopicName


@dataclass(frozen=True, slots=True)
class Delivered:
    """An entry of the log as it comes in."""

    partition: int
    offset: int
    value: bytes


class Work(Protocol):
    """What a worker does with its log. Called from one thread, never twice at once."""

    reads: TopicName

    def take(self, entries: Sequence[Delivered]) -> None:
        """Do everything these entries ask for; each partition's are in order. Returns when all of it is confirmed.

        Raises RetryableError when the world is not ready (the same entries again), FatalError when going on would
        falsify something.
        """
        ...

    def finish(self) -> None:
        """The worker stops: save what a successor can go on from. Best effort; never needed for correctness."""
        ...


class DaemonLedger(Ledger, Protocol):
    """What daemons ask of a ledger besides."""

    def write_parts(self, parts: Iterable[Sequence[Outcome]]) -> list[DeadLetter]:
        """`write` for what is only just being made: the next part is made while those before it are being written, in
        this thread. A document's mentions come in its part. Raises what making them raises, when nothing is under way.
        """
        ...

    @property
    def cpu_s(self) -> float:
        """Processor time that writing has taken in other threads than the caller's."""
        ...

    def save_progress(self, up_to: datetime, part: str) -> None:
        """How far a part of the trend hop has come, for people to see; the slowest part's is the pipeline's time."""
        ...

    def forget_letter(self, letter_id: str) -> None:
        """A dead letter that was tried again has a better end now. Durable when it returns; may be repeated."""
        ...
