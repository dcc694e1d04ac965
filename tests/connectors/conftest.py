"""Real servers on this machine for what is fetched over HTTP."""

import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from opinionwatch.connectors import http
from opinionwatch.connectors.hosts import Hosts

Respond = Callable[[BaseHTTPRequestHandler], None]


class Server(ThreadingHTTPServer):
    """Does not mind clients that hang up."""

    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # its types are not public


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A file with the secret."""
    (tmp_path / "key").write_text("s3cret\n")
    return tmp_path / "key"


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """One host may be asked faster than is polite, but its pauses are kept."""
    monkeypatch.setattr(http, "SHARED", Hosts(per_s=10_000, burst=10_000, patience_s=0.5))


@pytest.fixture
def serve() -> Iterator[Callable[[Respond], str]]:
    """Start a server that answers every GET with `respond`; its base URL is returned."""
    servers: list[tuple[Server, Thread]] = []

    def start(respond: Respond) -> str:
        class Answering(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                try:
                    respond(self)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name the base class gives it
                del format, args

        server = Server(("127.0.0.1", 0), Answering)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join(10)
        server.server_close()
