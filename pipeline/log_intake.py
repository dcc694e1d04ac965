"""Where the ingest daemon's sources hand in pages: accepted, masked, put into the documents log, and only then done.

The order that loses nothing: documents confirmed by the broker → cursor confirmed → the promise to the source kept.
A crash between two of them repeats a page, and the ledger knows its documents by their ids.

Progress. A mark says that everything accepted before it stands before it in the log. So `beat` takes the smallest of
what time has come to and the stamps of pages that are still on their way, remembers it (nothing is stamped below it
afterwards, in no later life either), and then writes it into every partition. The first mark of a life, and one that
comes long after the one before it, says that nobody vouches for the time in between: the sources may not be to blame.
"""

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from threading import Lock

import structlog

from opinionwatch.pipeline.accept import Arrival
from opinionwatch.pipeline.advance import BEGINNING, PAUSE, advance, arrived, not_before
from opinionwatch.pipeline.contracts import DeadLetter, Document, Gap
from opinionwatch.pipeline.contracts_changes import Deletion
from opinionwatch.pipeline.cursors import Cursors, Position
from opinionwatch.pipeline.failpoints import failpoint
from opinionwatch.pipeline.intake import gaps_of
from opinionwatch.pipeline.log import Appender, Entry
from opinionwatch.pipeline.log_records import Again, Mark, encode, entries
from opinionwatch.pipeline.ports import Clock, Item, Page, Source, cursor_name
from opinionwatch.pipeline.settings_kafka import Kafka
from opinionwatch.pipeline.topics import TopicName, partition_of

log = structlog.get_logger(__name__)

ENTRY_BYTES = 32 * 1024
"""Of documents, about sixty posts: a batch of entries must be scored long before anybody thinks its worker wedged."""
Accepting = Callable[[Sequence[Arrival], datetime], Sequence[Document | Deletion | DeadLetter]]


class LogIntake:
    """The ingest hop. Pages are worked on in the thread that submits them, so a slow broker holds the sources back."""

    def __init__(
        self,
        kafka: Kafka,
        log: Appender,
        cursors: Cursors,
        accept: Accepting,
        clock: Clock,
        *,
        replaying: Callable[[], Collection[str]] = tuple,
        live: bool = True,
    ) -> None:
        """`replaying` names the sources that still bring their own (simulated) time; `live`: there are others."""
        self._kafka, self._log, self._cursors, self._accept, self._clock = kafka, log, cursors, accept, clock
        self._replaying, self._live = replaying, live
        self._lock = Lock()
        self._floor = cursors.up_to or BEGINNING
        self._marked: datetime | None = None
        """The last mark that this life has written."""
        self._reached = dict(cursors.reached())
        self._on_their_way: dict[int, datetime] = {}
        self._next = 0
        self.behind: dict[str, float] = {}
        """How old the newest document of a source's last page was when it was accepted, in seconds, by its cursor."""

    def submit(self, source: Source, page: Page) -> "Future[None]":
        """Take a page; the future is resolved when this returns. Raises RetryableError when the broker does not
        confirm in time: hand in the same page again.
        """
        ticket, now, items = self._begin(page.items)
        try:
            gaps = gaps_of(source, page, now)
            arrivals = [Arrival(source.name, source.kind, source.instance, item) for item in items]
            found = self._accept(arrivals, now)
            failpoint("ingest.accepted")
            self._append([*found, *gaps])
            published = [record.published_at for record in found if isinstance(record, Document)]
            if published:
                self.behind[cursor_name(source)] = max(0.0, (now - max(published)).total_seconds())
            for gap in gaps:
                log.warning("source.gap", source=gap.source, since=gap.since, until=gap.until, detail=gap.detail)
            failpoint("ingest.stored")
            reached = arrived(self._reached, source.name, items).get(source.name)
            if page.cursor:
                self._cursors.save(cursor_name(source), Position(cursor=page.cursor, reached=reached))
            failpoint("ingest.cursor_saved")
            if reached is not None:
                with self._lock:
                    self._reached[source.name] = reached
        finally:
            with self._lock:
                del self._on_their_way[ticket]
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def retry(
        self, letter: DeadLetter, record: Callable[[DeadLetter, datetime], Arrival | Document | DeadLetter]
    ) -> None:
        """Put a dead letter that a person wants tried again into the log once more, accepted now."""
        ticket, now, _ = self._begin(())
        try:
            again = record(letter, now)
            found = list(self._accept([again], now)) if isinstance(again, Arrival) else [again]
            # A letter that asks for a deletion is one, and needs no second attempt.
            self._append(
                [
                    each
                    if isinstance(each, Deletion)
                    else Again(record=each, attempts=letter.attempts, first_at=letter.accepted_at)
                    for each in found
                ]
            )
        finally:
            with self._lock:
                del self._on_their_way[ticket]

    def beat(self) -> datetime:
        """Promise progress, then write the mark into every partition. Returns it. Raises RetryableError when the
        broker is away.
        """
        with self._lock:
            replaying = set(self._replaying())
            up_to = advance(self._floor, self._now(), reached=self._reached, replaying=replaying, live=self._live)
            up_to = max(self._floor, min([up_to, *self._on_their_way.values()]))
            self._floor = up_to
        if self._cursors.up_to != up_to:
            self._cursors.promise(up_to)
        failpoint("ingest.promised")
        assumed = self._live and not replaying and (self._marked is None or up_to - self._marked >= PAUSE)
        marks = [
            Mark(ingest=self._kafka.ingest, partition=each, up_to=up_to, assumed=assumed)
            for each in range(self._kafka.documents_partitions)
        ]
        self._log.append([Entry("documents", mark.partition, encode(mark)) for mark in marks])
        self._marked = up_to
        failpoint("ingest.marked")
        return up_to

    def oldest(self) -> int | None:
        """The page that has been on its way for the longest time, by its number; None when there is none."""
        with self._lock:
            return min(self._on_their_way, default=None)

    def cursor(self, source: Source) -> str | None:
        """Where a source goes on."""
        return self.cursor_of(cursor_name(source))

    def cursor_of(self, name: str) -> str | None:
        """What is stored under a name."""
        position = self._cursors.positions.get(name)
        return None if position is None else position.cursor

    def _begin(self, items: Sequence[Item]) -> tuple[int, datetime, list[Item]]:
        """Stamp a page: nothing in it is accepted before what has been promised, and no promise goes past it now."""
        with self._lock:
            now = self._now()
            stamped = [not_before(self._floor, item) for item in items]
            self._next += 1
            self._on_their_way[self._next] = min((item.arrived_at or now for item in stamped), default=now)
            return self._next, now, stamped

    def _now(self) -> datetime:
        """The wall clock, never behind what was promised."""
        return max(self._clock().astimezone(UTC), self._floor)

    def _append(self, records: Sequence[Document | Deletion | DeadLetter | Again | Gap]) -> None:
        lines: dict[int, list[bytes]] = {}
        for record in records:
            name = record.record.id if isinstance(record, Again) else record.id
            partition = partition_of(name, self._kafka.documents_partitions)
            lines.setdefault(partition, []).append(encode(record))
        topic: TopicName = "documents"
        self._log.append(
            [Entry(topic, each, entry) for each, found in lines.items() for entry in entries(found, ENTRY_BYTES)]
        )
