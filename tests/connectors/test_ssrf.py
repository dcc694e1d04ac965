"""No spelling of an address inside reaches it: not asked for directly, not by redirect, not by a resolver that changes.

A canary listens on every address of this machine, and nothing but the guard's judgement of addresses is in the way: its
port is one that may be asked.
"""

import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from threading import Lock, Thread
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from opinionwatch.connectors.hosts import Hosts
from opinionwatch.connectors.http import Client
from opinionwatch.pipeline import guard
from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.guard import Guard

HERE = (127, 0, 0, 1)
NUMBER = 0x7F000001
FULL_WIDTH = str.maketrans("0123456789.", "０１２３４５６７８９．")
NAMES = (
    "localhost",
    "LOCALHOST",
    "LocalHost",
    "localhost.",
    "ip6-localhost",
    "inside.test",
    "metadata.test",
    "ⓛocalhost",
)


class Canary(ThreadingHTTPServer):
    """Counts who gets here; every address of the machine, both families where there are two."""

    daemon_threads = True
    allow_reuse_address = True
    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


class World:
    """A canary, and a harmless server that redirects wherever it is told."""

    def __init__(self) -> None:
        self.hits: list[str] = []
        lock = Lock()
        world = self

        class Counting(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with lock:
                    world.hits.append(self.path)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name the base class gives it
                del format, args

        class Redirecting(Counting):
            def do_GET(self) -> None:
                self.send_response(302)
                self.send_header("Location", parse_qs(urlsplit(self.path).query)["to"][0])
                self.send_header("Content-Length", "0")
                self.end_headers()

        self.servers = [Canary(("", 0), Counting), ThreadingHTTPServer(("127.0.0.1", 0), Redirecting)]
        self.port, self.redirects = (server.server_address[1] for server in self.servers)
        self.threads = [Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}) for server in self.servers]
        for thread in self.threads:
            thread.start()

    def close(self) -> None:
        """Stop both."""
        for server, thread in zip(self.servers, self.threads, strict=True):
            server.shutdown()
            thread.join(10)
            server.server_close()

    def client(self, *allowed: str, changing: tuple[str, ...] = ("127.0.0.1",)) -> Client:
        """As the sources have it, on a resolver that knows some names of ours; `changing` are its answers in turn."""
        answers = list(changing)

        def resolve(host: str, port: int) -> list[str]:
            if host == "harmless.test":
                return ["127.0.0.1"]
            if host == "rebinding.test":
                return [answers.pop(0) if len(answers) > 1 else answers[0]]
            if host.endswith(".test"):
                return ["169.254.169.254" if host == "metadata.test" else "127.0.0.1"]
            return guard.resolve(host, port)

        return Client(Guard(allowed, resolve), total_s=2, hosts=Hosts(per_s=100_000, burst=100_000))


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def open_ports(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "PORTS", guard.PORTS | {world.port, world.redirects})


def spellings() -> list[str]:
    """Hosts that are this machine, in every notation that some resolver, library or browser takes for it."""
    octets = ["{:d}", "{:#o}", "{:#x}", "{:04o}", "{:#04X}"]
    hosts = [
        ".".join(form.format(n) for form, n in zip(forms, HERE, strict=True)) for forms in product(octets[:3], repeat=4)
    ]
    hosts = [host.replace("0o", "0") for host in hosts]
    hosts += [".".join(form.format(n).replace("0o", "0") for n in HERE) for form in octets[3:]]
    for form in ("{:d}", "{:#o}", "{:#x}", "{:#X}"):
        hosts += [form.format(NUMBER), f"127.{form.format(1)}", f"127.0.{form.format(1)}", f"0x7f.{form.format(1)}"]
    hosts += [
        "127.0.0.2",
        "127.1.2.3",
        "127.255.255.254",
        "0",
        "0.0.0.0",  # noqa: S104 - an address to be refused
        "00000177.0.0.1",
        "127.0.0.001",
        "127.00.00.01",
    ]
    hosts += [
        f"[{address}]"
        for address in (
            "::1", "0:0:0:0:0:0:0:1", "0000::0001", "::", "::ffff:127.0.0.1", "::ffff:7f00:1", "0:0:0:0:0:ffff:7f00:1",
            "::127.0.0.1", "::7f00:1", "64:ff9b::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "2002:7f00:1::",
            "2002:7f00:1::1", "::ffff:0:127.0.0.1", "fe80::1%25lo", "fe80::1", "::1%25lo", "fc00::1", "fd00:ec2::254",
        )
    ]  # fmt: skip
    hosts += [
        "127.0.0.1".translate(FULL_WIDTH),
        "127。0。0。1",
        "127｡0｡0｡1",
        "①②⑦.⓪.⓪.①",
        "%31%32%37.0.0.1",
        "127%2e0%2e0%2e1",
    ]
    hosts += [*NAMES, "%6c%6f%63%61%6c%68%6f%73%74", "169.254.169.254", "10.0.0.1", "192.168.1.1", "100.64.0.1"]
    return list(dict.fromkeys([*hosts, *(f"{host}." for host in hosts if host[-1].isdigit())]))


