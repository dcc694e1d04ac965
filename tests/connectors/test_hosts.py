"""How often one host is asked."""

import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from threading import Event

import pytest

from opinionwatch.connectors.hosts import Hosts
from opinionwatch.connectors.http import Client
from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.guard import Guard

Serve = Callable[[Callable[[BaseHTTPRequestHandler], None]], str]


def test_a_host_is_asked_at_its_rate_after_a_first_burst() -> None:
    hosts = Hosts(per_s=50, burst=3)
    began = time.monotonic()
    for _ in range(8):
        hosts.take_turn("a.test", Event())
    assert 0.09 <= time.monotonic() - began < 1
    hosts.take_turn("b.test", Event())


def test_nobody_waits_long_for_a_busy_host() -> None:
    hosts = Hosts(per_s=0.01, burst=1)
    hosts.take_turn("a.test", Event())
    with pytest.raises(RetryableError) as caught:
        hosts.take_turn("a.test", Event())
    assert caught.value.after_s is not None
    assert 90 < caught.value.after_s <= 100


def test_what_one_source_is_told_counts_for_all_sources_of_that_host(serve: Serve) -> None:

    def slow_down(to: BaseHTTPRequestHandler) -> None:
        to.send_response(429)
        to.send_header("Retry-After", "60")
        to.send_header("Content-Length", "0")
        to.end_headers()

    base = serve(slow_down)
    hosts = Hosts(per_s=1000)
    for reason in ("answered 429", "not asked"):
        with pytest.raises(RetryableError, match=reason) as caught:
            Client(Guard(["127.0.0.1"]), hosts=hosts).get(base)
        assert caught.value.after_s == pytest.approx(60, abs=1)
