"""A web hook on this machine that answers by plan and keeps what it was sent."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

PATH = "/services/T0/B0/s3cr3t-hook"


@dataclass
class Answer:
    """One answer; `hang` keeps the caller waiting until the stub ends, `drop` hangs up without a word."""

    status: int = 200
    body: str = "ok"
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: bool = False
    drop: bool = False


class SlackStub:
    """Answers in the order of `plan`, then with 200."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.plan: list[Answer] = []
        self.received: list[bytes] = []
        self.ended = Event()

    def take(self, body: bytes) -> Answer:
        self.received.append(body)
        return self.plan.pop(0) if self.plan else Answer()


@contextmanager
def slack_stub() -> Iterator[SlackStub]:
    """A stub on a free port of the loopback address."""

    class Web(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            answer = stub.take(self.rfile.read(int(self.headers["Content-Length"])))
            if answer.hang:
                stub.ended.wait()
            if answer.hang or answer.drop:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    stub = SlackStub(f"http://127.0.0.1:{server.server_address[1]}{PATH}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield stub
    finally:
        stub.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
