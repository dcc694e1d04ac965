"""Where sources hand in pages and wait until they are durable. A bounded queue: a slow store holds the sources back."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from queue import Empty, Full, Queue
from time import monotonic

from opinionwatch.pipeline.contracts import Gap
from opinionwatch.pipeline.errors import OpinionwatchError, RetryableError
from opinionwatch.pipeline.ports import Page, Source


@dataclass(frozen=True, slots=True)
class Submitted:
    """A page in the queue, and the promise made for it."""

    source: Source
    page: Page
    durable: "Future[None]" = field(default_factory=Future)


def gaps_of(source: Source, page: Page, now: datetime) -> list[Gap]:
    """What the page's source noticed that it cannot have any more."""
    return [
        Gap(
            source=source.name,
            since=missed.since,
            until=missed.until,
            missed=missed.count,
            detail=missed.detail,
            history=missed.history,
            found_at=now,
        )
        for missed in page.missed
    ]


class QueueIntake:
    """The embedded runtime's intake. Any number of sources submit, one runtime takes."""

    def __init__(self, pages: int, patience_s: float = 30.0) -> None:
        """Hold at most `pages` pages; a submitter waits `patience_s` for room."""
        self._queue: Queue[Submitted] = Queue(maxsize=pages)
        self._patience_s = patience_s
        self._closed: OpinionwatchError | None = None

    def submit(self, source: Source, page: Page) -> "Future[None]":
        """Hand in a page. Raises RetryableError when there is no room in time or the runtime has stopped."""
        submitted = Submitted(source, page)
        if self._closed is not None:
            raise self._closed
        try:
            self._queue.put(submitted, timeout=self._patience_s)
        except Full as error:
            raise RetryableError("the pipeline is busy: no room for another page", after_s=5) from error
        if self._closed is not None:
            self._fail_waiting(self._closed)
        return submitted.durable

    def take(self, documents: int, wait_s: float) -> Sequence[Submitted]:
        """The next pages, about `documents` items in all; waits `wait_s` for the first, then takes what there is."""
        taken: list[Submitted] = []
        count = 0
        deadline = monotonic() + wait_s
        while count < documents:
            try:
                block = not taken
                submitted = self._queue.get(block=block, timeout=max(0.0, deadline - monotonic()) if block else None)
            except Empty:
                break
            taken.append(submitted)
            count += len(submitted.page.items)
        return taken

    def close(self, reason: OpinionwatchError) -> None:
        """No more pages: whoever waits or comes later gets `reason`."""
        self._closed = reason
        self._fail_waiting(reason)

    def _fail_waiting(self, reason: OpinionwatchError) -> None:
        while True:
            try:
                self._queue.get_nowait().durable.set_exception(reason)
            except Empty:
                return
