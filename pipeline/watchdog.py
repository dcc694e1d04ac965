"""Ends a wedged process, so that its supervisor starts a new one. A thread of its own, since anything else may hang.

Its last words say where every thread stood.
"""

import atexit
import os
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from math import inf
from threading import Event, Lock, Thread
from threading import enumerate as enumerate_threads

import structlog

WEDGED = 75
"""Exit code of a process that did not go on (EX_TEMPFAIL)."""
LOOK_S = 0.5
ASLEEP_S = 5.0
"""Who looks every `LOOK_S` and was not woken for so long was stopped from outside, and everybody else with it."""
LAST_WORDS_S = 5.0
"""How long it may take to say why: whoever should read it may be wedged as well."""
LEAVE_S = 5.0
"""How long threads may go on after the command has ended."""
DEEPEST = 12
"""Calls of each thread that are told, the innermost."""
log = structlog.get_logger(__name__)


class Watchdog:
    """Watches whether work that waits goes on. `alive` says that it does.

    Work that is being retried because the world is not ready goes on, too: what must not happen is silence.
    """

    def __init__(self, patience_s: float, end: Callable[[int], None] = os._exit) -> None:
        """A process whose work waits for `patience_s` without a sign of life is ended by `end`."""
        self._patience_s = patience_s
        self._end = end
        self._lock = Lock()
        self._last = time.monotonic()
        self._waiting = False
        self._deadline: tuple[float, int] | None = None
        self._first: float | None = None
        self._done = Event()

    def alive(self, *, waiting: bool) -> None:
        """A sign of life; `waiting` says whether there is still work to be done."""
        with self._lock:
            self._last, self._waiting, self._first = time.monotonic(), waiting, None

    def waiting(self) -> None:
        """There is work; nothing is said about whether it goes on."""
        with self._lock:
            if not self._waiting:
                self._last, self._waiting = time.monotonic(), True

    def stop_within(self, seconds: float, code: int) -> None:
        """The process was told to stop: end it with `code` when it has not ended by itself in time."""
        with self._lock:
            self._deadline = self._deadline or (time.monotonic() + seconds, code)

    def start(self, within_s: float | None = None) -> None:
        """Watch from now on. `within_s`: the first sign of life must come within so many seconds."""
        self._first = None if within_s is None else time.monotonic() + within_s
        Thread(target=self._watch, name="watchdog", daemon=True).start()

    def close(self) -> None:
        """Watch no more."""
        self._done.set()

    def verdict(self) -> int | None:
        """The exit code that is due now; None while all is well."""
        now = time.monotonic()
        with self._lock:
            if self._deadline is not None and now >= self._deadline[0]:
                return self._deadline[1]
            if self._deadline is None and self._first is not None and now > self._first:
                return WEDGED
            if self._deadline is None and self._waiting and now - self._last > self._patience_s:
                return WEDGED
        return None

    def _watch(self) -> None:
        looked = time.monotonic()
        while not self._done.wait(LOOK_S):
            slept, looked = time.monotonic() - looked, time.monotonic()
            if slept > ASLEEP_S:
                self._was_stopped(slept)
            code = self.verdict()
            if code is not None:
                telling = Thread(target=_tell, args=(code,), name="last words", daemon=True)
                telling.start()
                telling.join(LAST_WORDS_S)
                self._end(code)
                return

    def _was_stopped(self, seconds: float) -> None:
        """The whole process was (Ctrl-Z, a stalled machine): nobody in it could give a sign of life."""
        with self._lock:
            self._last += seconds
            self._first = None if self._first is None else self._first + seconds


def leaving(code: int) -> None:
    """The command has ended and says `code`. What it left behind, a library's thread that never ends, would keep the
    interpreter for ever: it is ended in 5 s.
    """
    with suppress(OSError):  # nobody reads it any more
        sys.stdout.flush()
    dog = Watchdog(inf)
    dog.stop_within(LEAVE_S, code)
    dog.start()
    atexit.register(dog.close)  # comes when all threads have ended; other goodbyes may take their time


def _tell(code: int) -> None:
    # Not faulthandler: it holds the interpreter's lock while it writes, and a full pipe would then hold everything.
    frames = sys._current_frames()
    stacks = {
        f"{one.name} {one.native_id}": traceback.format_stack(frames[one.ident])[-DEEPEST:]
        for one in enumerate_threads()
        if one.ident in frames
    }
    log.error("the process is ended by its watchdog", code=code, stacks=stacks)
    sys.stderr.flush()
