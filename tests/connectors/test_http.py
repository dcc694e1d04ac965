"""The careful HTTP client, against real servers."""

import gzip
import socket
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from threading import Event, Thread, Timer

import httpx2
import pytest

from opinionwatch.connectors.hosts import Hosts
from opinionwatch.connectors.http import BODY_BYTES, Client, carried
from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.guard import Guard
from opinionwatch.pipeline.wire import retry_after_s

Serve = Callable[[Callable[[BaseHTTPRequestHandler], None]], str]
HERE = ["127.0.0.1"]


def client(total_s: float = 20, guard: Guard | None = None, body_bytes: int = BODY_BYTES) -> Client:
    return Client(guard or Guard(HERE), total_s=total_s, hosts=Hosts(per_s=1000, burst=1000), body_bytes=body_bytes)


def send(to: BaseHTTPRequestHandler, body: bytes = b"", status: int = 200, **headers: str) -> None:
    to.send_response(status)
    for name, value in headers.items():
        to.send_header(name.replace("_", "-"), value)
    to.send_header("Content-Length", str(len(body)))
    to.end_headers()
    to.wfile.write(body)


def test_it_says_who_asks_and_takes_no_proxy_from_the_environment(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    base = serve(
        lambda to: send(to, f"{to.path} {to.headers['User-Agent']} {to.headers['Host']} {to.headers['X-A']}".encode())
    )
    asking = Client(Guard(HERE), contact="mailto:me@example.org", hosts=Hosts(per_s=1000))
    answer = asking.get(f"{base}/a?b=%20c", {"X-A": "1"})
    path, agent, contact, host, extra = answer.body.decode().split(" ")
    assert (path, contact, extra) == ("/a?b=%20c", "(mailto:me@example.org)", "1")
    assert agent.startswith("opinionwatch/")
    assert f"http://{host}" == base
    assert (answer.status, answer.url) == (200, f"{base}/a?b=%20c")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 502, 503])
def test_a_refusal_is_worth_another_try_and_names_no_secret(serve: Serve, status: int) -> None:
    base = serve(lambda to: send(to, b"no", status, Retry_After="7"))
    with pytest.raises(RetryableError, match=f"answered {status}") as caught:
        client().get(f"{base}/feed?key=s3cret")
    assert caught.value.after_s == 7
    assert "s3cret" not in str(caught.value)


def test_gone_is_for_ever(serve: Serve) -> None:
    base = serve(lambda to: send(to, status=410))
    with pytest.raises(FatalError, match="answered 410"):
        client().get(base)


def test_not_modified_has_no_body(serve: Serve) -> None:
    base = serve(lambda to: send(to, status=304, ETag='"x"'))
    answer = client().get(base)
    assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", '"x"')


@pytest.mark.parametrize("coding", ["gzip", "deflate", "gzip, gzip"])
def test_packed_bodies_are_unpacked(serve: Serve, coding: str) -> None:
    packed = {
        "gzip": gzip.compress(b"hello"),
        "deflate": zlib.compress(b"hello"),
        "gzip, gzip": gzip.compress(gzip.compress(b"hello")),
    }
    base = serve(lambda to: send(to, packed[coding], Content_Encoding=coding))
    assert client().get(base).body == b"hello"


def test_nothing_is_offered_that_is_not_unpacked_whatever_a_source_asks_for(serve: Serve) -> None:
    offered: list[str | None] = []

    def answer(to: BaseHTTPRequestHandler) -> None:
        offered.append(to.headers["Accept-Encoding"])
        send(to, b"hello")

    client().get(serve(answer), {"Accept-Encoding": "br, zstd, *"})
    assert offered == ["gzip, deflate"]


def gzipped(body: bytes) -> bytes:
    # With the time in it, a test would have another name in each of pytest's processes.
    return gzip.compress(body, mtime=0)


@pytest.mark.parametrize(
    ("body", "coding", "reason"),
    [
        (gzipped(b"\x00" * 7_000_000), "gzip", "100 times its size"),
        (gzipped(gzipped(b"\x00" * 50_000_000)), "gzip, gzip", "100 times its size|longer than"),
        (b"this is no gzip", "gzip", "incorrect header"),
        (b"x", "br", "not asked for"),
        (b"x", "zstd", "not asked for"),
        (b"x", "gzip, gzip, gzip", "not asked for"),
    ],
)
def test_bombs_and_damaged_encodings_are_refused(serve: Serve, body: bytes, coding: str, reason: str) -> None:
    base = serve(lambda to: send(to, body, Content_Encoding=coding))
    with pytest.raises(RetryableError, match=reason):
        client().get(base)


