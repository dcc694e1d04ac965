"""SIGTERM and Ctrl-C as an event."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType


@contextmanager
def stopping(told: Callable[[], None] = lambda: None) -> Iterator[Event]:
    """An event that SIGTERM and Ctrl-C set: finish or abandon the batch in flight, then exit 0. Calls `told`, too."""
    stop = Event()

    def answer(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()
        told()

    before = {number: signal.signal(number, answer) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
