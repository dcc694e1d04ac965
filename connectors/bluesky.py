"""Bluesky: all new posts of the network, as its Jetstream service sends them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from urllib.parse import urlencode, urlsplit

from pydantic import Field

from opinionwatch.connectors.backfill import passed
from opinionwatch.connectors.entry import Entry
from opinionwatch.connectors.found import Found
from opinionwatch.connectors.gathering import Draft, gathered
from opinionwatch.connectors.http import UnansweredError
from opinionwatch.connectors.jetstream import Here, Place
from opinionwatch.connectors.named import Named
from opinionwatch.connectors.polling import ServiceSettings
from opinionwatch.connectors.websocket import streaming
from opinionwatch.pipeline.guard import Guard
from opinionwatch.pipeline.ports import Page

CHECK_S = 10.0
SILENT_S = 60.0
"""Somebody always writes. A stream that is silent for so long is dead."""
_POSTS = "app.bsky.feed.post"


class Bluesky(Named):
    """Read all new posts of the Bluesky network, in some languages or in all.

    Subscribes to a Jetstream host, version 1 of its protocol (https://github.com/bluesky-social/jetstream, README and
    secondary pages read 2026-11-26): `/subscribe?wantedCollections=app.bsky.feed.post&cursor=…`, JSON without
    compression. Deletions are handed on, whatever the post's language was: the stream does not say. An `update` is an
    edit at its `time_us`. Open, no key. Terms: the Bluesky developer guidelines; deleted posts have to go here, too,
    and they do.

    Delivery: at least once, within the day or so that the host keeps; what it no longer had is recorded as a gap. What
    is repeated has the same id. That a whole account was deleted is not seen: `opinionwatch erase --author` takes its
    posts out.
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
        super().__init__(name, "bsky.network")
        self._given = settings
        self._langs = {lang.lower() for lang in settings.langs}
        self._host = urlsplit(settings.url).netloc
        self._guard = Guard(settings.allow_hosts)

    def fetch(self, cursor: str | None) -> Iterator[Page]:
        """Posts as they come, until the connection breaks (RetryableError) or the source is closed."""
        return self._stream(Place.read(cursor))

    def backfill(self, since: datetime, cursor: str | None) -> Iterator[Page]:
        """What the host still has of the posts since then, up to the moment it is first asked."""
        since_us, now_us = (int(at.timestamp() * 1_000_000) for at in (since, datetime.now(UTC)))
        place = Place.read(cursor) or Place(host=self._host, time_us=since_us, until_us=now_us)
        for page in self._stream(place):
            here = Place.read(page.cursor) or place
            yield replace(page, share=passed(since_us, place.until_us or now_us, here.time_us))

    def _stream(self, before: Place | None) -> Iterator[Page]:
        here = Here(self._host, before)
        query = urlencode({"wantedCollections": _POSTS, **({"cursor": here.begin_us} if here.before else {})})
        with streaming(self._guard, f"{self._given.url}?{query}", self._closing, contact=self._given.contact) as stream:
            yield from gathered(stream, self._host, partial(self._take, here), here.stored, SILENT_S, here.over)

    def check(self) -> str:
        """Whether the host lets us in and sends something."""
        with streaming(self._guard, self._given.url, self._closing, contact=self._given.contact) as stream:
            if stream.message(CHECK_S) is None:
                raise UnansweredError(f"{self._host}: no event within {CHECK_S:g} s")
        return f"{self._host} streams"

    def _take(self, here: Here, event: Found, draft: Draft) -> None:
        at = here.reach(event, draft)
        did, key = event.text("did"), event.text("commit.rkey")
        if not did or not key or event.text("commit.collection") != _POSTS:
            return
        uri = f"at://{did}/{_POSTS}/{key}"
        operation = event.text("commit.operation")
        if operation == "delete":
            draft.entries[uri] = Entry(uri, "", deleted=True)
            return
        post = event.at("commit.record")
        text, langs = post.text("text"), [lang for tag in post.each("langs") if (lang := tag.text())]
        spoken = {lang.lower().partition("-")[0] for lang in langs} | {lang.lower() for lang in langs}
        if operation not in ("create", "update") or not text or (self._langs and not spoken & self._langs):
            return
        if uri in draft.entries and operation == "create":  # told again after what became of it
            return
        written = post.seconds("createdAt")
        published = min(at // 1_000_000, written if written is not None else at)
        draft.entries[uri] = Entry(
            uri,
            text,
            author=did,
            url=f"https://bsky.app/profile/{did}/post/{key}",
            published_at=str(published) if published >= 100_000_000 else None,
            lang=langs[0] if len(langs) == 1 else None,
            edited_at=str(at / 1_000_000) if operation == "update" else None,
        )
