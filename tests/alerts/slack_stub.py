"""A web hook on this machine that answers by plan and keeps what it was sent."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread

PATH = "/services/T0/B0/s3cr3t-hook"


@dataclass
class Answer:
    """One answer; `hang` keeps the caller waiting until the stub ends, `drop` hangs up without a word."""

    status: int = 200
    body: str = "ok"
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: bool = False
    drop: bool = False


@dataclass(frozen=True)
class Request:
    """One request as it came; names of headers in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class SlackStub:
    """Answers in the order of `plan`, then as `usually` says."""

    def __init__(self, url: str, usually: Callable[[Request], Answer]) -> None:
        self.url = url
        self.plan: list[Answer] = []
        self.requests: list[Request] = []
        self.ended = Event()
        self._usually = usually
        self._lock = Lock()

    @property
    def received(self) -> list[bytes]:
        return [request.body for request in self.requests]

    def take(self, request: Request) -> Answer:
        with self._lock:
            self.requests.append(request)
            return self.plan.pop(0) if self.plan else self._usually(request)


@contextmanager
def slack_stub(path: str = PATH, usually: Callable[[Request], Answer] = lambda _: Answer()) -> Iterator[SlackStub]:
    """A stub on a free port of the loopback address."""

    class Web(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = stub.take(Request(self.path, headers, body))
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
    stub = SlackStub(f"http://127.0.0.1:{server.server_address[1]}{path}", usually)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield stub
    finally:
        stub.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
