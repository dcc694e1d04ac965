"""The ports: every place where the pure core meets the world, and the one type that is the architecture.

A `Stage` does no I/O, reads no clock and knows no runtime. Sources, stores, channels and scorers touch the world.
Loop order in every runtime: read → stages → sinks confirm → commit.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from opinionwatch.pipeline.contracts import (
    Confusion,
    DeadLetter,
    Drop,
    Gap,
    Mention,
    Reading,
    ScoredDocument,
    Span,
)
from opinionwatch.pipeline.contracts_changes import Deletion, Engaged
from opinionwatch.pipeline.contracts_digest import Digest
from opinionwatch.pipeline.contracts_trend import Delivery, Episode, Message, Window
from opinionwatch.pipeline.revisions import Admitted, Record

In = TypeVar("In", contravariant=True)
Out = TypeVar("Out", covariant=True)
Stage = Callable[[Sequence[In], datetime], Sequence[Out]]
"""A batch and `now` in, a batch out."""
Outcome = ScoredDocument | Mention | Drop | DeadLetter | Window | Episode | Delivery | Gap | Deletion | Engaged
"""What hops return and a store keeps."""


@runtime_checkable
class StatefulStage(Protocol):
    """A stage with memory. `restore(snapshot())` followed by the same batches gives the same outputs, bit for bit."""

    def __call__(self, batch: Sequence[object], now: datetime) -> Sequence[object]:
        """Run the stage."""
        ...

    def snapshot(self) -> bytes:
        """All of the state, versioned; no pickle."""
        ...

    def restore(self, snapshot: bytes) -> None:
        """Take over a state. Raises FatalError when it is damaged or of an unknown version."""
        ...


@runtime_checkable
class ForgetfulStage(StatefulStage, Protocol):
    """A stage with memory that can erase what people said from it."""

    def forget(self, mentions: Sequence[Mention], authors: Collection[str]) -> None:
        """Erase what these mentions say and who these authors (pseudonyms) are; what was counted stays counted."""
        ...


@dataclass(frozen=True, slots=True)
class Item:
    """One raw record as a source delivers it: bytes of a JSON object, validated only inside the accept stage."""

    body: bytes
    arrived_at: datetime | None = None
    """Simulated arrival time in a replay; None in live use, where the runtime's clock counts."""
    fields: tuple[tuple[str, str], ...] = ()
    """Renames: (field of `Submission`, dotted path in the body). Empty: the body is a `Submission` as it is."""
    history: bool = False  # a backfill brings it: no alert is to be raised for it
    headers: tuple[tuple[str, bytes], ...] = ()  # what the transport said beside it; only a dead letter keeps it


@dataclass(frozen=True, slots=True)
class Missed:
    """What a source noticed that it cannot have any more, in words (`detail`) without secrets; becomes a `Gap`."""

    since: datetime | None
    until: datetime | None
    detail: str
    count: int | None = None
    history: bool = False  # noticed by a backfill, and not by the live cursor


@dataclass(frozen=True, slots=True)
class Page:
    """Some items and the cursor that stands after them. The cursor is stored only together with the items."""

    items: Sequence[Item]
    cursor: str
    missed: Sequence[Missed] = ()
    """What lies between the page before and this one and was lost upstream."""
    share: float | None = None
    """Of a backfill: how much of it is done, from 0 to 1, as far as the source can tell."""


@runtime_checkable
class Source(Protocol):
    """Where documents come from. Its class docstring has a `Delivery:` line that says what it guarantees."""

    name: str  # as in the settings
    kind: str  # key in the registry; part of every document's identity
    instance: str  # which feed, file or account: part of every document's identity
    interval_s: float | None
    """Seconds between polls; None: `fetch` is called once and runs until it is exhausted or closed."""

    replays: bool  # whether its items bring their own (simulated) arrival times

    def fetch(self, cursor: str | None) -> Iterator[Page]:
        """Yield pages after `cursor` (None: from the start). A page is asked for only after the one before it is
        durable. Raises RetryableError when the world is not ready, FatalError when it never will be.
        """
        ...

    def close(self) -> None:
        """Stop soon: a running `fetch` ends after its current page."""
        ...


@runtime_checkable
class CheckableSource(Protocol):
    """A source that can be asked whether it would work, more cheaply than by fetching."""

    def check(self) -> str:
        """What the service says, in words: whose account, what is left of a quota. Raises RetryableError when it cannot
        be reached or refuses the credentials, FatalError when it never will work; the message says what to do.
        """
        ...


