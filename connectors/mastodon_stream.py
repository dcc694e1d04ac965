"""Mastodon, as it happens: public posts with a hashtag from a server's stream, and over REST what a break left out."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from time import time

import orjson
from pydantic import Field

from opinionwatch.connectors.api import bearer
from opinionwatch.connectors.entry import Entry
from opinionwatch.connectors.found import Found
from opinionwatch.connectors.gathering import Draft, SilentError, gathered
from opinionwatch.connectors.mastodon import Mastodon, posts_of
from opinionwatch.connectors.named import Named
from opinionwatch.connectors.walking import Lane, Walks
from opinionwatch.connectors.websocket import Stream, streaming
from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.guard import Guard
from opinionwatch.pipeline.ports import Page

REMEMBERED = 10_000
"""Statuses whose own ids are remembered, because deletions name nothing else."""


class MastodonStream(Named):
    """Read public posts with hashtags at the moment at which a server of the fediverse sees them.

    Subscribes on `wss://…/api/v1/streaming` to `hashtag`, with a user token (scope `read:statuses`, demanded since
    4.2), and takes the events `update`, `status.update` and `delete`
    (https://docs.joinmastodon.org/methods/streaming/, source of commit 2173fb2 read 2026-11-26; the address from
    `configuration.urls.streaming` of `/api/v2/instance`). After each connection, and before its first event, the
    hashtags are walked back over REST to where the stream broke off, as `mastodon` does. Boosts and posts of accounts
    that ask not to be indexed are left out. Terms: those of the server; ask its owners before you read much.

    Delivery: at least once. A post that reaches the server during a break and more than `late_s` after it was written
    is not seen. Edits are later versions. A deletion names the server's own id, so it is followed where this process
    has seen the post (the last 10,000); the text of one that still waits for its page is never handed on.
    """

    kind = "mastodon_stream"

    class Settings(Mastodon.Settings):
        """Settings of a `mastodon_stream` source."""

        token_file: Path = Field(description="File whose first line is the access token of a user.")
        interval_s: float = Field(
            default=900.0, ge=1, le=86_400, description="Seconds of silence after which it connects anew and looks."
        )

    def __init__(self, name: str, settings: Settings) -> None:
        super().__init__(name, "fediverse")
        self._given = settings
        self._rest = Mastodon(name, settings)
        self._guard = Guard(settings.allow_hosts)
        self._headers = bearer(name, settings.token_file)
        self._uris: dict[str, str] = {}

    def fetch(self, cursor: str | None) -> Iterator[Page]:
        """What was missed, then posts as they come, until the connection breaks (RetryableError) or it is closed."""
        while not self._closing.is_set():
            with self._connected() as stream, suppress(SilentError):
                for tag in self._rest.tags:
                    stream.send(orjson.dumps({"type": "subscribe", "stream": "hashtag", "tag": tag}))
                # A walk that an earlier life began does not reach up to now: then another one is needed.
                for _ in range(1 + (Walks.read(cursor) or Walks()).unfinished):
                    for page in self._rest.fetch(cursor):
                        cursor = page.cursor
                        yield page
                here = Walks.read(cursor) or Walks()
                take, whose = partial(self._take, here.lanes), self._rest.host
                for page in gathered(stream, whose, take, here.model_dump_json, self._given.interval_s):
                    cursor = page.cursor
                    yield page

    def backfill(self, since: datetime, cursor: str | None) -> Iterator[Page]:
        """What the server shows of the hashtags over REST, as `mastodon` does."""
        return self._rest.backfill(since, cursor)

    def check(self) -> str:
        """Whether the server streams to us, and what it shows over REST."""
        with self._connected():
            return f"{self._rest.host} streams; {self._rest.check()}"

    def close(self) -> None:
        """Stop soon."""
        super().close()
        self._rest.close()

    @contextmanager
    def _connected(self) -> Iterator[Stream]:
        base = self._rest.streams_at() or self._given.url.replace("http", "ws", 1)
        if self._given.url.startswith("https:") and not base.startswith("wss:"):
            raise RetryableError(f"{self._rest.host}: it streams unencrypted, and our token is not sent that way")
        url = f"{base.rstrip('/')}/api/v1/streaming"
        with streaming(self._guard, url, self._closing, self._headers, self._given.contact) as stream:
            yield stream

    def _take(self, lanes: dict[str, Lane], event: Found, draft: Draft) -> None:
        if event.there("error"):
            raise RetryableError(f"{self._rest.host}: the stream refuses a subscription")
        what, told = event.text("event"), event.text("payload") or ""
        if what == "delete":
            uri = self._uris.pop(told, None)
            if uri is not None:
                draft.entries[uri] = Entry(uri, "", deleted=True)
        if what not in ("update", "status.update"):
            return
        status = Found.read(told.encode("utf-8", "surrogatepass"), self._rest.host)
        for post in posts_of([status]):
            self._remember(status.text("id") or "", post.entry.native_id)
            name = f"{self._rest.host} #{(event.text('stream.1') or '').casefold()}"
            lane = lanes[name].met(post, self._given.late_s, int(time())) if name in lanes else None
            if lane is not None:
                lanes[name] = lane
            if lane is not None or what == "status.update" or name not in lanes:
                draft.entries[post.entry.native_id] = post.entry

    def _remember(self, key: str, uri: str) -> None:
        self._uris[key] = uri
        if len(self._uris) > REMEMBERED:
            del self._uris[next(iter(self._uris))]
