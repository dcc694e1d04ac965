"""A service on this machine: it answers as its documentation says, and misbehaves when it is told to."""

import gzip
import json
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Asked:
    """A request as it came in."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""
    method: str = "GET"

    def number(self, name: str, default: int) -> int:
        """A whole number of the query."""
        return int(self.query.get(name) or default)


@dataclass(frozen=True)
class Told:
    """An answer: anything but bytes is sent as JSON."""

    body: object = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    """The connection breaks in the middle of the body."""

    @property
    def data(self) -> bytes:
        """The body's bytes."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body, ensure_ascii=False).encode()


Answer = Callable[[Asked], Told]

BOMB = gzip.compress(b'{"a": "' + b" " * 30_000_000 + b'"}')
FAULTS: dict[str, Told] = {
    "an error of its own": Told(b"oops", 500),
    "too many requests": Told(b"slow down", 429, {"Retry-After": "7"}),
    "an expired token": Told({"error": "invalid_token"}, 401, {"WWW-Authenticate": "Bearer"}),
    "a web page": Told(b"<!doctype html><title>Sign in</title>", 200, {"Content-Type": "text/html"}),
    "nothing at all": Told(b""),
    "half an answer": Told(b'{"hits": [{"objectID": "1", "comm'),
    "a broken connection": Told({"hits": [], "items": [], "padding": "x" * 10_000}, cut=True),
    "another shape": Told({"hits": 5, "items": "none", "feed": [], "data": {}, "hello": "world"}),
    "a bare string": Told("hello"),
    "null": Told(None),
    "a list of nonsense": Told([None, 5, "x"], 503),
    "depth": Told(b"[" * 200_000),
    "a bomb": Told(BOMB, 200, {"Content-Encoding": "gzip"}),
    "a redirect inside": Told(b"", 302, {"Location": "http://169.254.169.254/latest/meta-data/"}),
}
"""What a service may answer on a bad day."""


class Imitation:
    """A running service."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self.faults: deque[Told] = deque()
        """Answers that come first, whatever is asked."""
        self.url = ""

    def tell(self, asked: Asked) -> Told:
        """What this request is answered."""
        self.asked.append(asked)
        return self.faults.popleft() if self.faults else self.answer(asked)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # its types are not public


@contextmanager
def imitating(answer: Answer) -> Iterator[Imitation]:
    """Run a service for a while."""
    imitation = Imitation(answer)

    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            told = imitation.tell(Asked(parts.path, query, headers, body, self.command))
            self.send_response(told.status)
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(told.data)))
            self.end_headers()
            if told.cut:
                self.wfile.write(told.data[: len(told.data) // 2])
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
            elif told.status != 304:
                self.wfile.write(told.data)

        do_POST = do_GET  # noqa: N815  # the name the base class looks for

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name the base class gives it
            del format, args

    with _Server(("127.0.0.1", 0), Answering) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        imitation.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield imitation
        finally:
            server.shutdown()
            thread.join(10)
