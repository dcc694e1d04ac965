"""A wall clock that is not believed when it jumps: what is decided is never taken back, so a wrong hour costs an hour.

Between two looks the wall must have gone on as far as the time since boot did. Where it has not, the old time goes on
for a while; a jump that lasts (somebody has set the clock) is believed then. Sleep counts as time, so a machine that
wakes up has not jumped.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Lock

import structlog

TOLERANCE = timedelta(minutes=2)
"""Corrections by less are believed at once."""
PATIENCE_S = 600.0
log = structlog.get_logger(__name__)


def since_boot() -> float:
    """Seconds since boot, sleep included where the system counts it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class SteadyClock:
    """The wall clock without its jumps. Safe to use from several threads."""

    def __init__(self, wall: Callable[[], datetime], elapsed: Callable[[], float] = since_boot) -> None:
        """`elapsed` are seconds that only ever go on."""
        self._wall, self._elapsed = wall, elapsed
        self._lock = Lock()
        self._last: tuple[datetime, float] | None = None
        self._since: float | None = None

    def __call__(self) -> datetime:
        """The time."""
        with self._lock:
            wall, at = self._wall(), self._elapsed()
            if self._last is not None:
                wall = self._believed(wall, self._last[0] + timedelta(seconds=at - self._last[1]), at)
            self._last = (wall, at)
            return wall

    def _believed(self, wall: datetime, expected: datetime, at: float) -> datetime:
        if abs(wall - expected) <= TOLERANCE:
            self._since = None
            return wall
        if self._since is None:
            self._since = at
            log.warning("the clock has jumped; it is believed if it stays", by_s=(wall - expected).total_seconds())
        if at - self._since < PATIENCE_S:
            return expected
        self._since = None
        return wall
