"""Replay by event time: the simulated clock of a recorded stream, and the pace at which it runs."""

import time
from datetime import UTC, datetime, timedelta
from threading import Event

from pydantic import BaseModel, ConfigDict, Field

from opinionwatch.connectors.found import loads
from opinionwatch.connectors.reading import LINE_BYTES
from opinionwatch.pipeline.moments import moment

_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
_AHEAD = timedelta(minutes=5)


class Replay(BaseModel):
    """How fast a recording runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    speed: float = Field(
        default=0, ge=0, allow_inf_nan=False, description="1: as it was, 60: an hour a minute, 0: as fast as possible."
    )


def event_time(body: bytes, path: str, latest: datetime) -> datetime | None:
    """The event time in a JSON record, or None where it has none that a clock could follow.

    Times before 1990 and after `latest` are left to the accept stage: one absurd record must not move the clock.
    """
    if len(body) > LINE_BYTES:
        return None
    try:
        found = loads(body)
        when = moment(_dig(found, path))
    except ValueError:
        return None
    return when if when and _EARLIEST <= when <= latest else None


def _dig(found: object, path: str) -> object:
    if isinstance(found, dict) and path in found:
        return found[path]
    for key in path.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    return found


class ReplayClock:
    """The running maximum of the event times. It is part of the cursor, so results do not depend on where pages end."""

    def __init__(self, replay: Replay, path: str, now: datetime | None) -> None:
        self.now = now
        self._path = path
        self._speed = replay.speed
        self._latest = datetime.now(UTC) + _AHEAD
        self._origin: tuple[datetime, float] | None = None

    def see(self, body: bytes) -> None:
        """Take a record's time into account."""
        when = event_time(body, self._path, self._latest)
        if when and (self.now is None or when > self.now):
            self.now = when

    def due_in_s(self) -> float:
        """Seconds until the present record is due at this speed."""
        if not self._speed or self.now is None:
            return 0.0
        if self._origin is None:
            self._origin = (self.now, time.monotonic())
        start, began = self._origin
        return (self.now - start).total_seconds() / self._speed - (time.monotonic() - began)

    def wait(self, closing: Event) -> bool:
        """Wait until the present record is due. False: told to stop."""
        while (left := self.due_in_s()) > 0:
            if closing.wait(min(left, 3600)):
                return False
        return not closing.is_set()
