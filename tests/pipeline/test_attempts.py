"""The same batch again, until the world is ready or the process is told to stop."""

from itertools import pairwise
from threading import Event

import pytest

from opinionwatch.pipeline import attempts
from opinionwatch.pipeline.attempts import SIGN_S, StoppedError, until_done
from opinionwatch.pipeline.errors import FatalError, RetryableError


class Time:
    """A clock that goes on only while somebody waits."""

    now = 1000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(attempts, "monotonic", lambda: time.now)
    return time


class Stop(Event):
    """Remembers how long it was waited for, and is set after so many waits."""

    def __init__(self, after: int, clock: Time) -> None:
        super().__init__()
        self._clock = clock
        self.waits: list[float] = []
        self._after = after

    def wait(self, timeout: float | None = None) -> bool:
        """No waiting."""
        self.waits.append(timeout or 0)
        self._clock.now += timeout or 0
        return len(self.waits) > self._after


def test_it_waits_longer_and_longer_or_as_long_as_it_is_asked_to(clock: Time) -> None:
    stop, between, signs = Stop(10_000, clock), list[float](), list[float]()
    errors = [RetryableError("x")] * 9 + [RetryableError("x", after_s=77)]

    def work() -> None:
        between.append(sum(stop.waits))
        stop.waits.clear()
        if errors:
            raise errors.pop(0)

    until_done(work, stop, lambda: signs.append(clock.now))
    assert between[1:] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 77]
    assert max(after - before for before, after in pairwise(signs)) <= SIGN_S, "whoever waits is alive all the time"


def test_told_to_stop_it_abandons_the_batch(clock: Time) -> None:
    def work() -> None:
        raise RetryableError("away")

    with pytest.raises(StoppedError, match="away"):
        until_done(work, Stop(2, clock), lambda: None)


def test_anything_else_passes_through_at_once(clock: Time) -> None:
    def work() -> None:
        raise FatalError("broken")

    stop = Stop(2, clock)
    with pytest.raises(FatalError, match="broken"):
        until_done(work, stop, lambda: None)
    assert stop.waits == []
