"""Backfills as a running schedule takes them up."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest
from structlog.testing import capture_logs

from opinionwatch.connectors.backfill import Progress, Wish, stored_as
from opinionwatch.connectors.backfills import Backfills
from opinionwatch.connectors.schedule import Schedule
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.ports import Item, Page, Source, cursor_name
from tests.connectors.test_schedule import QUICK, Numbers, Shelf, until

NOW = datetime(2026, 11, 26, tzinfo=UTC)
FIRST = Wish(since=NOW - timedelta(days=1), asked_at=NOW)
LATER = Wish(since=NOW - timedelta(days=9), asked_at=NOW + timedelta(seconds=5))


class Days(Numbers):
    """Has a page of history for every day, and may hold one up."""

    def __init__(self, name: str, held: Event | None = None) -> None:
        super().__init__(name)
        self.held = held
        self.days: list[int] = []

    def backfill(self, since: datetime, cursor: str | None) -> Iterator[Page]:
        for day in range(int(cursor or 0), (NOW - since).days):
            if self.held is not None and day == 1:
                self.held.wait(20)
            self.days.append(day)
            yield Page([Item(b"%d" % day)], str(day + 1))


class Keeping(Shelf):
    """Keeps cursors under the names that they belong to."""

    def submit(self, source: Source, page: Page):  # type: ignore[no-untyped-def]  # noqa: ANN201 - as the base
        done = super().submit(source, page)
        self.cursors.pop(source.name, None)
        self.cursors[cursor_name(source)] = page.cursor
        return done

    def come(self, name: str) -> Progress:
        """How far a backfill has come."""
        return Progress.read(self.cursors[stored_as(name)])


@pytest.fixture
def shelf() -> Keeping:
    return Keeping()


@pytest.fixture
def schedule(shelf: Keeping) -> Iterator[Schedule]:
    made = Schedule([], shelf, lambda source: shelf.cursors.get(cursor_name(source)), QUICK)
    made.start()
    yield made
    made.stop(10)


def test_a_wish_is_carried_out_once_and_only_by_whoever_reads_the_source(schedule: Schedule, shelf: Keeping) -> None:
    built: list[str] = []

    def build(name: str) -> Source:
        built.append(name)
        return Days(name)

    backfills = Backfills(schedule, build, shelf.cursors.get)
    for _ in range(3):
        backfills.take_up({"a": FIRST, "another daemon's": FIRST}, ["a"])
    until(lambda: bool(shelf.cursors) and shelf.come("a").done)
    assert built == ["a"]
    assert shelf.bodies == {"a": [b"0"]}
    Backfills(schedule, build, shelf.cursors.get).take_up({"a": FIRST}, ["a"])
    assert built == ["a"], "what is done is not done again in another life"


def test_a_later_wish_takes_the_place_of_one_that_is_under_way(schedule: Schedule, shelf: Keeping) -> None:
    held = Event()
    sources = [Days("a", held), Days("a")]
    backfills = Backfills(schedule, lambda _: sources.pop(0), shelf.cursors.get)
    first = Wish(since=NOW - timedelta(days=5), asked_at=NOW)
    backfills.take_up({"a": first}, ["a"])
    until(lambda: bool(shelf.cursors) and shelf.come("a").items == 1)
    backfills.take_up({"a": LATER}, ["a"])
    held.set()
    until(lambda: shelf.come("a").done)
    assert (shelf.come("a").since, shelf.come("a").items) == (LATER.since, 9)
    assert len(shelf.bodies["a"]) <= 9 + 2, "the one before ended after the page at hand"


def test_a_wish_that_cannot_be_carried_out_is_said_once_and_harms_nobody(schedule: Schedule, shelf: Keeping) -> None:
    def build(name: str) -> Source:
        if name == "gone":
            raise SettingsError("no source 'gone' in the settings")
        return Numbers(name)

    backfills = Backfills(schedule, build, shelf.cursors.get)
    with capture_logs() as logs:
        for _ in range(2):
            backfills.take_up({"gone": FIRST, "none": FIRST}, ["gone", "none"])
    assert [(each["source"], each["event"]) for each in logs] == [
        ("gone", "backfill.impossible"),
        ("none", "backfill.impossible"),
    ]
