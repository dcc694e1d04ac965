"""A Kibana as far as `kibana apply` sees it, after the contract that was recorded (see `kibana_client`).

It keeps what real ones were seen to keep: no POST without `kbn-xsrf`, a multipart `file` whose name ends in .ndjson,
one JSON object a line, references checked for data views and searches only, conflicts unless `overwrite=true`, and 200
with `success: false` for what it did not take.
"""

import json
import ssl
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlsplit

Saved = dict[tuple[str, str, str], dict[str, object]]
"""Space, type, id → the object."""


@dataclass
class Stub:
    """What the stub knows and has seen."""

    version: str = "8.19.16"
    user: tuple[str, str] | None = None
    key: str | None = None
    spaces: set[str] = field(default_factory=lambda: {"default"})
    refuses: dict[str, str] = field(default_factory=dict)
    """Id → the type of error it answers for that object."""
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    """Answered instead of what is right, one a request."""
    saved: Saved = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    url: str = ""

    def allows(self, given: str) -> bool:
        """Whether an authorization header is one it knows."""
        if self.key is not None:
            return given == f"ApiKey {self.key}"
        return self.user is None or given == "Basic " + b64encode(":".join(self.user).encode()).decode()

    def imported(self, space: str, lines: list[bytes], overwrite: bool) -> dict[str, object]:
        """What the import API does with the lines of a file."""
        objects = [json.loads(line) for line in lines]
        brought = {(each["type"], each["id"]) for each in objects}
        errors, taken = [], 0
        for each in objects:
            missing = [
                one for one in each["references"]
                if one["type"] in ("index-pattern", "search")
                and (one["type"], one["id"]) not in brought
                and (space, one["type"], one["id"]) not in self.saved
            ]  # fmt: skip
            place = (space, each["type"], each["id"])
            if each["id"] in self.refuses:
                errors.append(self._error(each, self.refuses[each["id"]]))
            elif missing:
                errors.append(self._error(each, "missing_references"))
            elif place in self.saved and not overwrite:
                errors.append(self._error(each, "conflict"))
            else:
                self.saved[place] = each
                taken += 1
        answer: dict[str, object] = {"successCount": taken, "success": not errors, "warnings": []}
        return {**answer, "errors": errors} if errors else answer

    @staticmethod
    def _error(each: dict[str, object], kind: str) -> dict[str, object]:
        return {"id": each["id"], "type": each["type"], "meta": {}, "error": {"type": kind}}


class Answering(BaseHTTPRequestHandler):
    """Answers one request; the server's `stub` says what is right."""

    @property
    def stub(self) -> Stub:
        """What it answers from."""
        stub = getattr(self.server, "stub")  # noqa: B009 - no attribute of http.server's
        assert isinstance(stub, Stub)
        return stub

    def do_GET(self) -> None:
        """Status and spaces."""
        path = urlsplit(self.path).path
        if not self._welcome():
            return
        if path == "/api/status":
            self._answer(200, {"name": "kibana", "version": {"number": self.stub.version}, "status": {}})
        elif path.startswith("/api/spaces/space/"):
            name = path.rpartition("/")[2]
            self._answer(200 if name in self.stub.spaces else 404, {"id": name})
        else:
            self._answer(404, {"statusCode": 404, "error": "Not Found"})

    def do_POST(self) -> None:
        """The import."""
        body = self.rfile.read(int(self.headers["content-length"]))
        if not self._welcome():
            return
        parts = urlsplit(self.path)
        space, path = "default", parts.path
        if path.startswith("/s/"):
            _, _, space, rest = path.split("/", 3)
            path = "/" + rest
        name, content = self._file(body)
        if "kbn-xsrf" not in self.headers:
            self._answer(400, {"message": "Request must contain a kbn-xsrf header."})
        elif path != "/api/saved_objects/_import":
            self._answer(404, {"statusCode": 404, "error": "Not Found"})
        elif not name.endswith(".ndjson"):
            self._answer(400, {"message": f"Invalid file extension {name}"})
        else:
            overwrite = parse_qs(parts.query).get("overwrite") == ["true"]
            self._answer(200, self.stub.imported(space, content.splitlines(), overwrite))

    def _file(self, body: bytes) -> tuple[str, bytes]:
        """Name and content of the part called `file`."""
        head = f"content-type: {self.headers['content-type']}\r\n\r\n".encode()
        for part in BytesParser(policy=HTTP).parsebytes(head + body).walk():
            if part.get_param("name", header="content-disposition") == "file":
                content = part.get_payload(decode=True)
                assert isinstance(content, bytes)
                return part.get_filename() or "", content
        return "", b""

    def _welcome(self) -> bool:
        self.stub.requests.append(f"{self.command} {self.path}")
        if self.stub.answers:
            self._send(*self.stub.answers.pop(0))
            return False
        if not self.stub.allows(self.headers.get("authorization", "")):
            self._answer(401, {"statusCode": 401, "error": "Unauthorized"})
            return False
        return True

    def _answer(self, status: int, body: dict[str, object]) -> None:
        self._send(status, json.dumps(body).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's word
        """Say nothing."""


@contextmanager
def kibana(stub: Stub, certificate: Path | None = None) -> Iterator[Stub]:
    """Serve it on a free port; `certificate` holds certificate and key, for https."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.stub = stub  # type: ignore[attr-defined]  # how http.server's handlers are told anything
    scheme = "http"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    stub.url = f"{scheme}://localhost:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