@runtime_checkable
class HistorySource(Protocol):
    """A source that can bring what was published before it was first asked."""

    def backfill(self, since: datetime, cursor: str | None) -> Iterator[Page]:
        """Yield pages of what was published since then, in any order, after `cursor` (a backfill's own; None: from its
        start). What is brought twice, or by the live cursor too, is one document. Raises like `fetch`; ends when there
        is no more, or when it is closed.
        """
        ...


def cursor_name(source: Source) -> str:
    """Under which name a source's cursor is stored: its own, unless it stands in for another one."""
    name: str = getattr(source, "cursor_name", source.name)
    return name


class Intake(Protocol):
    """Where sources put pages. The future resolves when the page and its cursor are durable, or with the error."""

    def submit(self, source: Source, page: Page) -> "Future[None]":
        """Hand in a page; blocks while the queue is full (back-pressure), raises RetryableError after a time-out."""
        ...


@runtime_checkable
class PushSource(Protocol):
    """A source that is not asked but told: it brings ASGI routes, which the page mounts."""

    def routes(self, intake: Intake) -> Sequence[Any]:
        """Starlette routes (`Any`, since no framework type belongs here) that submit to `intake` and answer 2xx only
        after the promise was kept.
        """
        ...


class Passage(NamedTuple):
    """One text to score: folded, capped, and with its language tag (`und` if unknown).

    A target is something that the text may be good or bad for, as all the places in `text` that name it.
    """

    text: str
    lang: str
    targets: tuple[tuple[Span, ...], ...] = ()


@runtime_checkable
class Scorer(Protocol):
    """Reads sentiment and opinions. A batch of n equals n batches of one; order is kept; an empty batch is fine."""

    version: str  # changes whenever the answers may change

    def score(self, passages: Sequence[Passage]) -> list[Reading]:
        """One reading a passage, spans in the passage's own text, and a sentiment towards each of its targets or none
        at all. Raises RejectedError for a passage it can never read, RetryableError when the device is not ready.
        """
        ...


@runtime_checkable
class Measured(Protocol):
    """A scorer that knows how it errs."""

    @property
    def confusion(self) -> Mapping[str, Confusion]:
        """Its confusion by language tag, `other` for those without one; empty where nobody has counted."""
        ...


@runtime_checkable
class Channel(Protocol):
    """Tells people. Its class docstring has a `Delivery:` line that says what a crash may repeat."""

    name: str

    def notify(self, message: Message) -> None:
        """Deliver once. Raises RetryableError (`after_s` from Retry-After) or RejectedError when it never will work."""
        ...


@runtime_checkable
class DigestChannel(Channel, Protocol):
    """A channel that can also take a long, illustrated text."""

    def digest(self, digest: Digest) -> None:
        """Deliver once. Raises like `notify`."""
        ...


class Ledger(Protocol):
    """Where a runtime without transactions keeps what it accepted and what became of it. Every call is durable when it
    returns and may be repeated: ids are content-derived. Order of a batch: `admit`, score, `write`, commit offsets.

    Nothing but the place of an id says how it ended: among the documents (indexed), the dead letters (dead), the drops
    (dropped), nowhere yet (pending). So there is no second truth to disagree with, and `opinionwatch audit` compares
    the accepted ids with the places one by one.

    Both raise RetryableError only when told to stop, so that a runtime abandons the batch uncommitted, and FatalError
    when going on would falsify something.
    """

    def admit(self, records: Iterable[Record]) -> list[Admitted]:
        """Enter ids in the ledger. Returns the records to go on with: new ones, later versions (in the times of the
        first one, so that the first acceptance alone decides where a document lies), and those whose very record (same
        id, same `accepted_at`) an earlier life had admitted and perhaps not finished. Another record of a known id is a
        duplicate: counted and left out but for its figures of engagement. The rules are those of `revisions`.
        """
        ...

    def write(self, records: Iterable[Outcome]) -> list[DeadLetter]:
        """Write what a hop returned, each record where it belongs. A `Mention` comes in the same call as its document.

        Returns the dead letters (already stored) of documents that the index refuses for ever; a refused window,
        episode or delivery is a FatalError, for those are our own making.
        """
        ...


class Runtime(Protocol):
    """Executes the plan until told to stop."""

    def run(self, stop: Event) -> None:
        """Run until `stop` is set (finish or abandon the batch in flight) or every source is exhausted."""
        ...


Clock = Callable[[], datetime]
"""The wall clock of a runtime; stages get `now` as data instead."""


@dataclass
class ManualClock:
    """A clock for tests and replays: it shows what it was set to."""

    now: datetime
    history: list[datetime] = field(default_factory=list)

    def __call__(self) -> datetime:
        """The time it was set to."""
        return self.now
