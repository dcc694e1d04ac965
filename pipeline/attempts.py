"""The same batch, again and again, until the world is ready or the process is told to stop."""

from collections.abc import Callable
from threading import Event

import structlog

from opinionwatch.pipeline.errors import RetryableError

FIRST_S, LONGEST_S = 0.5, 30.0
log = structlog.get_logger(__name__)


class StoppedError(RetryableError):
    """Told to stop in the middle: the batch is abandoned and will come again."""


def until_done(
    work: Callable[[], None], stop: Event, alive: Callable[[], None], postponed: Callable[[], None] = lambda: None
) -> None:
    """Call `work` until it does not raise RetryableError; `alive` before each attempt, `postponed` after a failed one.

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
            if stop.wait(error.after_s or wait_s):
                raise StoppedError(f"stopped while waiting: {error}") from error
            wait_s = min(LONGEST_S, wait_s * 2)
