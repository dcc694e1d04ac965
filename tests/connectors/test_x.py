"""X in bad times: outages, and queries that nobody answers for days."""

import json
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from opinionwatch.connectors import http
from opinionwatch.connectors.hosts import Hosts
from opinionwatch.connectors.pulling import Backoff, Pull
from opinionwatch.pipeline.ports import Source
from tests.connectors.imitation import Imitation, Told, imitating
from tests.connectors.keyed_services import XApi
from tests.connectors.reading_services import ids
from tests.connectors.test_schedule import Shelf
from tests.contract.source_suite import build

DAY_MS = 86_400_000
pytestmark = pytest.mark.usefixtures("hasty")


@pytest.fixture
def api() -> Iterator[tuple[XApi, Imitation]]:
    """A search that finds 30 posts, and the service around it."""
    found = XApi(30, token="s3cret")
    with imitating(found) as service:
        yield found, service


def x(url: str, key: Path) -> Source:
    return build("x", url=url, allow_hosts=["127.0.0.1"], token_file=key, query="lumora", reads_per_day=250)


def pull(source: Source, shelf: Shelf) -> Pull:
    return Pull(source, shelf, shelf.load, Backoff(base_s=1, cap_s=300, opens_after=6), Event())


@pytest.mark.parametrize(
    "refusal", [Told(b"", 503), Told(b"slow down", 429, {"Retry-After": "3600"})], ids=["an outage", "a pause"]
)
def test_refusals_cost_no_reads_and_what_was_allowed_is_read_afterwards(
    api: tuple[XApi, Imitation], key: Path, monkeypatch: pytest.MonkeyPatch, refusal: Told
) -> None:
    told, service = api
    shelf = Shelf()
    polled = pull(x(service.url, key), shelf)
    service.faults.extend([refusal] * 8)
    for _ in range(8):
        assert polled.poll()
    assert "spent" not in str(polled.health.last_error)
    service.faults.clear()
    monkeypatch.setattr(http, "SHARED", Hosts(per_s=10_000, burst=10_000))
    assert pull(x(service.url, key), shelf).poll() is None
    assert (len(shelf.bodies["name"]), told.billed) == (30, 30)


def test_a_service_that_is_not_reached_costs_no_reads(key: Path) -> None:
    with imitating(XApi(30)) as service:
        url = service.url
    polled = pull(x(url, key), Shelf())
    for _ in range(8):
        assert polled.poll()
    assert polled.health.kinds == (("no answer", 8),)


def test_what_was_billed_perhaps_stays_counted(api: tuple[XApi, Imitation], key: Path) -> None:
    _, service = api
    shelf = Shelf()
    polled = pull(x(service.url, key), shelf)
    service.faults.extend([Told({"data": [], "padding": "x" * 10_000}, cut=True)] * 2)
    assert polled.poll() and polled.poll() and polled.poll() is None
    assert json.loads(shelf.cursors["name"])["reads"] == 2 * 100 + 30


def test_an_outage_is_asked_ever_more_seldom_until_the_circuit_is_open(api: tuple[XApi, Imitation], key: Path) -> None:
    _, service = api
    service.faults.extend([Told(b"", 503)] * 7)
    polled = pull(x(service.url, key), Shelf())
    waits = [polled.poll() or 0 for _ in range(7)]
    assert 8 <= waits[4] <= 16 and 150 <= waits[6] <= 300
    assert polled.health.state == "circuit open"
    assert polled.poll() is None


def test_a_query_that_was_quiet_for_more_than_a_week_is_read_on_when_there_is_something_again(
    api: tuple[XApi, Imitation], key: Path
) -> None:
    told, service = api
    *_, last = x(service.url, key).fetch(None)
    cursor = json.loads(last.cursor)
    assert cursor["since"] == told.id_of(30)
    week_old = int(cursor["since"]) - (8 * DAY_MS << 22)
    told.gone = set(range(1, 31))
    *_, quiet = x(service.url, key).fetch(json.dumps({**cursor, "since": str(week_old)}))
    assert json.loads(quiet.cursor)["since"] == str(week_old), "the newest that was ever seen"
    told.count = 40
    pages = list(x(service.url, key).fetch(quiet.cursor))
    assert ids(pages) == [told.id_of(number) for number in range(31, 41)]
    assert json.loads(pages[-1].cursor)["since"] == told.id_of(40)
    assert [gap for page in pages for gap in page.missed] == []
    assert "since_id" not in service.asked[-1].query
