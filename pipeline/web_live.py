"""Tells open pages that something has changed: server-sent events, one poller of the archive for all of them."""

import asyncio
from collections.abc import AsyncIterator
from threading import Event, Thread

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from opinionwatch.pipeline.errors import OpinionwatchError
from opinionwatch.pipeline.web_site import Site

EVERY_S = 1.0
KEEP_ALIVE_S = 15.0
MOST_READERS = 64


class Live:
    """Polls `revision` and `now` of an archive while somebody listens, and wakes the listeners when they change.

    An event says only that there is something new, and which alarms are open; the page then asks for what it shows. A
    slow reader misses nothing: it gets the newest event once, not a queue of old ones.
    """

    def __init__(self, site: Site, every_s: float = EVERY_S) -> None:
        self._site = site
        self._every_s = every_s
        self._stopped = Event()
        self._readers: set[asyncio.Event] = set()
        self._event = b""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin to poll, on a thread of its own; called on the event loop that serves."""
        self._loop = asyncio.get_running_loop()
        self._thread = Thread(target=self._poll, name="opinionwatch-live", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End every open stream and the polling. From any thread, and more than once."""
        self._stopped.set()
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    async def join(self) -> None:
        """Wait for the polling to end."""
        self.stop()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    def _poll(self) -> None:
        last = b""
        while not self._stopped.wait(self._every_s):
            if not self._readers:
                continue
            event = self._look()
            if event and event != last and self._loop is not None and not self._stopped.is_set():
                last = event
                self._loop.call_soon_threadsafe(self._publish, event)

    def _look(self) -> bytes:
        try:
            revision, now = self._site.archive.revision(), self._site.archive.now()
            alarms = [f"{episode.id} {episode.state}" for episode in self._site.alarms()]
        except OpinionwatchError:
            return b""  # not readable just now: the next look will tell
        data = orjson.dumps({"revision": revision, "now": now, "alarms": alarms})
        return b"event: revision\ndata: " + data + b"\n\n"

    def _publish(self, event: bytes) -> None:
        self._event = event
        self._wake()

    def _wake(self) -> None:
        for reader in self._readers:
            reader.set()

    async def stream(self, _: Request) -> Response:
        """The stream. Raises HTTPException 503 when too many read already or the page is going away."""
        if self._stopped.is_set() or len(self._readers) >= MOST_READERS:
            raise HTTPException(503, "no more live streams", {"retry-after": "5"})
        return StreamingResponse(
            self._events(),
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )

    async def _events(self) -> AsyncIterator[bytes]:
        news = asyncio.Event()
        self._readers.add(news)
        try:
            yield b"retry: 2000\n\n" + self._event
            while not self._stopped.is_set():
                try:
                    await asyncio.wait_for(news.wait(), KEEP_ALIVE_S)
                except TimeoutError:
                    yield b": still here\n\n"
                    continue
                news.clear()
                if not self._stopped.is_set():
                    yield self._event
        finally:
            self._readers.discard(news)
