"""Feeds: RSS, Atom and JSON Feed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urljoin

import httpx2
from pydantic import Field

from opinionwatch.connectors.cursor import Cursor
from opinionwatch.connectors.entry import Entry
from opinionwatch.connectors.feeds import next_page, plain, read_feed
from opinionwatch.connectors.fulltext import FullText
from opinionwatch.connectors.http import Answer
from opinionwatch.connectors.naming import Names
from opinionwatch.connectors.polling import Polling, PollingSettings
from opinionwatch.connectors.walking import digest_of
from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.moments import moment
from opinionwatch.pipeline.ports import Item, Missed, Page
from opinionwatch.pipeline.redact import redact

PAGE_ITEMS = 200
PAGE_ITEMS_FULL_TEXT = 10
"""Fetching articles takes time; what is had is stored soon."""
REMEMBERED = 1_000
HISTORY_PAGES = 10_000
"""Of a feed that names ever older pages, perhaps in a circle."""
MARK_CHARS = 2_000
SECOND = timedelta(seconds=1)
_ACCEPT = "application/atom+xml, application/rss+xml, application/feed+json, application/xml;q=0.9, */*;q=0.5"


class Rss(Polling):
    """Read documents from an RSS, Atom or JSON feed.

    Polls with conditional requests (ETag, Last-Modified), so an unchanged feed costs one empty answer. The cursor holds
    those and which entries were delivered. With `full_text` the article behind an entry is fetched where its
    robots.txt allows it, and the feed's own text stays where there is none. What is no feed, is cut off or hostile
    (document types, bombs, absurd sizes) is an error with its reason, and the next poll tries again.

    Delivery: at least once. An entry that leaves the feed before it was polled is lost; when the whole feed has turned
    over between two polls, that is recorded as a gap: poll more often. An entry whose words have changed comes again
    as a later version while it is in the feed, where the feed says when it was changed (Atom's `updated`,
    `date_modified` of JSON Feed): RSS does not. A deletion is not seen.
    """

    kind = "rss"

    class Settings(PollingSettings):
        """Settings of an `rss` source."""

        url: str = Field(min_length=8, max_length=2000, description="Address of the feed.")
        full_text: bool = Field(default=False, description="Fetch the article behind each entry.")

    def __init__(self, name: str, settings: Settings, shape: Callable[[Entry], Entry] = lambda entry: entry) -> None:
        """`shape` may change what an entry says, before an article replaces its text."""
        of = digest_of(settings.url)
        shown = redact(settings.url)
        # A query may hold a key, and the instance is stored with each document.
        super().__init__(name, shown if shown == settings.url else f"{shown}#{of}", settings)
        self._url = settings.url
        self._of = of
        self._shape = shape
        self._articles = FullText(self._client) if settings.full_text else None

    def fetch(self, cursor: str | None) -> Iterator[Page]:
        """One poll: pages of what is new, oldest first."""
        before = _Seen.read(cursor) or _Seen(of=self._of)
        if before.of != self._of:  # the validators were another address's
            before = _Seen(of=self._of, entries=before.entries, shared=before.shared)
        headers = {"accept": _ACCEPT, "if-none-match": before.etag, "if-modified-since": before.modified}
        answer = self._client.get(self._url, {name: value for name, value in headers.items() if value})
        if answer.status == 304:
            return
        names = Names(before.shared)
        entries = self._entries(answer, names)
        known = set(before.entries)
        keys = {_version(entry): entry for entry in entries}
        fresh = [digest for digest in keys if digest not in known]
        new = sum(digest_of(entry.native_id) not in known for entry in keys.values())
        size = PAGE_ITEMS if self._articles is None else PAGE_ITEMS_FULL_TEXT
        parts = [fresh[start : start + size] for start in range(0, len(fresh), size)] or [[]]
        present = len(_digests(entries))
        after = before.naming(names, present)
        # What was known under an id that turns out to be shared is new under its own, but the feed has not turned over.
        renamed = len(known.intersection(after.shared).difference(before.shared))
        missed = _turned_over(before, list(keys.values()), fresh=new - renamed)
        for number, part in enumerate(parts, start=1):
            if self._closing.is_set():
                return
            taken = [keys[digest] for digest in part]
            items = [Item(self._whole(entry).body()) for entry in taken]
            after = after.plus(taken, present).until(taken)
            if number == len(parts):
                # Only now: with the new ETag the server would never send the rest again.
                after = after.plus(list(keys.values()), present).model_copy(
                    update={"etag": _mark(answer.headers, "etag"), "modified": _mark(answer.headers, "last-modified")}
                )
            if items or after != before:
                yield Page(items, after.model_dump_json(), missed)
                missed = ()

    def check(self) -> str:
        """Whether a feed is there, and how much it holds."""
        answer = self._client.get(self._url, {"accept": _ACCEPT})
        entries = self._entries(answer, Names())
        newest = max((at for entry in entries if (at := _published(entry)) is not None), default=None)
        when = f", the newest of {newest:%Y-%m-%d %H:%M} UTC" if newest else ""
        return f"a feed with {len(entries)} entries{when}"

    def backfill(self, since: datetime, cursor: str | None) -> Iterator[Page]:
        """Older pages of the feed, where it names them (RFC 5005, `next_url`); the cursor is the next one's address,
        and empty after the last.
        """
        began, url, names = datetime.now(UTC), self._url if cursor is None else cursor, Names()
        if not url:
            return
        for _ in range(HISTORY_PAGES):
            if self._closing.is_set():
                return
            answer = self._client.get(url, {"accept": _ACCEPT})
            entries = self._entries(answer, names)
            older = _address(answer.url, next_page(answer.body, answer.headers.get("content-type", "")))
            times = [at for entry in entries if (at := _published(entry)) is not None]
            wanted = [entry for entry in entries if (at := _published(entry)) is None or at >= since]
            oldest = min(times, default=None)
            ended = older is None or not entries or (oldest is not None and oldest < since)
            url = older if older and not ended else ""
            share = None if oldest is None else min(1.0, max(0.0, (began - oldest) / max(began - since, SECOND)))
            yield Page([Item(self._whole(entry).body()) for entry in wanted], url, share=1.0 if ended else share)
            if ended:
                return

    @staticmethod
    def _entries(answer: Answer, names: Names) -> list[Entry]:
        try:
            return read_feed(answer.body, answer.headers.get("content-type", ""), names)
        except ValueError as error:
            raise RetryableError(f"{redact(answer.url)}: {error}") from error

    def _whole(self, entry: Entry) -> Entry:
        entry = self._shape(entry)
        if self._articles is None or not entry.url:
            return entry
        text = self._articles.of(entry.url)
        if text is None:
            return entry
        title = plain(entry.title) if entry.title and entry.html else entry.title
        return entry._replace(text=text, title=title, html=False)


class _Seen(Cursor):
    """The cursor of a feed."""

    whose = "a feed"
    of: str
    """Which address the validators are for."""
    etag: str = ""
    modified: str = ""
    newest: datetime | None = None
    """The latest time that a delivered entry carried."""
    entries: tuple[str, ...] = ()
    """Digests of delivered ids and versions, latest first; bounded, but never fewer than the feed holds."""

    shared: tuple[str, ...] = ()
    """Digests of ids that several entries have shared; bounded in the same way."""

    def naming(self, names: Names, present: int) -> "_Seen":
        """With the ids that are known to be shared by now."""
        return self.model_copy(update={"shared": names.shared[: max(REMEMBERED, 2 * present)]})

    def plus(self, delivered: Sequence[Entry], present: int) -> "_Seen":
        """With these delivered, too."""
        entries = tuple(dict.fromkeys([*_digests(delivered), *self.entries]))[: max(REMEMBERED, 2 * present)]
        return self.model_copy(update={"entries": entries})

    def until(self, entries: Sequence[Entry]) -> "_Seen":
        """With the times of these entries seen, too."""
        times = [self.newest, *map(_published, entries)]
        return self.model_copy(update={"newest": max((at for at in times if at is not None), default=None)})


def _turned_over(before: _Seen, entries: Sequence[Entry], *, fresh: int) -> tuple[Missed, ...]:
    """A feed of which nothing is known any more has turned over between two polls: there may have been others."""
    if not before.entries or not entries or fresh < len(entries):
        return ()
    until = min((at for entry in entries if (at := _published(entry)) is not None), default=None)
    return (
        Missed(
            before.newest,
            until,
            f"none of the {len(entries)} entries was there at the poll before, so others may have come and gone: poll "
            "more often",
        ),
    )


def _address(base: str, link: str | None) -> str | None:
    """Where a link leads; None where it is no address."""
    try:
        found = urljoin(base, link or "")
        httpx2.URL(found)
    except (ValueError, httpx2.InvalidURL):
        return None
    return found if link and len(found) <= MARK_CHARS else None


def _mark(headers: Mapping[str, str], name: str) -> str:
    """A validator to be sent with the next question; one that is too long would have that refused, for ever."""
    found = headers.get(name, "")
    return found if len(found) <= MARK_CHARS else ""


def _published(entry: Entry) -> datetime | None:
    try:
        return moment(entry.published_at)
    except ValueError:
        return None


def _digests(entries: Sequence[Entry]) -> dict[str, None]:
    """By what entries are known again: their ids, and their versions."""
    return dict.fromkeys(digest for entry in entries for digest in (_version(entry), digest_of(entry.native_id)))


def _version(entry: Entry) -> str:
    """What is delivered once: an entry, and again when it was changed and says something else. Its time alone does not
    make a version: some feeds move it with every answer.
    """
    said = (entry.native_id, entry.title or "", entry.text) if entry.edited_at else (entry.native_id,)
    return digest_of("\0".join(said))
