"""Ten thousand items that wait: every source takes them in bounded memory, and no event loop beside it is held up."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from string import ascii_lowercase

import pytest

from opinionwatch.connectors.registry import CONNECTORS
from tests.connectors.bridges import RssHub
from tests.connectors.elastic_cluster import Cluster
from tests.connectors.imitation import imitating
from tests.connectors.keyed_services import XApi
from tests.connectors.news_files import GdeltFiles
from tests.connectors.services import (
    AppStoreFeed,
    DiscourseForum,
    HackerNewsSearch,
    MastodonServer,
    StackExchangeSite,
)
from tests.connectors.telegram_api import TelegramApi
from tests.contract.source_suite import Making, World
from tests.contract.source_worlds import (
    REAL,
    TOKEN,
    URL,
    bluesky,
    bridged,
    kafka_topic,
    mailbox,
    mastodon_stream,
    reddit,
    service,
    youtube,
)

COUNT = 10_000
TITLED = 9 * sum(row % 7 > 0 for row in range(1_300))
"""GDELT's rows without a title are none."""
GROWN_MB = 80
STALL_S = 1.0


@contextmanager
def fed(folder: Path) -> Iterator[Making]:
    """One feed of all of them."""
    del folder
    with imitating(RssHub(COUNT)) as hub:
        yield Making("rss", {"url": f"{hub.url}/feed", "allow_hosts": ["127.0.0.1"]}, hub)


@contextmanager
def lines(folder: Path) -> Iterator[Making]:
    """A file of all of them."""
    path = folder / "posts.jsonl"
    rows = (f'{{"native_id": "{number}", "text": "text {number}, 电池"}}\n' for number in range(COUNT))
    path.write_text("".join(rows))
    yield Making("jsonl", {"path": str(path)})


@contextmanager
def table(folder: Path) -> Iterator[Making]:
    """The same as a table."""
    path = folder / "posts.csv"
    path.write_text("native_id,text\n" + "".join(f"{number},text {number} 电池\n" for number in range(COUNT)))
    yield Making("csv", {"path": str(path)})


@contextmanager
def files(folder: Path) -> Iterator[Making]:
    """A file of all of them."""
    (folder / "in").mkdir()
    rows = (f'{{"native_id": "{number}", "text": "text {number}, 电池"}}\n' for number in range(COUNT))
    (folder / "in" / "posts.jsonl").write_text("".join(rows))
    yield Making("folder", {"path": str(folder / "in"), "settle_s": 0})


STORES = [f"{a}{b}" for a in ascii_lowercase[:4] for b in ascii_lowercase[:5]]
BACKLOGS: dict[str, tuple[World, int]] = {
    "hackernews": (service("hackernews", lambda: HackerNewsSearch(COUNT)), COUNT),
    "mastodon": (
        service("mastodon", lambda: MastodonServer(COUNT, token=TOKEN), hashtags=["#Lumora"], token_file=""),
        COUNT,
    ),
    "discourse": (service("discourse", lambda: DiscourseForum(COUNT)), COUNT),
    "stackexchange": (service("stackexchange", lambda: StackExchangeSite(COUNT), site="stackoverflow"), COUNT),
    "appstore": (service("appstore", lambda: AppStoreFeed(500), app=1, countries=STORES), 500 * len(STORES)),
    "reddit": (
        service(
            "reddit",
            lambda: reddit(COUNT),
            subreddits=["lumora"],
            client_id="app",
            secret_file="",
            token_url=f"{URL}/api/v1/access_token",
        ),
        2_000,  # two listings, of which the service shows a thousand items each
    ),
    "youtube": (
        service("youtube", lambda: youtube(COUNT // 2), videos=["v1"], channels=["UC9"], key_file=""),
        COUNT + COUNT // 10,  # with the replies
    ),
    "elasticsearch": (
        service(
            "elasticsearch",
            lambda: Cluster(COUNT, token=TOKEN),
            index="posts",
            fields={"text": "message.body"},
            api_key_file="",
        ),
        COUNT,
    ),
    "gdelt": (service("gdelt", lambda: GdeltFiles(files=9, rows=1_300), history_h=2), TITLED),
    "x": (
        service(
            "x", lambda: XApi(COUNT, token=TOKEN), query="lumora", token_file="", reads_per_day=10**6, history_h=None
        ),
        COUNT,
    ),
    "telegram": (
        service("telegram", lambda: TelegramApi(COUNT, token=TOKEN, forgets=False), token_file="", history_h=None),
        COUNT,
    ),
    "imap": (partial(mailbox, count=COUNT), COUNT),
    "bridge": (partial(bridged, count=COUNT), COUNT),
    "folder": (files, COUNT),
    "rss": (fed, COUNT),
    "jsonl": (lines, COUNT),
    "csv": (table, COUNT),
    "kafka": (partial(kafka_topic, count=COUNT), COUNT),
    "bluesky": (partial(bluesky, count=COUNT), COUNT),
    "mastodon_stream": (partial(mastodon_stream, count=COUNT, standing=COUNT // 2), COUNT),
}
"""Kinds with a world in which so many items wait."""


def test_every_kind_that_is_asked_has_a_backlog() -> None:
    assert set(CONNECTORS) - set(BACKLOGS) == {"demo", "webhook"}, "one tells its own story, the other is told"


@pytest.mark.parametrize("kind", BACKLOGS)
def test_a_backlog_is_taken_in_bounded_memory_and_stalls_no_event_loop(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if kind == "kafka":
        REAL.update(request.getfixturevalue("services"))
    world, count = BACKLOGS[kind]
    with world(tmp_path) as make:
        assert isinstance(make, Making)
        settings = tmp_path / "settings.json"
        settings.write_text(json.dumps({"kind": make.kind, "given": dict(make.given)}))
        command = [sys.executable, "-m", "tests.contract.backlog", str(settings), str(count)]
        told = subprocess.run(command, check=True, capture_output=True, timeout=120)
    found = json.loads(told.stdout.splitlines()[-1])
    assert found["items"] == count
    assert found["grown_mb"] < GROWN_MB
    assert found["stall_s"] < STALL_S
