"""Bluesky: all new posts of the network, as its Jetstream service sends them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from threading import Event
from time import monotonic
from urllib.parse import urlencode, urlsplit

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from opinionwatch.connectors.entry import Entry
from opinionwatch.connectors.found import Found
from opinionwatch.connectors.polling import ServiceSettings
from opinionwatch.connectors.websocket import streaming
from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.guard import Guard
from opinionwatch.pipeline.ports import Item, Page

PAGE_ITEMS = 500
PAGE_S = 1.0
"""So long a page waits for more posts."""
SILENT_S = 60.0
"""Somebody always writes. A stream that is silent for so long is dead."""
REWIND_US = 5_000_000
OTHER_HOST_US = 60_000_000
"""How far to go back on reconnecting, and on another host, whose clock is another."""
GAP_US = 60_000_000
_POSTS = "app.bsky.feed.post"
log = structlog.get_logger(__name__)


class Bluesky:
    """Read all new posts of the Bluesky network, in some languages or in all.

    Subscribes to a Jetstream host, version 1 of its protocol (https://github.com/bluesky-social/jetstream, README and
    secondary pages read 2026-11-26): `/subscribe?wantedCollections=app.bsky.feed.post&cursor=…`, JSON without
    compression. The cursor is the `time_us` of the last event, with host and version; after a break it goes back five
    seconds, and a minute on another host. Hosts keep about a day and clamp an older cursor without a word, so a jump is
    logged as a gap. A post that is deleted while it waits for its page is never handed on. Open, no key. Terms: the
    Bluesky developer guidelines; deleted posts have to go here, too.

    Delivery: at least once, within what the host keeps. What is repeated has the same id. The deletion of a post that
    was already handed on, and its edits, are not seen.
    """

    kind = "bluesky"

    class Settings(ServiceSettings):
        """Settings of a `bluesky` source."""

        langs: tuple[str, ...] = Field(
            default=(), max_length=50, description="Only these languages: en, zh. Empty: all."
        )
        url: str = Field(
            default="wss://jetstream2.us-east.bsky.network/subscribe", description="Address of a Jetstream host."
        )

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self.instance = "bsky.network"
        self.interval_s: float | None = None
        self.replays = False
        self._given = settings
        self._langs = {lang.lower() for lang in settings.langs}
        self._host = urlsplit(settings.url).netloc
        self._guard = Guard(settings.allow_hosts)
        self._closing = Event()

    def fetch(self, cursor: str | None) -> Iterator[Page]:
        """Posts as they come, until the connection breaks (RetryableError) or the source is closed."""
        before = _Cursor.read(cursor)
        since = before.rewound(self._host) if before else None
        query = urlencode({"wantedCollections": _POSTS, **({"cursor": since} if since else {})})
        held: dict[str, Entry] = {}
        last, first_at = since or 0, 0.0
        with streaming(self._guard, f"{self._given.url}?{query}", self._closing, contact=self._given.contact) as stream:
            heard_at = monotonic()
            broken: RetryableError | None = None
            while not self._closing.is_set() and broken is None:
                message = None
                try:
                    message = stream.message()
                    if message is None and monotonic() - heard_at > SILENT_S:
                        broken = RetryableError(f"{self._host}: silent for {SILENT_S:g} s")
                except RetryableError as error:
                    broken = error
                if message is not None:
                    heard_at = monotonic()
                    first_at = first_at if held else heard_at
                    event = Found.read(message, self._host)
                    at = int(event.number("time_us") or last)
                    if before and at - before.time_us > GAP_US:
                        log.warning("source.gap", source=self.name, since=_iso(before.time_us), until=_iso(at))
                    before, last = None, max(last, at)
                    self._take(event, at, held)
                due = len(held) >= PAGE_ITEMS or monotonic() - first_at >= PAGE_S
                if held and (due or broken):
                    items = [Item(entry.body()) for entry in held.values()]
                    yield Page(items, _Cursor(host=self._host, time_us=last).model_dump_json())
                    held = {}
        if broken:
            raise broken

    def close(self) -> None:
        """Stop soon."""
        self._closing.set()

    def _take(self, event: Found, at: int, held: dict[str, Entry]) -> None:
        did, key = event.text("did"), event.text("commit.rkey")
        if not did or not key or event.text("commit.collection") != _POSTS:
            return
        uri = f"at://{did}/{_POSTS}/{key}"
        if event.text("commit.operation") == "delete":
            held.pop(uri, None)
            return
        post = event.at("commit.record")
        text, langs = post.text("text"), [lang for tag in post.each("langs") if (lang := tag.text())]
        spoken = {lang.lower().partition("-")[0] for lang in langs} | {lang.lower() for lang in langs}
        if event.text("commit.operation") != "create" or not text or (self._langs and not spoken & self._langs):
            return
        written = post.seconds("createdAt")
        published = min(at // 1_000_000, written if written is not None else at)
        held[uri] = Entry(
            uri,
            text,
            author=did,
            url=f"https://bsky.app/profile/{did}/post/{key}",
            published_at=str(published) if published >= 100_000_000 else None,
            lang=langs[0] if len(langs) == 1 else None,
        )


class _Cursor(BaseModel):
    """Where a stream stands."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str
    version: int = Field(default=1, ge=1, le=1)
    time_us: int = Field(ge=0)

    @classmethod
    def read(cls, cursor: str | None) -> "_Cursor | None":
        """What a cursor says. Raises FatalError when it is none of ours."""
        try:
            return None if cursor is None else cls.model_validate_json(cursor)
        except ValidationError as error:
            raise FatalError("the stored cursor is not one of Bluesky; give the source a new name") from error

    def rewound(self, host: str) -> int:
        """Where to begin on a host."""
        return max(1, self.time_us - (REWIND_US if host == self.host else OTHER_HOST_US))


def _iso(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1_000_000, UTC).isoformat(timespec="seconds")