def test_a_body_beyond_the_cap_is_refused_announced_or_not(serve: Serve) -> None:
    def endless(to: BaseHTTPRequestHandler) -> None:
        to.send_response(200)
        to.send_header("Connection", "close")
        to.end_headers()
        while True:
            to.wfile.write(b"x" * 100_000)

    announced = serve(lambda to: send(to, b"x" * 2_000_000))
    for base in (announced, serve(endless)):
        with pytest.raises(RetryableError, match="longer than 1,000,000 bytes"):
            client(body_bytes=1_000_000).get(base)


def test_an_answer_that_drips_ends_in_time_in_its_headers_and_in_its_body(serve: Serve) -> None:
    def drip(to: BaseHTTPRequestHandler, start: bytes) -> None:
        to.wfile.write(start)
        to.close_connection = True
        while True:
            to.wfile.write(b"a")
            to.wfile.flush()
            Event().wait(0.05)

    for start in (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"):
        base = serve(lambda to, start=start: drip(to, start))  # type: ignore[misc]  # the loop variable has to be bound
        began = time.monotonic()
        with pytest.raises(RetryableError, match="no answer in time"):
            client(total_s=0.5).get(base)
        assert time.monotonic() - began < 3


def test_closing_ends_a_silent_answer_within_a_second_or_two(serve: Serve) -> None:
    silent = Event()

    def wait(_: BaseHTTPRequestHandler) -> None:
        silent.wait(10)

    base = serve(wait)
    asking = client(total_s=60)
    timer = Timer(0.2, asking.close)
    timer.start()
    began = time.monotonic()
    with pytest.raises(RetryableError):
        asking.get(base)
    assert time.monotonic() - began < 3
    silent.set()
    timer.join()


def test_redirects_are_followed_five_times(serve: Serve) -> None:
    def respond(to: BaseHTTPRequestHandler) -> None:
        left = int(to.path.strip("/"))
        send(to, b"there") if left == 0 else send(to, status=302, Location=f"../{left - 1}")

    base = serve(respond)
    assert client().get(f"{base}/5").url == f"{base}/0"
    with pytest.raises(RetryableError, match="more than 5 redirects"):
        client().get(f"{base}/6")
    loop = serve(lambda to: send(to, status=301, Location=to.path))
    with pytest.raises(RetryableError, match="more than 5 redirects"):
        client().get(f"{loop}/x")


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.2/",
        "http://169.254.169.254/latest",
        "http://[::1]/",
        "file:///etc/passwd",
        "//localhost/",
        "http://me@127.0.0.1/",
        "http://[bad/",
        "",
    ],
)
def test_redirects_into_the_inside_are_not_followed(serve: Serve, location: str) -> None:
    base = serve(lambda to: send(to, status=302, Location=location) if to.path == "/a" else send(to, b"root"))
    with pytest.raises(RetryableError):
        client().get(f"{base}/a")


SENT = {
    "Authorization": "Bearer s3cret",
    "Api-Key": "s3cret",
    "Api-Username": "system",
    "Accept": "text/html",
    "If-None-Match": '"x"',
}


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_redirect_to_another_host_or_port_takes_no_secret_along(serve: Serve, host: str) -> None:
    def told(to: BaseHTTPRequestHandler) -> None:
        send(to, repr([to.headers[name] for name in SENT]).encode())

    other = serve(told)
    base = serve(lambda to: send(to, status=302, Location=other.replace("127.0.0.1", host)))
    asking = client(guard=Guard(["127.0.0.1", "localhost"]))
    assert asking.get(base, SENT).body.decode() == repr([None, None, None, "text/html", '"x"'])
    assert asking.get(other, SENT).body.decode() == repr(list(SENT.values()))


def test_a_redirect_within_a_server_takes_everything_along(serve: Serve) -> None:
    def told(to: BaseHTTPRequestHandler) -> None:
        if to.path == "/a":
            send(to, status=302, Location="/b")
        else:
            send(to, repr([to.headers[name] for name in SENT]).encode())

    assert client().get(f"{serve(told)}/a", SENT).body.decode() == repr(list(SENT.values()))


