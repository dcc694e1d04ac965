"""The messages of a stream, gathered into pages: when one is full, has waited for a second, or the stream breaks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import monotonic

from opinionwatch.connectors.entry import Entry
from opinionwatch.connectors.found import Found
from opinionwatch.connectors.websocket import Stream
from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.ports import Item, Missed, Page

PAGE_ITEMS = 500
PAGE_S = 1.0
"""So long a page waits for more posts."""
SAVE_S = 30.0
"""So long at most the cursor stands still while a stream goes on that holds nothing for us."""


class SilentError(RetryableError):
    """A stream has said nothing for too long."""


@dataclass
class Draft:
    """A page in the making."""

    entries: dict[str, Entry] = field(default_factory=dict)
    """By id, so that what is taken back meanwhile is never handed on."""
    missed: list[Missed] = field(default_factory=list)


def gathered(
    stream: Stream,
    whose: str,
    take: Callable[[Found, Draft], None],
    cursor: Callable[[], str],
    silent_s: float,
    over: Callable[[], bool] = lambda: False,
) -> Iterator[Page]:
    """Pages of what `take` makes of each message, with the `cursor` after it, until the stream is to end or `over`.

    Raises RetryableError when the stream breaks or what it says is no JSON, SilentError when it says nothing for
    `silent_s` seconds; what came before is handed on first.
    """
    draft, heard = Draft(), False
    page_at = heard_at = monotonic()
    broken: RetryableError | None = None
    while not (stream.ending or over()) and broken is None:
        try:
            message = stream.message()
            if message is not None:
                take(Found.read(message, whose), draft)
                heard, heard_at = True, monotonic()
        except RetryableError as error:
            broken = error
        if broken is None and monotonic() - heard_at > silent_s:
            broken = SilentError(f"{whose}: silent for {silent_s:g} s")
        wait_s = PAGE_S if draft.entries or draft.missed else SAVE_S
        due = over() or len(draft.entries) >= PAGE_ITEMS or monotonic() - page_at >= wait_s
        if heard and (due or broken) and not stream.ending:
            yield Page([Item(entry.body()) for entry in draft.entries.values()], cursor(), draft.missed)
            draft, heard, page_at = Draft(), False, monotonic()
    if broken:
        raise broken
