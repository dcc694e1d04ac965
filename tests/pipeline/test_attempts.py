"""The same batch again, until the world is ready or the process is told to stop."""

from threading import Event

import pytest

from opinionwatch.pipeline.attempts import StoppedError, until_done
from opinionwatch.pipeline.errors import FatalError, RetryableError


class Stop(Event):
    """Remembers how long it was waited for, and is set after so many waits."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.waits: list[float] = []
        self._after = after

    def wait(self, timeout: float | None = None) -> bool:
        """No waiting."""
        self.waits.append(timeout or 0)
        return len(self.waits) > self._after


def test_it_waits_longer_and_longer_or_as_long_as_it_is_asked_to() -> None:
    stop, signs = Stop(100), list[int]()
    errors = [RetryableError("x")] * 9 + [RetryableError("x", after_s=77)]

    def work() -> None:
        if errors:
            raise errors.pop(0)

    until_done(work, stop, lambda: signs.append(1))
    assert stop.waits == [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 77]
    assert len(signs) == 11, "every attempt is a sign of life"


def test_told_to_stop_it_abandons_the_batch() -> None:
    def work() -> None:
        raise RetryableError("away")

    with pytest.raises(StoppedError, match="away"):
        until_done(work, Stop(2), lambda: None)


def test_anything_else_passes_through_at_once() -> None:
    def work() -> None:
        raise FatalError("broken")

    stop = Stop(2)
    with pytest.raises(FatalError, match="broken"):
        until_done(work, stop, lambda: None)
    assert stop.waits == []
