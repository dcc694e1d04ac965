"""Windows of services that had moved on before the next poll: the recorded gap is the true one, and nothing else is."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from opinionwatch.connectors import http
from opinionwatch.connectors.hosts import Hosts
from opinionwatch.pipeline.ports import Missed, Page, Source
from tests.connectors.imitation import Imitation, imitating
from tests.connectors.keyed_services import RedditApi, XApi
from tests.connectors.reading_services import ids, source
from tests.connectors.services import AppStoreFeed, Posts, when
from tests.contract.source_suite import build

DAY_S = 86_400


@pytest.fixture(autouse=True)
def no_manners(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "SHARED", Hosts(per_s=10_000, burst=10_000))


def gaps(pages: list[Page]) -> list[Missed]:
    """What pages say was lost."""
    return [gap for page in pages for gap in page.missed]


def appstore(service: Imitation, key: Path) -> Source:
    del key
    return source("appstore", service, app=1, late_s=0)


def reddit(service: Imitation, key: Path) -> Source:
    told = {"client_id": "app", "secret_file": str(key), "token_url": f"{service.url}/api/v1/access_token"}
    return source("reddit", service, subreddits=["lumora"], what=["new"], late_s=0, **told)


@pytest.mark.parametrize(
    ("service", "make", "window", "step"),
    [
        pytest.param(AppStoreFeed, appstore, 500, 1, id="appstore"),
        pytest.param(RedditApi, reddit, 1000, 2, id="reddit"),
    ],
)
def test_what_the_window_no_longer_held_is_a_gap_of_exactly_that_range(
    service: type[Posts], make: Callable[[Imitation, Path], Source], window: int, step: int, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("s3cret")
    posts = service(100 * step)
    with imitating(posts) as imitation:
        first = list(make(imitation, tmp_path / "key").fetch(None))
        assert len(ids(first)) == 100
        posts.count = (window + 50) * step
        second = list(make(imitation, tmp_path / "key").fetch(first[-1].cursor))
        assert (len(ids(second)), gaps(second)) == (window - 50, []), "the window still reached back"
        had, posts.count = posts.count, posts.count + (window + 70) * step
        third = list(make(imitation, tmp_path / "key").fetch(second[-1].cursor))
    assert len(ids(third)) == window
    [gap] = gaps(third)
    oldest = posts.count - (window - 1) * step
    assert gap.since == datetime.fromtimestamp(when(had), UTC)
    assert gap.until == datetime.fromtimestamp(when(oldest), UTC)
    assert gaps(first) == []


def test_a_new_community_that_shows_all_it_ever_had_is_no_gap(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret")
    posts = RedditApi(0)
    with imitating(posts) as imitation:
        empty = list(reddit(imitation, tmp_path / "key").fetch(None))
        posts.count = 50
        found = list(reddit(imitation, tmp_path / "key").fetch(empty[-1].cursor if empty else None))
    assert (len(ids(found)), gaps(found)) == (25, [])


def test_x_begins_anew_where_its_search_no_longer_reaches_and_says_what_lies_between(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret")
    told = {"query": "lumora", "token_file": str(tmp_path / "key"), "reads_per_day": 10_000}
    with imitating(XApi(30, token="s3cret")) as service:
        began = int(time.time())
        x = {"url": service.url, "allow_hosts": ["127.0.0.1"], **told}
        first = list(build("x", **x).fetch(None))
        cursor = json.loads(first[-1].cursor)
        assert began <= cursor["had"] <= time.time()
        assert gaps(list(build("x", **x).fetch(first[-1].cursor))) == []
        cursor["had"] = began - 9 * DAY_S
        service.asked.clear()
        again = list(build("x", **x).fetch(json.dumps(cursor)))
    [gap] = gaps(again)
    assert gap.since == datetime.fromtimestamp(began - 9 * DAY_S, UTC)
    assert gap.until is not None and 0 <= gap.until.timestamp() - (began - 7 * DAY_S) <= 120
    assert "since_id" not in service.asked[0].query, "the service refuses an id that is older than it searches"
    assert len(ids(again)) == 30
