"""The same batch, again and again, until the world is ready or the process is told to stop."""

from collections.abc import Callable
from threading import Event
from time import monotonic

import structlog

from opinionwatch.pipeline.errors import RetryableError

FIRST_S, LONGEST_S = 0.5, 30.0
SIGN_S = 1.0
"""Between two signs of life of somebody who waits: less than any patience."""
log = structlog.get_logger(__name__)


class StoppedError(RetryableError):
    """Told to stop in the middle: the batch is abandoned and will come again."""


def waited(seconds: float, stop: Event, alive: Callable[[], None]) -> bool:
    """Wait for the world to be ready, with signs of life: waiting on purpose is not being wedged. Returns whether
    `stop` was set meanwhile.
    """
    end = monotonic() + seconds
    while True:
        alive()
        left = end - monotonic()
        if stop.wait(max(0.0, min(SIGN_S, left))):
            return True
        if left <= SIGN_S:
            return False


def until_done(
    work: Callable[[], None], stop: Event, alive: Callable[[], None], postponed: Callable[[], None] = lambda: None
) -> None:
    """Call `work` until it does not raise RetryableError; `alive` before each attempt and while it waits for the next,
    `postponed` after a failed one.

    Waits double from half a second to half a minute.

    Raises StoppedError when `stop` is set before it is done; anything else that `work` raises passes through.
    """
    wait_s = FIRST_S
    while True:
        alive()
        try:
            return work()
        except RetryableError as error:
            log.warning("batch postponed", reason=str(error))
            postponed()
            if waited(error.after_s or wait_s, stop, alive):
                raise StoppedError(f"stopped while waiting: {error}") from error
            wait_s = min(LONGEST_S, wait_s * 2)
