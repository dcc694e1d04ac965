"""The contract of history, applied to every kind that can look back."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from opinionwatch.connectors import http
from opinionwatch.connectors.hosts import Hosts
from opinionwatch.connectors.registry import CONNECTORS
from opinionwatch.pipeline.ports import HistorySource, Page, Source
from opinionwatch.pipeline.registry import resolve
from tests.contract.source_suite import PULLED, World, collect, items
from tests.contract.source_worlds import ASKED, OTHERS, REAL, STREAMED, STREAMED_COUNT

LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)
"""Before the first post of every imitation but one, whose service is asked for every quarter of an hour."""
SINCE = {"gdelt": datetime(2026, 3, 1, tzinfo=UTC)}
LOOKING_BACK = sorted(
    kind for kind, where in CONNECTORS.items() if hasattr(resolve(CONNECTORS, kind, where), "backfill")
)
WORLDS = [
    pytest.param(world, id=kind)
    for kind, worlds in {**PULLED, **OTHERS, **ASKED}.items()
    if kind in LOOKING_BACK
    for world in worlds
]


@pytest.fixture(autouse=True)
def no_manners(monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite asks its own server faster than is polite."""
    monkeypatch.setattr(http, "SHARED", Hosts(per_s=10_000, burst=10_000))


def told(pages: list[Page]) -> list[bytes]:
    """What pages bring, in some order that is always the same."""
    return sorted(item.body for item in items(pages))


def history(source: object, since: datetime, cursor: str | None = None) -> Iterator[Page]:
    """A source's history."""
    assert isinstance(source, Source)
    assert isinstance(source, HistorySource)
    return source.backfill(max(since, SINCE.get(source.kind, since)), cursor)


def test_whoever_looks_back_is_held_to_the_contract_here_or_by_a_test_of_its_own() -> None:
    assert {*PULLED, *OTHERS, *ASKED, *STREAMED} >= set(LOOKING_BACK)
    assert len(LOOKING_BACK) >= 14


@pytest.mark.parametrize("world", WORLDS)
class TestHistories:
    """Kinds with a world in which everything lies in the past."""

    def test_its_documents_are_those_of_the_live_cursor(self, world: World, tmp_path: Path) -> None:
        with world(tmp_path) as make:
            live = told(collect(make().fetch(None)))
            pages = collect(history(make(), LONG_AGO))
        assert told(pages) == live, "so what comes by both ways is one document"
        shares = [page.share for page in pages if page.share is not None]
        assert all(0 <= share <= 1 for share in shares)

    def test_every_cursor_gives_exactly_the_rest(self, world: World, tmp_path: Path) -> None:
        with world(tmp_path) as make:
            pages = collect(history(make(), LONG_AGO))
            for number in range(0, len(pages), max(1, len(pages) // 4)):
                rest = collect(history(make(), LONG_AGO, pages[number].cursor))
                assert told(rest) == told(pages[number + 1 :])

    def test_closing_ends_it_after_the_page_at_hand(self, world: World, tmp_path: Path) -> None:
        with world(tmp_path) as make:
            source = make()
            pages = history(source, LONG_AGO)
            next(pages)
            source.close()
            assert collect(pages) == []

    def test_nothing_from_before_is_brought(self, world: World, tmp_path: Path) -> None:
        with world(tmp_path) as make:
            dated = [at for body in told(collect(make().fetch(None))) if (at := json.loads(body).get("published_at"))]
            brought = collect(history(make(), datetime.now(UTC) - timedelta(seconds=1)))
        assert len(items(brought)) <= (0 if len(set(dated)) > 1 else len(dated) or 10**9)


def test_a_mastodon_stream_brings_the_history_that_its_server_shows(tmp_path: Path) -> None:
    [world] = STREAMED["mastodon_stream"]
    with world(tmp_path) as make:
        pages = collect(history(make(), LONG_AGO))
        assert len({json.loads(body)["native_id"] for body in told(pages)}) == STREAMED_COUNT // 3 + 1
        for number in range(0, len(pages), max(1, len(pages) // 4)):
            rest = collect(history(make(), LONG_AGO, pages[number].cursor))
            assert told(rest) == told(pages[number + 1 :])
        assert items(collect(history(make(), datetime.now(UTC) - timedelta(seconds=1)))) == []


def test_a_kafka_topic_is_read_from_a_time_to_where_it_ended(services: dict[str, str], tmp_path: Path) -> None:
    REAL["kafka"] = services["kafka"]
    [world] = STREAMED["kafka"]
    with world(tmp_path) as make:
        pages = collect(history(make(), LONG_AGO))
        assert len(items(pages)) == STREAMED_COUNT
        assert pages[-1].share == 1.0
        for number in range(0, len(pages), max(1, len(pages) // 4)):
            rest = collect(history(make(), LONG_AGO, pages[number].cursor))
            assert told(rest) == told(pages[number + 1 :])
        assert collect(history(make(), datetime.now(UTC) + timedelta(hours=1))) == []