def corpus(port: int) -> list[str]:
    """URLs of all spellings, and tricks with the rest of a URL."""
    urls = [f"http://{host}:{port}/{number}" for number, host in enumerate(spellings())]
    urls += [f"https://{host}:{port}/" for host in ("127.0.0.1", "[::1]", "localhost", "2130706433")]
    here = f"127.0.0.1:{port}"
    urls += [
        f"http://example.org@{here}/", f"http://example.org:80@{here}/", f"http://user:pw@{here}/",
        f"http://{here}\\@example.org/", f"http://example.org\\@{here}/", f"http://{here}#@example.org/",
        f"http://{here}?@example.org/", f"http://example.org#@{here}/../", f"HTTP://{here}/", f"hTTp://{here}/",
        f" http://{here}/", f"http:/{here}/", f"http:{here}/", f"http:///{here}/", f"http://\t{here}/",
        f"http://{here}\r\nHost: example.org/", f"http://{here}\x00.example.org/", f"//{here}/", f"///{here}/",
        f"\\\\{here}\\", f"http:\\\\{here}\\", f"gopher://{here}/_GET%20/", f"dict://{here}/x", f"ftp://{here}/",
        f"file://{here}/etc/passwd", "file:///etc/passwd", f"jar:http://{here}!/", f"ldap://{here}/", f"ws://{here}/",
        f"unix:///tmp/{port}.sock", f"data:text/plain,{here}", f"javascript:fetch('http://{here}')",
    ]  # fmt: skip
    return urls


def test_the_corpus_is_large_enough_and_the_canary_sings_when_it_is_allowed_to(world: World) -> None:
    assert len(set(corpus(world.port))) >= 200
    assert world.client("127.0.0.1").get(f"http://127.0.0.1:{world.port}/sings").status == 200
    allowed = f"http://harmless.test:{world.redirects}/?to=" + quote(f"http://127.0.0.1:{world.port}/redirected")
    assert world.client("harmless.test", "127.0.0.1").get(allowed).status == 200
    assert world.hits == ["/sings", "/redirected"]
    world.hits.clear()


def test_no_form_of_a_url_reaches_the_canary(world: World) -> None:
    asking = world.client()
    for url in corpus(world.port):
        with pytest.raises((FatalError, RetryableError)):
            asking.get(url)
    assert world.hits == []


def test_no_redirect_reaches_the_canary(world: World) -> None:
    """A relative one leads back to the harmless server and ends as a loop."""
    asking = world.client("harmless.test")
    for url in corpus(world.port):
        with pytest.raises((FatalError, RetryableError)):
            asking.get(f"http://harmless.test:{world.redirects}/?to={quote(url, safe='')}")
    assert world.hits == []


@pytest.mark.parametrize(
    "answers", [("192.0.43.8", "127.0.0.1"), ("127.0.0.1", "192.0.43.8"), ("::ffff:127.0.0.1",), ("::1", "127.0.0.1")]
)
def test_a_resolver_that_changes_its_answer_is_asked_once_and_what_it_said_is_checked(
    world: World, answers: tuple[str, ...]
) -> None:
    for _ in range(3):
        with pytest.raises((FatalError, RetryableError)):
            world.client(changing=answers).get(f"http://rebinding.test:{world.port}/")
    assert world.hits == []
