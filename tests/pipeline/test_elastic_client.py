"""The client: certificates are checked, secrets come from files and stay there, errors say what happens next."""

import ssl
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from opinionwatch.pipeline.elastic_client import asking, connect
from opinionwatch.pipeline.errors import FatalError, OpinionwatchError, RetryableError, SettingsError
from opinionwatch.pipeline.settings_elastic import Elastic

CERTIFICATE = Path(__file__).parents[1] / "alerts" / "tls" / "localhost.pem"


@contextmanager
def node(status: int = 200, body: bytes = b"{}", *, encrypted: bool = False) -> Iterator[tuple[str, list[str]]]:
    """Something that answers like a node; yields its address and the credentials it was shown."""
    shown: list[str] = []

    class Node(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Nothing."""

        def do_GET(self) -> None:
            shown.append(self.headers.get("Authorization", ""))
            self.send_response(status)
            self.send_header("X-Elastic-Product", "Elasticsearch")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Node)
    if encrypted:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"{'https' if encrypted else 'http'}://localhost:{server.server_address[1]}", shown
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def asked(settings: Elastic) -> None:
    """One question."""
    client = connect(settings)
    try:
        with asking():
            client.cluster.health()
    finally:
        client.close()


def test_a_certificate_of_an_unknown_authority_is_refused_and_one_of_ours_is_taken() -> None:
    with node(encrypted=True) as (address, shown):
        with pytest.raises(FatalError, match=r"certificate that we do not trust \(self-signed.*told nothing.*ca_file"):
            asked(Elastic(hosts=(address,)))
        assert shown == []
        asked(Elastic(hosts=(address,), ca_file=CERTIFICATE))
        assert len(shown) == 1


def test_credentials_come_from_files(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n", encoding="utf-8")
    with node() as (address, shown):
        asked(Elastic(hosts=(address,), username="elastic", password_file=secret))
        asked(Elastic(hosts=(address,), api_key_file=secret))
    assert shown == [f"Basic {b64encode(b'elastic:hunter2').decode()}", "ApiKey hunter2"]


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff"])
def test_a_file_without_a_secret_is_named(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    with pytest.raises(SettingsError, match=r"elasticsearch\.api_key_file: .*key"):
        connect(Elastic(api_key_file=tmp_path / "key"))


def test_an_authority_that_is_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"elasticsearch\.ca_file: there is no file"):
        connect(Elastic(hosts=("https://localhost:9200",), ca_file=tmp_path / "ca.pem"))


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (401, b'{"error": {"type": "security_exception", "reason": "who?"}}', RetryableError, "refuses our.*who"),
        (403, b"{}", RetryableError, "refuses our credentials or rights"),
        (429, b"{}", RetryableError, "cannot answer now"),
        (500, b'{"error": {"type": "oops", "reason": "broken"}}', RetryableError, "oops: broken"),
        (503, b"{}", RetryableError, "cannot answer now"),
        (400, b'{"error": {"type": "parsing_exception", "reason": "eh?"}}', FatalError, "does not understand.*eh"),
        (200, b'{"status": "gre', RetryableError, "does not answer"),
    ],
)
def test_an_answer_says_what_happens_next(status: int, body: bytes, kind: type[OpinionwatchError], said: str) -> None:
    with node(status, body) as (address, _), pytest.raises(kind, match=said):
        asked(Elastic(hosts=(address,)))
