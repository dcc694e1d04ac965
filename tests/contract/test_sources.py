"""The contract of sources, applied to the whole registry."""

import inspect
import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Thread

import pytest
from pydantic import BaseModel

from opinionwatch.connectors import http
from opinionwatch.connectors.hosts import Hosts
from opinionwatch.connectors.registry import CONNECTORS
from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.ports import Page, PushSource, Source
from opinionwatch.pipeline.registry import resolve
from tests.connectors.imitation import FAULTS
from tests.contract.source_suite import PAGE_BYTES, PAGE_ITEMS, PULLED, PUSHED, Make, Making, World, collect, items
from tests.contract.source_worlds import ASKED, OTHERS, REAL, STREAMED, STREAMED_COUNT, TOKEN

ALL = {**PULLED, **OTHERS, **ASKED}
WORLDS = [pytest.param(world, id=f"{kind}-{world.__name__}") for kind, worlds in ALL.items() for world in worlds]
SERVICES = [pytest.param(world, id=kind) for kind, worlds in ASKED.items() for world in worlds]


@pytest.fixture(autouse=True)
def no_manners(monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite asks its own server faster than is polite, and waits for nothing."""
    monkeypatch.setattr(http, "SHARED", Impatient(per_s=10_000, burst=10_000))


class Impatient(Hosts):
    """No pause is kept; that they are is tested with `Hosts`."""

    def pause(self, host: str, seconds: float) -> None:
        """Ignore it."""


def test_every_kind_of_the_registry_is_held_to_the_contract() -> None:
    groups = (PULLED, OTHERS, ASKED, STREAMED, PUSHED)
    assert sorted(kind for group in groups for kind in group) == sorted(CONNECTORS)


@pytest.mark.parametrize("kind", CONNECTORS)
def test_a_connector_says_what_it_delivers_and_what_its_settings_mean(kind: str) -> None:
    source = resolve(CONNECTORS, kind, kind)
    assert source.__dict__["kind"] == kind
    doc = inspect.getdoc(source) or ""
    assert any(line.startswith("Delivery: ") for line in doc.splitlines()), "its docstring needs a line 'Delivery: …'"
    looks_back = callable(getattr(source, "backfill", None))
    assert looks_back != any(line.startswith("History: none to bring. ") for line in doc.splitlines()), (
        "either it has `backfill`, or its docstring needs a line 'History: none to bring. …' that says why"
    )
    settings = source.__dict__["Settings"]
    assert issubclass(settings, BaseModel)
    assert settings.model_config.get("frozen")
    assert settings.model_config.get("extra") == "forbid"
    assert [name for name, field in settings.model_fields.items() if not field.description] == []


@pytest.mark.parametrize("world", WORLDS)
class TestPulled:
    """Sources that are asked."""

    def test_it_is_a_source(self, world: World, tmp_path: Path) -> None:
        with world(tmp_path) as make:
            source = make()
            assert isinstance(source, Source)
            assert source.name == "name"
            assert source.instance
            assert source.interval_s is None or source.interval_s > 0
            assert source.instance == make().instance, "it is part of every document's id"

    def test_pages_are_bounded_and_items_are_bytes(self, world: World, tmp_path: Path) -> None:
        with world(tmp_path) as make:
            pages = collect(make().fetch(None))
        assert len(pages) > 1
        for page in pages:
            assert len(page.items) <= PAGE_ITEMS
            assert sum(len(item.body) for item in page.items) <= PAGE_BYTES
        assert all(isinstance(item.body, bytes) for item in items(pages))

    def test_two_readings_are_the_same(self, world: World, tmp_path: Path) -> None:
        with world(tmp_path) as make:
            assert items(collect(make().fetch(None))) == items(collect(make().fetch(None)))

    def test_every_cursor_gives_exactly_the_rest(self, world: World, tmp_path: Path) -> None:
        with world(tmp_path) as make:
            pages = collect(make().fetch(None))
            whole = items(pages)
            done = 0
            for number, page in enumerate(pages):
                done += len(page.items)
                if number % max(1, len(pages) // 8) and page is not pages[-1]:
                    continue  # of the many pages of some worlds, about eight
                assert items(collect(make().fetch(page.cursor))) == whole[done:]

    def test_what_was_read_page_by_page_by_ever_new_sources_is_the_whole(self, world: World, tmp_path: Path) -> None:
        with world(tmp_path) as make:
            whole = items(collect(make().fetch(None)))
            found = []
            cursor = None
            while items(pages := collect(make().fetch(cursor), 3)):
                found += items(pages)
                cursor = pages[-1].cursor
        assert found == whole

    def test_closing_ends_it_after_the_page_at_hand(self, world: World, tmp_path: Path) -> None:
        with world(tmp_path) as make:
            source = make()
            pages = source.fetch(None)
            first = next(page for page in pages if page.items)
            source.close()
            source.close()
            assert collect(pages) == []
            rest = items(collect(make().fetch(first.cursor)))
            assert [*first.items, *rest] == items(collect(make().fetch(None)))

    def test_a_replay_says_so_and_its_clock_never_goes_back(self, world: World, tmp_path: Path) -> None:
        with world(tmp_path) as make:
            source = make()
            times = [item.arrived_at for item in items(collect(source.fetch(None)))]
        if source.replays:
            known = [time for time in times if time is not None]
            assert len(known) == len(times)
            assert known == sorted(known)
        else:
            assert set(times) == {None}


@pytest.mark.parametrize("world", SERVICES)
class TestAsked:
    """Sources that ask a service."""

    @pytest.mark.parametrize("fault", FAULTS)
    def test_a_bad_day_of_the_service_is_an_error_to_retry_and_nothing_is_lost(
        self, world: Callable[[Path], AbstractContextManager[Making]], fault: str, tmp_path: Path
    ) -> None:
        with world(tmp_path) as make:
            assert make.service is not None
            whole = items(collect(make().fetch(None)))
            pages = make().fetch(None)
            first = next(page for page in pages if page.items)
            make.service.faults.append(FAULTS[fault])
            error = failure(pages)
            # An expired token may also be renewed at once.
            assert error is not None or fault == "an expired token"
            assert TOKEN not in str(error)
            assert len(str(error)) < 500
            if isinstance(error, RetryableError) and fault == "too many requests":
                assert error.after_s == 7
            assert [*first.items, *items(collect(make().fetch(first.cursor)))] == whole

    def test_a_quiet_service_brings_nothing(self, world: World, tmp_path: Path) -> None:
        with world(tmp_path) as make:
            pages = collect(make().fetch(None))
            assert items(collect(make().fetch(pages[-1].cursor))) == []

    def test_a_cursor_of_another_kind_is_refused(self, world: World, tmp_path: Path) -> None:
        with world(tmp_path) as make, pytest.raises(FatalError, match="cursor"):
            collect(make().fetch('{"offset": 3}'))


@pytest.mark.parametrize("world", [pytest.param(each, id=kind) for kind, worlds in STREAMED.items() for each in worlds])
class TestStreamed:
    """Sources that go on for ever."""

    @pytest.fixture(autouse=True)
    def real(self, services: dict[str, str]) -> None:
        """Where the real services are."""
        REAL.update(services)

    def test_pages_are_bounded_and_every_cursor_gives_at_least_the_rest(self, world: World, tmp_path: Path) -> None:
        with world(tmp_path) as make:
            source = make()
            assert isinstance(source, Source)
            assert source.interval_s is None
            assert source.instance == make().instance
            pages = until(source.fetch(None), set(range(STREAMED_COUNT)))
            assert len(pages) > 1
            done: set[int] = set()
            for page in pages:
                assert len(page.items) <= PAGE_ITEMS
                assert sum(len(item.body) for item in page.items) <= PAGE_BYTES
                done |= numbers([page])
                rest = set(range(STREAMED_COUNT)) - done
                assert not rest or numbers(until(make().fetch(page.cursor), rest)) >= rest

    def test_closing_ends_it_soon_even_while_it_waits(self, world: World, tmp_path: Path) -> None:
        with world(tmp_path) as make:
            source = make()
            pages = source.fetch(None)
            seen: list[Page] = []
            reading = Thread(target=lambda: seen.extend(pages))
            reading.start()
            while len(numbers(list(seen))) < STREAMED_COUNT:
                reading.join(0.05)
                assert reading.is_alive()
            source.close()
            source.close()
            reading.join(5)
            assert not reading.is_alive()

    def test_a_cursor_of_another_kind_is_refused(self, world: World, tmp_path: Path) -> None:
        with world(tmp_path) as make, pytest.raises(FatalError, match="cursor"):
            next(make().fetch('{"unknown": 3}'))


def test_a_mastodon_stream_that_asks_too_much_over_rest_says_how_long_to_wait_and_loses_nothing(tmp_path: Path) -> None:
    [world] = STREAMED["mastodon_stream"]
    with world(tmp_path) as make:
        assert isinstance(make, Making)
        assert make.service is not None
        make.service.faults.append(FAULTS["too many requests"])
        with pytest.raises(RetryableError) as caught:
            next(make().fetch(None))
        assert caught.value.after_s == 7
        assert len(numbers(until(make().fetch(None), set(range(STREAMED_COUNT))))) == STREAMED_COUNT


@pytest.mark.parametrize("world", [world for worlds in PUSHED.values() for world in worlds])
def test_a_push_source_has_routes_and_nothing_to_fetch(world: World, tmp_path: Path) -> None:
    with world(tmp_path) as make:
        source = make()
        assert isinstance(source, PushSource)
        assert _waits_for_its_end(make)


def numbers(pages: list[Page]) -> set[int]:
    """The numbers in the texts of pages."""
    texts = [str(json.loads(item.body)["text"]) for item in items(pages)]
    return {int(found[0]) for text in texts if (found := re.search(r"\d+", text))}


def until(pages: Iterator[Page], wanted: set[int]) -> list[Page]:
    """Pages up to the one that completes what is wanted."""
    taken: list[Page] = []
    for page in pages:
        taken.append(page)
        if numbers(taken) >= wanted:
            break
    return taken


def failure(pages: Iterator[Page]) -> RetryableError | None:
    """The error that ends them, if one does."""
    try:
        collect(pages)
    except RetryableError as error:
        return error
    return None


def _waits_for_its_end(make: Make) -> bool:
    source = make()
    found: list[object] = []
    thread = Thread(target=lambda: found.append(collect(source.fetch(None))))
    thread.start()
    source.close()
    thread.join(10)
    return found == [[]]
