"""A taste of a source, for people who want to know what it would bring before they let it run. Nothing is stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from queue import Empty, Queue
from threading import Event, Thread
from time import monotonic

from opinionwatch.connectors.pulling import kind_of
from opinionwatch.connectors.quota import Metered, Quota
from opinionwatch.pipeline.errors import OpinionwatchError
from opinionwatch.pipeline.ports import Item, Source
from opinionwatch.pipeline.redact import redact


@dataclass(frozen=True, slots=True)
class Taste:
    """What a source brought within a time."""

    items: Sequence[Item]
    more: bool
    """Whether there would have been more."""
    took_s: float
    """Seconds until the last of the items was there."""
    quota: Quota | None = None
    """What its service lets it ask afterwards, where it says so."""
    error: str = ""
    """What went wrong, redacted; empty when nothing did."""
    kind: str = ""
    """Kind of the error, as it is counted in the source's health."""


class _Done:
    """The source has no more."""


def taste(source: Source, count: int, limit_s: float) -> Taste:
    """The first `count` items from the start, or what comes within `limit_s` seconds; the source is closed then.

    No cursor is stored, so a daemon beside it reads as if nobody had looked. A source's errors are part of the answer.
    """
    found: Queue[Item | BaseException | _Done] = Queue()
    enough = Event()
    reader = Thread(target=_read, args=(source, found, enough), name=f"taste-{source.name}", daemon=True)
    began = monotonic()
    took_s = 0.0
    items: list[Item] = []
    end: Item | BaseException | _Done | None = None
    reader.start()
    try:
        while len(items) <= count:
            end = found.get(timeout=max(0.0, began + limit_s - monotonic()))
            if not isinstance(end, Item):
                break
            took_s = monotonic() - began
            items.append(end)
    except Empty:
        end = None
    finally:
        enough.set()
        source.close()
    error = end if isinstance(end, BaseException) else None
    known = isinstance(error, OpinionwatchError)
    return Taste(
        items[:count],
        len(items) > count,
        took_s if items else monotonic() - began,
        source.quota if isinstance(source, Metered) else None,
        "" if error is None else redact(str(error) if known else f"unexpected {type(error).__name__}: {error}"),
        "" if error is None else kind_of(error),
    )


def _read(source: Source, found: "Queue[Item | BaseException | _Done]", enough: Event) -> None:
    end: BaseException | _Done = _Done()
    try:
        for page in source.fetch(None):
            for item in page.items:
                if enough.is_set():  # so what waits here is about a page at most
                    return
                found.put(item)
    except Exception as error:  # noqa: BLE001 - foreign code may fail in any way; the asking thread says so
        end = error
    if not enough.is_set():
        found.put(end)
