"""Polling services that show the newest first: walk back from now to where the last walk began, a page at a time.

The walk itself is in the cursor. So it may be cut off after every page, by a kill or by a service that has had enough,
and goes on from there; memory is bounded by one page however long the backlog is. Only a walk that came to its end
moves the floor, below which nothing is asked for again.

What was published within `late_s` of the newest post is met again with every walk. Edits, deletions and changed figures
of that are delivered, under the id that is known; the rest of it is left out.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import blake2b
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from opinionwatch.connectors.cursor import Cursor
from opinionwatch.connectors.entry import Entry
from opinionwatch.connectors.found import loads
from opinionwatch.connectors.polling import Polling, PollingSettings
from opinionwatch.pipeline.moments import moment
from opinionwatch.pipeline.ports import Item, Missed, Page

SEEN = 5_000
"""Digests a lane remembers at most."""


class WalkingSettings(PollingSettings):
    """Settings of every source that is walked back."""

    history_h: float = Field(default=24.0, ge=0, le=1_000_000, description="Hours that the first poll looks back.")
    late_s: int = Field(
        default=600,
        ge=0,
        le=86_400,
        description="Seconds by which the service may show a post late; so long edits and figures are looked for.",
    )


class Dated(NamedTuple):
    """A post, and when it was published, in seconds since 1970; None: about when its neighbour was."""

    at: int | None
    entry: Entry


class Batch(NamedTuple):
    """What one question brought, newest first."""

    posts: Iterable[Dated]
    older: str | None
    """How to ask for what is older; None: there is nothing."""
    reached: int | None = None
    """Moment down to which it was looked, where posts do not tell: all of them may have been left out."""
    cut: bool = False
    """The service shows no more than this, although there may be older posts."""


class Lane(BaseModel):
    """How far one question (a hashtag, a country) was answered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    floor: int
    """All that was published before was delivered, unless it appears later than `late_s`."""
    top: int
    """The newest so far; becomes the floor when the walk has come to its end."""
    older: str | None = None
    """Where an unfinished walk goes on."""
    seen: tuple[tuple[int, str], ...] = ()
    """Delivered posts that may be met again, as they were told last, newest first."""
    walked: bool = False
    """Whether the floor is that of a finished walk, and not only of how far the first one looks back."""

    def taking(self, batch: Batch, late_s: int, now: int) -> "tuple[list[Entry], Lane, bool, Missed | None]":
        """What is new in a batch, the lane after it, whether the walk has ended, and what it did not reach."""
        known = {_key(told): told for _, told in self.seen}
        met: dict[str, tuple[int, str]] = {}
        fresh: list[Entry] = []
        last = self.top
        ended = batch.older is None
        for post in batch.posts:
            # A post from the future must not push the floor there.
            last = min(last if post.at is None else post.at, now)
            told = _told(post.entry)
            key = _key(told)
            if last >= self.floor - late_s and key not in met and known.get(key) != told:
                fresh.append(post.entry)
            met.setdefault(key, (last, told))
        reached = batch.reached if batch.reached is not None else last if met else None
        ended = ended or (reached is not None and reached < self.floor - late_s)
        top = max([self.top, *(at for at, _ in met.values())])
        again = [each for each in self.seen if each[0] >= top - late_s or (not ended and each[0] <= self.floor)]
        kept = {_key(told): (at, told) for at, told in again}
        for key, (at, told) in met.items():
            if key in kept:
                kept[key] = (kept[key][0], told)
            elif not ended or at >= top - late_s:
                kept[key] = (at, told)
        seen = tuple(sorted(kept.values(), reverse=True)[:SEEN])
        floor = top if ended else self.floor
        older = None if ended else batch.older
        after = Lane(floor=floor, top=top, older=older, seen=seen, walked=self.walked or ended)
        return fresh, after, ended, self._unreached(batch, reached)

    def met(self, post: Dated, late_s: int, now: int) -> "Lane | None":
        """The lane after a post that came by itself, when nothing before is missing; None: it was delivered before."""
        told, at = _told(post.entry), min(now if post.at is None else post.at, now)
        if any(_key(told) == _key(known) for _, known in self.seen):
            return None
        top = max(self.top, at)
        seen = [(when, known) for when, known in ((at, told), *self.seen) if when >= top - late_s]
        return Lane(floor=top, top=top, seen=tuple(sorted(seen, reverse=True)[:SEEN]), walked=True)

    def _unreached(self, batch: Batch, reached: int | None) -> Missed | None:
        """What lies between the walk before and the end of what the service shows."""
        if not self.walked or not batch.cut or reached is None or reached <= self.floor:
            return None
        since, until = (datetime.fromtimestamp(at, UTC) for at in (self.floor, reached))
        return Missed(
            since, until, "the service shows only its newest posts, and these did not reach back: poll more often"
        )


