"""API keys before the secured Elasticsearch. The distribution that Maven has cannot keep keys (its security index wants
a filter that it lacks), so what stands here ends TLS, compares the key, and asks the real server as a user of it.
"""

import json
import ssl
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from hmac import compare_digest
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

from tests.services.secure import CERTIFICATE, PASSWORD, USER

PRODUCT = ("X-Elastic-Product", "Elasticsearch")
REFUSED = json.dumps(
    {"error": {"type": "security_exception", "reason": "unable to authenticate with provided credentials"}}
).encode()


class _Server(ThreadingHTTPServer):
    """Listens."""

    daemon_threads = True

    def __init__(self, target: str, key: str) -> None:
        super().__init__(("127.0.0.1", 0), _Between)
        self.target, self.key = urlsplit(target), key
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up, or did not trust us."""


class _Between(BaseHTTPRequestHandler):
    """One connection."""

    server: _Server
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Nothing."""

    def take(self) -> None:
        """One request."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not compare_digest(self.headers.get("Authorization", ""), f"ApiKey {self.server.key}"):
            self._answer(401, "application/json", REFUSED)
            return
        target = self.server.target
        asked = HTTPSConnection(
            target.hostname or "", target.port, timeout=60, context=ssl.create_default_context(cafile=str(CERTIFICATE))
        )
        passed = {name: self.headers[name] for name in ("Content-Type", "Accept") if name in self.headers}
        known = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        asked.request(self.command, self.path, body or None, {**passed, "Authorization": f"Basic {known}"})
        found = asked.getresponse()
        self._answer(found.status, found.headers.get("Content-Type", "application/json"), found.read())
        asked.close()

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = take  # noqa: N815 - the base class looks for these names

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header(*PRODUCT)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def key_proxy(target: str, key: str) -> Iterator[str]:
    """Where it answers while the block runs."""
    server = _Server(target, key)
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"https://localhost:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
