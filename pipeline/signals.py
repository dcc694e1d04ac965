"""SIGTERM and Ctrl-C as an event, and SIGQUIT as a question."""

import faulthandler
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Event, Thread
from types import FrameType

STDERR = 2


@contextmanager
def stopping(told: Callable[[], None] = lambda: None) -> Iterator[Event]:
    """An event that SIGTERM and Ctrl-C set: finish or abandon the batch in flight, then exit 0. Calls `told`, too, from
    a thread of its own. SIGQUIT (`kill -QUIT`) writes to standard error where every thread stands, as Kafka's and
    Elasticsearch's JVMs do, and changes nothing.
    """
    stop, asked = Event(), SimpleQueue[bool]()

    def answer(number: int, frame: FrameType | None) -> None:
        # It interrupts the main thread anywhere, so it must not take a lock which that may hold: `stop.set()` in here
        # waited for ever where `stop.wait()` was interrupted in the middle. This queue is made for it (Python's docs).
        del number, frame
        asked.put(True)

    def listen() -> None:
        while asked.get():
            stop.set()
            told()

    before = {number: signal.signal(number, answer) for number in (signal.SIGTERM, signal.SIGINT)}
    Thread(target=listen, name="signals", daemon=True).start()
    faulthandler.register(signal.SIGQUIT, STDERR)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        faulthandler.unregister(signal.SIGQUIT)
        asked.put(False)
