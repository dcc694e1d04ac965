"""Between the writer and a real Elasticsearch: a loopback proxy that makes the cluster fail by a plan.

Items that it calls busy are withheld from the cluster, so that what is confirmed is what is there. An answer that it
drops, cuts off or shortens belongs to a request that the cluster did take.
"""

import json
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from urllib.parse import urlsplit

PRODUCT = ("X-Elastic-Product", "Elasticsearch")
JSON = "application/vnd.elasticsearch+json;compatible-with=8"


@dataclass(frozen=True)
class Plan:
    """How likely each fault is: the first by item, the others by request."""

    seed: int = 1
    busy_items: float = 0.2
    unavailable: float = 0.05
    dropped: float = 0.02
    cut_off: float = 0.02
    too_few: float = 0.02
    longest_body: int = 100_000_000
    """A longer one is answered with 413."""


@dataclass
class Proxy:
    """What it did so far, and the switch for credentials."""

    address: str
    fired: Counter[str] = field(default_factory=Counter)
    denied: Event = field(default_factory=Event)
    """While set, everything is answered with 401."""


class _Server(ThreadingHTTPServer):
    """Listens, and throws the dice for all requests."""

    daemon_threads = True

    def __init__(self, target: str, plan: Plan, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Between)
        self.target, self.plan = urlsplit(target), plan
        self.made = Proxy(f"http://127.0.0.1:{self.server_address[1]}")
        self._dice, self._lock = random.Random(plan.seed), Lock()

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - as the base class has it
        """A cluster that is gone, or a writer that hung up: the connection ends without an answer."""
        self.made.fired["no answer"] += 1

    def happens(self, name: str, chance: float) -> bool:
        """Whether a fault happens now; counted when it does."""
        with self._lock:
            hit = self._dice.random() < chance
            self.made.fired[name] += hit
        return hit


class _Between(BaseHTTPRequestHandler):
    """One connection."""

    server: _Server
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Nothing."""

    def take(self) -> None:
        """One request."""
        plan, made = self.server.plan, self.server.made
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if made.denied.is_set():
            made.fired["denied"] += 1
            self._answer(401, _error("security_exception", "unable to authenticate user", 401))
        elif not self.path.startswith("/_bulk"):
            self._answer(*self._forward(body))
        elif len(body) > plan.longest_body:
            made.fired["too large"] += 1
            self._answer(413, b"")
        elif self.server.happens("unavailable", plan.unavailable):
            self._answer(503, _error("cluster_block_exception", "no master", 503))
        else:
            self._bulk(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = take  # noqa: N815 - the base class looks for these names

    def _bulk(self, body: bytes) -> None:
        plan, happens = self.server.plan, self.server.happens
        operations = list(_operations(body))
        busy = [happens("busy item", plan.busy_items) for _ in operations]
        passed = b"".join(operation for operation, held in zip(operations, busy, strict=True) if not held)
        status, told = self._forward(passed) if passed else (200, b'{"items": []}')
        if status != 200:
            self._answer(status, told)
            return
        items = iter(json.loads(told).get("items", []))
        refused = {"create": {"status": 429, "error": {"type": "es_rejected_execution_exception", "reason": "full"}}}
        merged = [refused if held else next(items) for held in busy]
        if happens("too few items", plan.too_few):
            merged = merged[:-1]
        if happens("dropped", plan.dropped):
            self.close_connection = True
        else:
            self._answer(200, json.dumps({"items": merged}).encode(), cut=happens("cut off", plan.cut_off))

    def _forward(self, body: bytes) -> tuple[int, bytes]:
        target = self.server.target
        connection = HTTPConnection(target.hostname or "", target.port or 0, timeout=60)
        kind = {"Content-Type": self.headers["Content-Type"]} if body else {}
        connection.request(self.command, self.path, body or None, {**kind, "Accept": self.headers.get("Accept", "*/*")})
        found = connection.getresponse()
        told = found.read()
        connection.close()
        return found.status, told

    def _answer(self, status: int, body: bytes, *, cut: bool = False) -> None:
        self.send_response(status)
        self.send_header(*PRODUCT)
        self.send_header("Content-Type", JSON)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection = self.close_connection or cut


@contextmanager
def proxy(target: str, plan: Plan, port: int = 0) -> Iterator[Proxy]:
    """The proxy before `target` while the block runs; at a free port, unless told at which."""
    server = _Server(target, plan, port)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _operations(body: bytes) -> Iterator[bytes]:
    lines = iter(body.splitlines(keepends=True))
    for line in lines:
        yield line if line.startswith(b'{"delete"') else line + next(lines)


def _error(kind: str, reason: str, status: int) -> bytes:
    return json.dumps({"error": {"type": kind, "reason": reason}, "status": status}).encode()
