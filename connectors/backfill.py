"""A backfill: a source's history beside its live cursor, marked so that no alert is raised for it, and resumable."""

from collections.abc import Iterator
from dataclasses import replace
from threading import Event

from pydantic import ValidationError

from opinionwatch.pipeline.contracts import Record, Utc
from opinionwatch.pipeline.errors import FatalError
from opinionwatch.pipeline.ports import HistorySource, Page, Source

PREFIX = "backfill:"
"""Of the names under which the cursors of backfills are stored."""
WISH = "wish/"
"""Of the names under which wishes for them are kept, before the name of the cursor."""


class Wish(Record):
    """Somebody wants a source's history. A later wish for the same source takes the place of an earlier one."""

    since: Utc
    asked_at: Utc

    @classmethod
    def read(cls, text: str | bytes) -> "Wish":
        """What is stored. Raises FatalError when it is no wish."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise FatalError("what is stored as a wish for a backfill is none") from error


class Progress(Record):
    """The cursor of a backfill, and all there is to know about it."""

    since: Utc
    asked_at: Utc
    """Of the wish that this carries out."""
    inner: str | None = None
    """The source's own cursor of its history."""
    items: int = 0
    share: float | None = None
    """How much is done, from 0 to 1, as far as the source can tell."""
    done: bool = False

    @classmethod
    def read(cls, cursor: str) -> "Progress":
        """What a stored cursor says. Raises FatalError when it is not one of a backfill."""
        try:
            return cls.model_validate_json(cursor)
        except ValidationError as error:
            raise FatalError("the stored cursor is not one of a backfill") from error


def progress_of(wish: Wish, cursor: str | None) -> Progress | None:
    """How far a wish has come; None: nobody has taken it up yet."""
    found = None if cursor is None else Progress.read(cursor)
    return found if found is not None and found.asked_at == wish.asked_at else None


def stored_as(name: str) -> str:
    """The name of a source's backfill among the cursors.

    >>> stored_as("blog")
    'backfill:blog'
    """
    return PREFIX + name


def passed(first: float, last: float, at: float) -> float:
    """How much of the way from `first` to `last` is done at `at`, from 0 to 1.

    >>> passed(10, 20, 15), passed(10, 20, 25), passed(10, 10, 10)
    (0.5, 1.0, 1.0)
    """
    return 1.0 if last <= first else min(1.0, max(0.0, (at - first) / (last - first)))


class Backfill:
    """Stands in for a source and brings its history; its documents are the source's own.

    Delivery: at least once, page by page like any source's. What the live cursor brings too is one document.
    """

    def __init__(self, source: Source, wish: Wish) -> None:
        """Raises TypeError when the source has no history to bring."""
        if not isinstance(source, HistorySource):
            raise TypeError(f"{source.name} brings no history")
        self.name, self.kind, self.instance = source.name, source.kind, source.instance
        self.cursor_name = stored_as(source.name)
        self.interval_s: float | None = None
        self.replays = False
        self._source = source
        self._history: HistorySource = source
        self._wish = wish
        self._closing = Event()

    def fetch(self, cursor: str | None) -> Iterator[Page]:
        """A page without items that says it has begun, those after `cursor`, and one that says it is done."""
        progress = progress_of(self._wish, cursor)
        if progress is None:
            progress = Progress(since=self._wish.since, asked_at=self._wish.asked_at)
            yield Page((), progress.model_dump_json())
        if progress.done:
            return
        for page in self._history.backfill(progress.since, progress.inner):
            progress = progress.model_copy(
                update={"inner": page.cursor, "items": progress.items + len(page.items), "share": page.share}
            )
            items = [replace(item, history=True, arrived_at=None) for item in page.items]
            missed = [replace(each, history=True) for each in page.missed]
            yield Page(items, progress.model_dump_json(), missed, page.share)
            if self._closing.is_set():
                return
        if not self._closing.is_set():
            yield Page((), progress.model_copy(update={"done": True, "share": 1.0}).model_dump_json())

    def close(self) -> None:
        """Stop soon."""
        self._closing.set()
        self._source.close()
