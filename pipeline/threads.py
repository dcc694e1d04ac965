"""Work in a thread of its own, whose failure is not lost with the thread."""

from collections.abc import Callable
from threading import Event

import structlog

from opinionwatch.pipeline.errors import OpinionwatchError

log = structlog.get_logger(__name__)


def guarded(work: Callable[[Event], None], ended: Event, failure: list[BaseException]) -> None:
    """Do `work(ended)`. What it raises goes to `failure`, for the thread that waits for us to raise."""
    try:
        work(ended)
    except BaseException as error:  # raised there
        if not isinstance(error, OpinionwatchError):
            log.exception("a thread has failed")
        failure.append(error)
