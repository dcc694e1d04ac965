"""Driving sources: order, retries, failures, health."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from threading import Event, Lock

import pytest

from opinionwatch.connectors.pulling import Backoff
from opinionwatch.connectors.schedule import Schedule
from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.ports import Item, Page, Source

QUICK = Backoff(base_s=0.01, cap_s=0.05)


class Numbers:
    """A source of the numbers after its cursor, with what goes wrong on the way."""

    kind = "numbers"
    instance = "numbers"
    replays = False

    def __init__(
        self, name: str, count: int = 10, interval_s: float | None = None, errors: tuple[Exception, ...] = ()
    ) -> None:
        self.name = name
        self.interval_s = interval_s
        self._count = count
        self._errors = list(errors)
        self._closed = Event()
        self.cursors: list[str | None] = []
        self.polls = 0
        self.at_once = 0
        self.hold = 0.0

    def fetch(self, cursor: str | None) -> Iterator[Page]:
        self.cursors.append(cursor)
        self.polls += 1
        self.at_once += 1
        assert self.at_once == 1
        try:
            start = int(cursor or 0)
            for n in range(start, self._count):
                if self._closed.wait(self.hold):
                    return
                if n == start + 3 and self._errors:
                    raise self._errors.pop(0)
                yield Page([Item(b"%d" % n)], str(n + 1))
        finally:
            self.at_once -= 1

    def close(self) -> None:
        self._closed.set()


class Shelf:
    """An intake that keeps everything, and fails as told."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self._lock = Lock()
        self.cursors: dict[str, str] = {}
        self.bodies: dict[str, list[bytes]] = {}

    def submit(self, source: Source, page: Page) -> "Future[None]":
        with self._lock:
            durable: Future[None] = Future()
            if self._errors:
                durable.set_exception(self._errors.pop(0))
                return durable
            self.bodies.setdefault(source.name, []).extend(item.body for item in page.items)
            self.cursors[source.name] = page.cursor
            durable.set_result(None)
            return durable

    def load(self, source: Source) -> str | None:
        return self.cursors.get(source.name)


def until(true: Callable[[], bool], timeout_s: float = 10) -> None:
    end = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end, "it did not come true in time"
        Event().wait(0.005)


@pytest.fixture
def started() -> Iterator[Callable[..., Schedule]]:
    running: list[Schedule] = []

    def start(*sources: Source, shelf: Shelf) -> Schedule:
        schedule = Schedule(sources, shelf, shelf.load, QUICK)
        running.append(schedule)
        schedule.start()
        return schedule

    yield start
    for schedule in running:
        schedule.stop(5)


def numbers(count: int) -> list[bytes]:
    return [b"%d" % n for n in range(count)]


def test_run_once_sources_are_done_when_exhausted(started: Callable[..., Schedule]) -> None:
    shelf = Shelf()
    schedule = started(Numbers("a"), Numbers("b", 3), shelf=shelf)
    until(schedule.done)
    assert shelf.bodies == {"a": numbers(10), "b": numbers(3)}
    first, second = schedule.health()
    assert (first.state, first.pages, first.items, first.errors) == ("exhausted", 10, 10, 0)
    assert first.last_success is not None
    assert (second.name, second.kind, second.items) == ("b", "numbers", 3)


def test_a_source_that_is_not_ready_is_asked_again_from_what_is_durable(started: Callable[..., Schedule]) -> None:
    shelf = Shelf()
    source = Numbers(
        "a", errors=(RetryableError("503 from https://x.example/f?key=secret"), RetryableError("429", after_s=0.1))
    )
    schedule = started(source, shelf=shelf)
    until(schedule.done)
    assert shelf.bodies["a"] == numbers(10)
    assert source.cursors == [None, "3", "6"]
    health = schedule.health()[0]
    assert health.errors == 2
    assert health.last_error == "429"


def test_a_page_the_store_cannot_take_is_offered_again_and_not_fetched_again(started: Callable[..., Schedule]) -> None:
    shelf = Shelf(RetryableError("locked"), RetryableError("locked"))
    source = Numbers("a", 2)
    until(started(source, shelf=shelf).done)
    assert shelf.bodies["a"] == numbers(2)
    assert source.polls == 1


def test_a_failed_source_says_why_and_the_others_go_on(started: Callable[..., Schedule]) -> None:
    shelf = Shelf()
    gone = Numbers("gone", errors=(FatalError("410 gone: https://me:pw@x.example/a?token=t0p"),))
    broken = Numbers("broken", interval_s=0.01, errors=(ZeroDivisionError("a bug"),))
    fine = Numbers("fine", interval_s=0.01)
    schedule = started(gone, broken, fine, shelf=shelf)
    until(lambda: schedule.health()[1].state == "failed" and fine.polls > 5)
    reasons = [health.last_error for health in schedule.health()]
    assert reasons == ["410 gone: https://x.example/a", "unexpected ZeroDivisionError: a bug", None]
    assert shelf.bodies["fine"] == numbers(10)
    assert broken.polls == 1
    assert not schedule.done()


def test_polls_never_overlap_and_overruns_are_counted(started: Callable[..., Schedule]) -> None:
    source = Numbers("slow", 1, interval_s=0.05)
    source.hold = 0.4
    shelf = Shelf()
    schedule = started(source, shelf=shelf)
    until(lambda: schedule.health()[0].skipped >= 2)
    until(lambda: bool(shelf.bodies))
    assert source.polls <= 2


def test_a_polling_source_that_fails_is_polled_again_soon_and_not_only_at_its_next_turn(
    started: Callable[..., Schedule],
) -> None:
    source = Numbers("a", interval_s=3600, errors=(RetryableError("503"),))
    shelf = Shelf()
    schedule = started(source, shelf=shelf)
    until(lambda: len(shelf.bodies.get("a", [])) == 10)
    until(lambda: schedule.health()[0].state == "waiting")
    assert source.cursors == [None, "3"]


def test_stopping_ends_everything_within_a_page(started: Callable[..., Schedule]) -> None:
    endless, polled = Numbers("endless", 10**9), Numbers("polled", 10**9, interval_s=0.01)
    shelf = Shelf()
    schedule = started(endless, polled, shelf=shelf)
    until(lambda: len(shelf.bodies) == 2)
    schedule.stop(5)
    assert [health.state for health in schedule.health()] == ["stopped", "stopped"]
    kept = dict(shelf.cursors)
    assert shelf.bodies["endless"] == numbers(int(kept["endless"]))
    assert not schedule.done(), "stopped is not exhausted"


def test_stopping_does_not_wait_for_a_page_that_nobody_takes() -> None:
    class Silent(Shelf):
        def submit(self, source: Source, page: Page) -> "Future[None]":
            del source, page
            return Future()

    schedule = Schedule([Numbers("a")], Silent(), lambda _: None, QUICK)
    schedule.start()
    schedule.stop(5)
    assert schedule.health()[0].state == "stopped"


def test_waits_double_up_to_a_cap_and_honour_a_wish_within_reason() -> None:
    backoff = Backoff(base_s=1, cap_s=60, longest_s=3600)
    for failures, low, high in ((1, 0.5, 1), (3, 2, 4), (1000, 30, 60)):
        assert all(low <= backoff.wait_s(failures, None) <= high for _ in range(50))
    assert backoff.wait_s(1, 120) == 120
    assert backoff.wait_s(1, 1e12) == 3600