@pytest.mark.parametrize(
    ("before", "after", "is_kept"),
    [
        ("https://h.example/a", "https://h.example:443/b", True),
        ("http://h.example/a", "https://h.example/a", True),
        ("https://h.example/a", "http://h.example/a", False),
        ("https://h.example/a", "https://h.example:8443/a", False),
        ("https://h.example/a", "https://evil.example/a", False),
        ("http://h.example/a", "https://evil.example/a", False),
    ],
)
def test_a_secret_goes_on_only_to_the_same_server_or_from_http_to_its_https(
    before: str, after: str, *, is_kept: bool
) -> None:
    kept = carried({"authorization": "s3cret", "accept": "*/*"}, httpx2.URL(before), httpx2.URL(after))
    assert kept == ({"authorization": "s3cret", "accept": "*/*"} if is_kept else {"accept": "*/*"})


def test_a_name_that_resolves_to_the_inside_is_never_connected(serve: Serve) -> None:
    asked: list[str] = []
    base = serve(lambda to: asked.append(to.path))
    guard = Guard(resolve=lambda *_: ["127.0.0.1"])
    with pytest.raises(FatalError, match=r"port \d+ is not asked"):
        client(guard=guard).get(base.replace("127.0.0.1", "evil.test"))
    with pytest.raises(RetryableError, match=r"evil.test is not on the open internet"):
        client(guard=guard).get("http://evil.test:8080/")
    assert asked == []


def test_a_resolver_that_changes_its_mind_is_asked_once(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    base = serve(lambda to: asked.append(to.path))
    port = int(base.rsplit(":", 1)[1])
    monkeypatch.setattr("opinionwatch.pipeline.guard.PORTS", frozenset({port}))
    answers = [["192.0.2.1"], ["127.0.0.1"]]
    rebinding = Guard(resolve=lambda *_: answers.pop(0))
    monkeypatch.setattr("opinionwatch.pipeline.guard.is_public", lambda address: str(address) == "192.0.2.1")
    with pytest.raises(RetryableError):
        client(total_s=0.5, guard=rebinding).get(f"http://rebinding.test:{port}/")
    assert answers == [["127.0.0.1"]]
    with pytest.raises(RetryableError, match="open internet"):
        client(guard=rebinding).get(f"http://rebinding.test:{port}/")
    assert asked == []


def test_the_checked_address_is_connected_with_host_and_server_name_kept(serve: Serve) -> None:
    base = serve(lambda to: send(to, str(to.headers["Host"]).encode()))
    port = int(base.rsplit(":", 1)[1])
    guard = Guard(["feeds.test"], resolve=lambda *_: ["127.0.0.1"])
    assert client(guard=guard).get(f"http://feeds.test:{port}/").body == f"feeds.test:{port}".encode()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        hello: list[bytes] = []

        def take() -> None:
            connection, _ = listening.accept()
            with connection:
                hello.append(connection.recv(4096))

        thread = Thread(target=take)
        thread.start()
        with pytest.raises(RetryableError):
            client(guard=guard).get(f"https://feeds.test:{listening.getsockname()[1]}/")
        thread.join(10)
    assert b"feeds.test" in hello[0]


def test_connections_that_fail_or_break_are_worth_another_try() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def hang_up() -> None:
            listening.accept()[0].close()

        thread = Thread(target=hang_up)
        thread.start()
        with pytest.raises(RetryableError):
            client().get(f"http://127.0.0.1:{port}/")
        thread.join(10)
    with pytest.raises(RetryableError):
        client().get(f"http://127.0.0.1:{port}/")
    with pytest.raises(RetryableError):
        client(guard=Guard(["nonexistent.invalid"])).get("http://nonexistent.invalid/")


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"\x00" * 100,
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 999999 X\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 300_000,
    ],
)
def test_what_does_not_speak_http_is_worth_another_try(junk: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(junk)

        thread = Thread(target=answer)
        thread.start()
        with pytest.raises(RetryableError):
            client().get(f"http://127.0.0.1:{listening.getsockname()[1]}/")
        thread.join(10)


def test_retry_after_is_seconds_or_a_date_or_nothing() -> None:
    now = datetime(2025, 1, 1, tzinfo=UTC)
    cases = {"0": 0.0, " 30 ": 30.0, "Wed, 01 Jan 2025 00:01:00 GMT": 60.0, "Tue, 31 Dec 2024 00:00:00 GMT": 0.0}
    cases |= {"9" * 5000: 999999999.0}
    assert {value: retry_after_s(value, now) for value in cases} == cases
    for nonsense in ("-5", "soon", "", "１２", "1.5", "Wed, 99 Foo 2025 00:00:00 GMT", None):
        assert retry_after_s(nonsense, now) is None