class Walking(Polling):
    """Base of the sources that are walked back: a source adds `kind`, `lanes` and `ask`."""

    def __init__(self, name: str, instance: str, settings: WalkingSettings) -> None:
        super().__init__(name, instance, settings)
        self._walking = settings

    def lanes(self) -> Iterable[str]:
        """The questions, by names that change when what they ask for does."""
        raise NotImplementedError

    def ask(self, lane: str, older: str | None, since: int) -> Batch:
        """The newest posts (`older` None), or those that a batch before promised; down to `since` is enough."""
        raise NotImplementedError

    def check(self) -> str:
        """Whether the service answers us, asked once. Raises like `fetch`."""
        lane = next(iter(self.lanes()))
        count = len(list(self.ask(lane, None, int(time.time()) - 3600).posts))
        return f"the service answers; {count} posts at the first look ({lane})"

    def fetch(self, cursor: str | None) -> Iterator[Page]:
        """One poll: each lane from its newest post down to where the last finished walk began."""
        now = int(time.time())
        before = Walks.read(cursor) or Walks()
        names = list(dict.fromkeys(self.lanes()))
        lanes = {name: lane for name, lane in before.lanes.items() if name in names}
        for name in names:
            start = now - int(self._walking.history_h * 3600)
            lane = stored = lanes.get(name) or Lane(floor=start, top=start)
            ended, circle = False, _Circle()
            while not ended:
                if self._closing.is_set():
                    return
                batch = self.ask(name, lane.older, lane.floor - self._walking.late_s)
                if batch.older is not None and circle.closes(batch.older):
                    batch = batch._replace(older=None, cut=True)
                fresh, lane, ended, lost = lane.taking(batch, self._walking.late_s, now)
                # Steps that brought nothing are worth a page only if the whole walk changed something.
                if fresh or (ended and lane != stored):
                    lanes[name] = stored = lane
                    items = [Item(entry.body()) for entry in reversed(fresh)]
                    yield Page(items, Walks(lanes=lanes).model_dump_json(), [lost] if lost else [])

    def backfill(self, since: datetime, cursor: str | None) -> Iterator[Page]:
        """One walk of each lane from its newest post down to `since`; the cursor is that of such a walk."""
        began, floor = int(time.time()), int(since.timestamp())
        names = list(dict.fromkeys(self.lanes()))
        for page in self.fetch(cursor or self.cursor_since(names, floor)):
            # A lane that has not ended keeps the floor it walks to; a page is of the one that is walked, oldest first.
            ended = sum(lane.floor > floor for lane in Walks.model_validate_json(page.cursor).lanes.values())
            oldest = _published_s(page.items[0], began) if page.items else began
            part = min(1.0, max(0.0, (began - oldest) / max(1, began - floor)))
            yield replace(page, share=min(1.0, (ended + part) / len(names)))

    @staticmethod
    def cursor_since(lanes: Iterable[str], since: int) -> str:
        """A cursor from which everything published after `since` (seconds since 1970) is asked for again."""
        return Walks(lanes={name: Lane(floor=since, top=since) for name in lanes}).model_dump_json()


class _Circle:
    """Whether steps come back to where they were (Brent's algorithm): it remembers one of them."""

    def __init__(self) -> None:
        self._mark: str | None = None
        self._steps, self._most = 0, 1

    def closes(self, step: str) -> bool:
        """Take a step."""
        if step == self._mark:
            return True
        self._steps += 1
        if self._steps == self._most:
            self._mark, self._steps, self._most = step, 0, 2 * self._most
        return False


class Walks(Cursor):
    """The cursor."""

    whose = "this kind"
    lanes: dict[str, Lane] = Field(default={})

    @property
    def unfinished(self) -> bool:
        """Whether a walk was cut off, and is to go on where it was."""
        return any(lane.older is not None for lane in self.lanes.values())


def _published_s(item: Item, unknown: int) -> int:
    try:
        found = loads(item.body)
        at = moment(found.get("published_at")) if isinstance(found, dict) else None
    except ValueError:
        return unknown
    return unknown if at is None else int(at.timestamp())


def down_to(last: int | None, older: str | None) -> str | None:
    """How to ask for what is older, of a service that is asked by time: the second of the last post, or the one before
    it when that second holds more posts than an answer.
    """
    if last is not None and older is not None and last >= int(older):
        last -= 1
    return None if last is None else str(last)


def _told(entry: Entry) -> str:
    """What is delivered once, by its digest: a text, each edit of it, and its deletion; and after a dot its figures."""
    version = "deleted" if entry.deleted else entry.edited_at
    figures = (entry.likes, entry.reposts, entry.replies)
    name = digest_of(f"{entry.native_id}\0{version}" if version else entry.native_id)
    return name if figures == (None, None, None) else f"{name}.{digest_of(repr(figures))[:4]}"


def _key(told: str) -> str:
    return told.partition(".")[0]


def digest_of(text: str) -> str:
    """Eight bytes that stand for an id."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
