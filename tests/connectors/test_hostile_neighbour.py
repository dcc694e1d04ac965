"""One hostile source never slows another: it fails in a lane of its own, and is only probed when it fails for long."""

import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from itertools import pairwise
from pathlib import Path
from threading import Event, Lock
from typing import cast

import pytest

from opinionwatch.connectors import http
from opinionwatch.connectors.hosts import BusyError, Hosts
from opinionwatch.connectors.pulling import Backoff, Pull
from opinionwatch.connectors.rss import Rss
from opinionwatch.connectors.schedule import Schedule
from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.ports import Item, Page, Source
from tests.connectors.test_http import send
from tests.connectors.test_schedule import Numbers, Shelf, until
from tests.contract.source_suite import Making, build
from tests.contract.source_worlds import ASKED, OTHERS, STREAMED

Serve = Callable[[Callable[[BaseHTTPRequestHandler], None]], str]
POLLERS = 4
TURNS = 12
INTERVAL_S = 1.0


@pytest.fixture(autouse=True)
def no_manners(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "SHARED", Hosts(per_s=10_000, burst=10_000))


def rss(name: str, url: str, timeout_s: float) -> Source:
    settings = Rss.Settings(url=url, interval_s=INTERVAL_S, timeout_s=timeout_s, allow_hosts=("127.0.0.1",))
    return cast(Source, Rss(name, settings))


def polled_at(sources: list[Source], times: dict[str, list[float]], turns: int) -> None:
    """Poll until every fine source had its turns."""
    shelf = Shelf()
    schedule = Schedule(sources, shelf, shelf.load, Backoff(base_s=0.05, cap_s=0.3), pollers=POLLERS)
    schedule.start()
    try:
        until(lambda: len(times) == 6 and all(len(moments) >= turns for moments in times.values()), 40)
    finally:
        schedule.stop(10)


def gaps(times: dict[str, list[float]]) -> list[float]:
    """Time between two polls of one source, after each had its first turns."""
    return sorted(after - before for moments in times.values() for before, after in pairwise(moments[3:TURNS]))


def hostile_of_every_kind(bad: str, folder: Path) -> Iterator[Source]:
    """A source of every kind that asks a service, each before a server that drips."""
    (folder / "secret").write_text("s3cret")
    host, _, port = bad.removeprefix("http://").partition(":")
    for kind, (world, *_) in {**ASKED, **OTHERS, **STREAMED}.items():
        if kind in ("folder", "kafka"):
            continue  # one asks nobody, the other a broker of one's own
        told: dict[str, object]
        if kind == "imap":
            told = {"host": host, "port": int(port), "security": "none", "user": "me", "secret_file": ""}
        elif kind == "bluesky":
            told = {"url": f"ws://{host}:{port}/subscribe"}
        else:
            (folder / kind).mkdir()
            with world(folder / kind) as make:
                assert isinstance(make, Making)
                told = {**make.given, "url": bad}
        told |= {name: str(folder / "secret") for name in told if name.endswith("_file")}
        if "token_url" in told:
            told["token_url"] = f"{bad}/token"
        yield build(kind, **{**told, "allow_hosts": ["127.0.0.1"], "timeout_s": 0.7})


def test_a_dripping_server_before_every_kind_of_source_leaves_the_others_their_time(
    serve: Serve, tmp_path: Path
) -> None:
    lock = Lock()
    over = Event()
    times: dict[str, list[float]] = {}

    def fine(to: BaseHTTPRequestHandler) -> None:
        with lock:
            times.setdefault(to.path, []).append(time.monotonic())
        send(to, b"<rss><channel><item><guid>1</guid><title>fine</title></item></channel></rss>")

    def drip(to: BaseHTTPRequestHandler) -> None:
        to.send_response(200)
        to.send_header("Content-Length", "1000000")
        to.end_headers()
        while not over.wait(0.1):
            to.wfile.write(b"<")
            to.wfile.flush()

    good, bad = serve(fine), serve(drip)

    def ordinary() -> list[Source]:
        return [rss(f"fine-{n}", f"{good}/{n}", 20) for n in range(6)]

    hostile = [*hostile_of_every_kind(bad, tmp_path), rss("hostile", bad, 0.7)]
    for number, source in enumerate(hostile):
        source.name = f"hostile-{number}"
    assert len(hostile) > 2 * POLLERS
    try:
        polled_at(ordinary(), times, TURNS)
        alone = gaps(times)
        times.clear()
        polled_at([*hostile, *ordinary()], times, TURNS)
    finally:
        over.set()
    beside = gaps(times)
    middle = len(alone) // 2
    assert beside[middle] == pytest.approx(alone[middle], rel=0.1)
    assert beside[-1] < INTERVAL_S * 1.6, "no poll was held back by a thread that a hostile source had taken"


class Refusing(Numbers):
    """Fails for ever, or until told otherwise."""

    def __init__(self, error: Exception) -> None:
        super().__init__("a", 1, interval_s=60)
        self.error: Exception | None = error

    def fetch(self, cursor: str | None) -> Iterator[Page]:
        del cursor
        if self.error is not None:
            raise self.error
        yield Page([Item(b"1")], "1")


def test_a_source_that_keeps_failing_opens_its_circuit_and_one_success_closes_it() -> None:
    shelf = Shelf()
    source = Refusing(http.RefusedError("answered 503", 503, None))
    pull = Pull(source, shelf, shelf.load, Backoff(base_s=1, cap_s=300, opens_after=3), Event())
    waits = [pull.poll() or 0 for _ in range(4)]
    assert waits[0] <= 1 and waits[1] <= 2
    assert all(150 <= wait <= 300 for wait in waits[2:]), "an open circuit is probed at the longest wait only"
    assert (pull.health.state, pull.health.kinds, pull.is_slow) == ("circuit open", (("http 503", 4),), True)
    source.error = None
    assert pull.poll() is None
    assert (pull.health.state, pull.health.items, pull.is_slow) == ("waiting", 1, False)
    source.error = RetryableError("again")
    assert (pull.poll() or 9) <= 1
    assert (pull.health.state, pull.health.kinds) == ("backing off", (("http 503", 4), ("not ready", 1)))


def test_waiting_for_a_busy_host_is_no_failure() -> None:
    shelf = Shelf()
    pull = Pull(Refusing(BusyError("not your turn", 30)), shelf, shelf.load, Backoff(), Event())
    for _ in range(10):
        assert 30 <= (pull.poll() or 0) <= 36
    assert (pull.health.state, pull.health.errors, pull.is_slow) == ("waiting", 0, False)
