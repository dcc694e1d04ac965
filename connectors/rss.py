"""Feeds: RSS, Atom and JSON Feed."""

from collections.abc import Callable, Iterator
from hashlib import blake2b

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from opinionwatch.connectors.entry import Entry
from opinionwatch.connectors.feeds import plain, read_feed
from opinionwatch.connectors.fulltext import FullText
from opinionwatch.connectors.polling import Polling, PollingSettings
from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.ports import Item, Page
from opinionwatch.pipeline.redact import redact

PAGE_ITEMS = 200
PAGE_ITEMS_FULL_TEXT = 10
"""Fetching articles takes time; what is had is stored soon."""
REMEMBERED = 1_000
_ACCEPT = "application/atom+xml, application/rss+xml, application/feed+json, application/xml;q=0.9, */*;q=0.5"


class Rss(Polling):
    """Read documents from an RSS, Atom or JSON feed.

    Polls with conditional requests (ETag, Last-Modified), so an unchanged feed costs one empty answer. The cursor holds
    those and which entries were delivered. With `full_text` the article behind an entry is fetched where its
    robots.txt allows it, and the feed's own text stays where there is none. What is no feed, is cut off or hostile
    (document types, bombs, absurd sizes) is an error with its reason, and the next poll tries again.

    Delivery: at least once. An entry that leaves the feed before it was polled is lost: poll more often than the feed
    turns over. A later edit of an entry is not read again.
    """

    kind = "rss"

    class Settings(PollingSettings):
        """Settings of an `rss` source."""

        url: str = Field(min_length=8, max_length=2000, description="Address of the feed.")
        full_text: bool = Field(default=False, description="Fetch the article behind each entry.")

    def __init__(self, name: str, settings: Settings, shape: Callable[[Entry], Entry] = lambda entry: entry) -> None:
        """`shape` may change what an entry says, before an article replaces its text."""
        of = _digest(settings.url)
        shown = redact(settings.url)
        # A query may hold a key, and the instance is stored with each document.
        super().__init__(name, shown if shown == settings.url else f"{shown}#{of}", settings)
        self._url = settings.url
        self._of = of
        self._shape = shape
        self._articles = FullText(self._client) if settings.full_text else None

    def fetch(self, cursor: str | None) -> Iterator[Page]:
        """One poll: pages of what is new, oldest first."""
        before = _Seen.read(cursor, self._of)
        headers = {"accept": _ACCEPT, "if-none-match": before.etag, "if-modified-since": before.modified}
        answer = self._client.get(self._url, {name: value for name, value in headers.items() if value})
        if answer.status == 304:
            return
        try:
            entries = read_feed(answer.body, answer.headers.get("content-type", ""))
        except ValueError as error:
            raise RetryableError(f"{redact(self._url)}: {error}") from error
        known = set(before.entries)
        keys = {_digest(entry.native_id): entry for entry in entries}
        fresh = [digest for digest in keys if digest not in known]
        size = PAGE_ITEMS if self._articles is None else PAGE_ITEMS_FULL_TEXT
        parts = [fresh[start : start + size] for start in range(0, len(fresh), size)] or [[]]
        after = before
        for number, part in enumerate(parts, start=1):
            if self._closing.is_set():
                return
            items = [Item(self._whole(keys[digest]).body()) for digest in part]
            after = after.plus(part, len(keys))
            if number == len(parts):
                # Only now: with the new ETag the server would never send the rest again.
                after = after.plus(list(keys), len(keys)).model_copy(
                    update={"etag": answer.headers.get("etag", ""), "modified": answer.headers.get("last-modified", "")}
                )
            if items or after != before:
                yield Page(items, after.model_dump_json())

    def _whole(self, entry: Entry) -> Entry:
        entry = self._shape(entry)
        if self._articles is None or not entry.url:
            return entry
        text = self._articles.of(entry.url)
        if text is None:
            return entry
        title = plain(entry.title) if entry.title and entry.html else entry.title
        return entry._replace(text=text, title=title, html=False)


class _Seen(BaseModel):
    """The cursor of a feed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    of: str
    """Which address the validators are for."""
    etag: str = ""
    modified: str = ""
    entries: tuple[str, ...] = ()
    """Digests of delivered ids, latest first; bounded, but never fewer than the feed holds."""

    @classmethod
    def read(cls, cursor: str | None, of: str) -> "_Seen":
        """What a cursor says. Raises FatalError when it is not one of a feed."""
        if cursor is None:
            return cls(of=of)
        try:
            seen = cls.model_validate_json(cursor)
        except ValidationError as error:
            raise FatalError("the stored cursor is not one of a feed; give the source a new name") from error
        return seen if seen.of == of else cls(of=of, entries=seen.entries)

    def plus(self, digests: list[str], present: int) -> "_Seen":
        """With these delivered, too."""
        entries = tuple(dict.fromkeys([*digests, *self.entries]))[: max(REMEMBERED, 2 * present)]
        return self.model_copy(update={"entries": entries})


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
