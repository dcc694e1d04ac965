"""What services say about how much may still be asked."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler

import pytest

from opinionwatch.connectors.hosts import BusyError, Hosts
from opinionwatch.connectors.http import Client, RefusedError
from opinionwatch.connectors.quota import Quota, read_quota
from opinionwatch.pipeline.guard import Guard
from tests.connectors.test_http import send

Serve = Callable[[Callable[[BaseHTTPRequestHandler], None]], str]
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
IN_A_MINUTE = NOW + timedelta(minutes=1)
EPOCH = str(int(IN_A_MINUTE.timestamp()))


@pytest.mark.parametrize(
    ("headers", "quota"),
    [
        (
            {"x-ratelimit-limit": "60", "x-ratelimit-remaining": "0", "x-ratelimit-reset": EPOCH},
            Quota(0, IN_A_MINUTE, 60),
        ),
        ({"x-ratelimit-remaining": "598.0", "x-ratelimit-reset": "60"}, Quota(598, IN_A_MINUTE)),
        ({"x-ratelimit-remaining": "3", "x-ratelimit-reset": "2026-03-02T12:01:00.000Z"}, Quota(3, IN_A_MINUTE)),
        ({"x-rate-limit-remaining": "1", "x-rate-limit-reset": EPOCH}, Quota(1, IN_A_MINUTE)),
        (
            {"ratelimit-limit": "100, 100;w=60", "ratelimit-remaining": "5", "ratelimit-reset": "60"},
            Quota(5, IN_A_MINUTE, 100),
        ),
        ({"ratelimit": '"default";r=50;t=60'}, Quota(50, IN_A_MINUTE)),
        ({"ratelimit": '"default";r=0'}, Quota(0)),
        ({"ratelimit": "limit=100, remaining=7, reset=60"}, Quota(7, IN_A_MINUTE)),
        ({"ratelimit": "limit=100, remaining=many"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "99999999999999"}, Quota(0)),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "soon"}, Quota(0)),
        ({"x-ratelimit-remaining": "-1", "x-ratelimit-reset": "1"}, None),
        ({"x-ratelimit-remaining": "9" * 500}, None),
        ({"ratelimit": "default"}, None),
        ({}, None),
    ],
)
def test_every_spelling_is_understood_and_nonsense_is_none(headers: dict[str, str], quota: Quota | None) -> None:
    assert read_quota(headers, NOW) == quota


def test_there_is_nothing_to_wait_for_while_something_is_left() -> None:
    assert Quota(1, IN_A_MINUTE).wait_s(NOW) is None
    assert Quota(0, IN_A_MINUTE).wait_s(NOW) == 60
    assert Quota(0, NOW - timedelta(hours=1)).wait_s(NOW) == 0


def test_the_last_request_of_a_period_closes_the_host_until_the_next(serve: Serve) -> None:
    base = serve(lambda to: send(to, b"fine", X_RateLimit_Remaining="0", X_RateLimit_Reset="60"))
    hosts = Hosts(per_s=1000)
    asking = Client(Guard(["127.0.0.1"]), hosts=hosts)
    assert asking.get(base).body == b"fine"
    assert asking.quota is not None and asking.quota.remaining == 0
    with pytest.raises(BusyError) as caught:
        Client(Guard(["127.0.0.1"]), hosts=hosts).get(base)
    assert caught.value.after_s == pytest.approx(60, abs=2)


@pytest.mark.parametrize("status", [403, 429])
def test_a_refusal_without_retry_after_waits_for_the_services_own_reset(serve: Serve, status: int) -> None:
    base = serve(lambda to: send(to, b"no", status, X_RateLimit_Remaining="0", X_RateLimit_Reset="90"))
    with pytest.raises(RefusedError) as caught:
        Client(Guard(["127.0.0.1"]), hosts=Hosts(per_s=1000)).get(base)
    assert caught.value.after_s == pytest.approx(90, abs=2)
