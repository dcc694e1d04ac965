"""Somebody who pushes, and somebody who takes it."""

import asyncio
import base64
import http.client
import json
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from threading import Lock, Thread

import uvicorn
from starlette.applications import Starlette

from opinionwatch.connectors.webhook import Webhook
from opinionwatch.pipeline.ports import Item, Page, Source
from opinionwatch.pipeline.registry import options
from opinionwatch.pipeline.signature import secret_bytes, sign

SECRET, OTHER = "s" * 32, "whsec_" + base64.b64encode(b"o" * 24).decode()

ONE = b'{"native_id": "1", "text": "hi"}'


class Desk:
    """An intake that answers as told; it takes at once by default."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.by: dict[str, list[Item]] = {}
        """The same by the source that brought them."""
        self.durable: Callable[[], Future[None]] = self.at_once
        self._lock = Lock()

    @staticmethod
    def at_once() -> "Future[None]":
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def submit(self, source: Source, page: Page) -> "Future[None]":
        future = self.durable()
        with self._lock:
            self.items += page.items
            self.by.setdefault(source.name, []).extend(page.items)
        return future


class Sender:
    """Signs and sends."""

    def __init__(self, port: int, name: str = "push") -> None:
        self.port = port
        self.name = name
        self.last = 0

    def headers(self, body: bytes, secret: str = SECRET, /, **changes: str | None) -> dict[str, str]:
        self.last += 1
        message_id = changes.pop("webhook_id", None) or f"msg_{self.last}"
        timestamp = changes.pop("webhook_timestamp", None) or str(int(time.time()))
        number = int(timestamp) if timestamp.isdecimal() else 0
        values: dict[str, str | None] = {
            "webhook-id": message_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": sign(secret_bytes(secret, "x"), message_id, number, body),
        }
        values |= {name.replace("_", "-"): value for name, value in changes.items()}
        return {name: value for name, value in values.items() if value is not None}

    def post(
        self, body: bytes, headers: dict[str, str] | None = None, /, **changes: str | None
    ) -> tuple[int, dict[str, object], str | None]:
        return self.raw(body, headers if headers is not None else self.headers(body, **changes))

    def raw(
        self, body: bytes | Iterable[bytes], headers: dict[str, str], method: str = "POST"
    ) -> tuple[int, dict[str, object], str | None]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            # Who refuses a body does not wait for the rest of it; the answer is there all the same.
            with suppress(BrokenPipeError, ConnectionResetError):
                chunked = not isinstance(body, bytes)
                connection.request(method, f"/hooks/{self.name}", body, headers, encode_chunked=chunked)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text.startswith(b"{") else {}, answer.getheader("Retry-After")
        finally:
            connection.close()


@contextmanager
def listening(desk: Desk, **settings: object) -> Iterator[Sender]:
    """One webhook."""
    with listening_all(desk, {"push": {"secrets": [SECRET, OTHER], **settings}}) as port:
        yield Sender(port)


@contextmanager
def listening_all(desk: Desk, told: Mapping[str, Mapping[str, object]]) -> Iterator[int]:
    """Webhooks of these names and settings, at one port."""
    sources = [Webhook(name, options(Webhook.Settings, settings, f"sources.{name}")) for name, settings in told.items()]
    routes = [route for source in sources for route in source.routes(desk)]
    server = uvicorn.Server(
        uvicorn.Config(Starlette(routes=routes), log_level="error", lifespan="off", timeout_graceful_shutdown=1)
    )
    with socket.create_server(("127.0.0.1", 0)) as bound:
        thread = Thread(target=lambda: asyncio.run(server.serve([bound])))
        thread.start()
        try:
            yield bound.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(10)
            for source in sources:
                source.close()
