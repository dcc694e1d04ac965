"""The contract of sources, applied to the whole registry."""

import inspect
from pathlib import Path
from threading import Thread

import pytest
from pydantic import BaseModel

from opinionwatch.connectors import http
from opinionwatch.connectors.hosts import Hosts
from opinionwatch.connectors.registry import CONNECTORS
from opinionwatch.pipeline.ports import PushSource, Source
from opinionwatch.pipeline.registry import resolve
from tests.contract.source_suite import PAGE_BYTES, PAGE_ITEMS, PULLED, PUSHED, Make, World, collect, items

WORLDS = [pytest.param(world, id=f"{kind}-{world.__name__}") for kind, worlds in PULLED.items() for world in worlds]


@pytest.fixture(autouse=True)
def no_manners(monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite asks its own server faster than is polite."""
    monkeypatch.setattr(http, "SHARED", Hosts(per_s=10_000, burst=10_000))


def test_every_kind_of_the_registry_is_held_to_the_contract() -> None:
    assert {**PULLED, **PUSHED}.keys() == CONNECTORS.keys()
    assert not PULLED.keys() & PUSHED.keys()


@pytest.mark.parametrize("kind", CONNECTORS)
def test_a_connector_says_what_it_delivers_and_what_its_settings_mean(kind: str) -> None:
    source = resolve(CONNECTORS, kind, kind)
    assert source.__dict__["kind"] == kind
    doc = inspect.getdoc(source) or ""
    assert any(line.startswith("Delivery: ") for line in doc.splitlines()), "its docstring needs a line 'Delivery: …'"
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
            while pages := collect(make().fetch(cursor), 3):
                found += items(pages)
                cursor = pages[-1].cursor
        assert found == whole

    def test_closing_ends_it_after_the_page_at_hand(self, world: World, tmp_path: Path) -> None:
        with world(tmp_path) as make:
            source = make()
            pages = source.fetch(None)
            first = next(pages)
            source.close()
            source.close()
            assert collect(pages) == []
            assert first.items
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


@pytest.mark.parametrize("world", [world for worlds in PUSHED.values() for world in worlds])
def test_a_push_source_has_routes_and_nothing_to_fetch(world: World, tmp_path: Path) -> None:
    with world(tmp_path) as make:
        source = make()
        assert isinstance(source, PushSource)
        assert _waits_for_its_end(make)


def _waits_for_its_end(make: Make) -> bool:
    source = make()
    found: list[object] = []
    thread = Thread(target=lambda: found.append(collect(source.fetch(None))))
    thread.start()
    source.close()
    thread.join(10)
    return found == [[]]
