"""Where a stream of Jetstream stands: its cursor, and what a host no longer had.

A host numbers events by its own clock (`time_us`), keeps about a day of them and clamps an older cursor without a word
(https://github.com/bluesky-social/jetstream, README, read 2026-11-26). So the cursor names host and version, a new
connection begins a little before it, and a first event that is later than the last one had is a gap.
"""

from datetime import UTC, datetime
from time import time

from pydantic import Field

from opinionwatch.connectors.cursor import Cursor
from opinionwatch.connectors.found import Found
from opinionwatch.connectors.gathering import Draft
from opinionwatch.pipeline.ports import Missed

REWIND_US = 5_000_000
OTHER_HOST_US = 60_000_000
"""How far to go back on reconnecting, and on another host, whose clock is another."""
AHEAD_US = 3_600_000_000
"""An event that is later than that from now on has a wrong time."""


class Place(Cursor):
    """Where a stream stood."""

    whose = "Bluesky"
    host: str
    version: int = Field(default=1, ge=1, le=1)
    time_us: int = Field(ge=0)
    until_us: int | None = Field(default=None)
    """Where a backfill ends."""


class Here:
    """Where a stream stands."""

    def __init__(self, host: str, before: Place | None) -> None:
        self.before = before
        """Where the connection before had come to, until the first event."""
        self._host = host
        self._until_us = before.until_us if before else None
        here = before is not None and before.host == host
        then = before.time_us if before else 0
        self.begin_us = max(1, then - (REWIND_US if here else OTHER_HOST_US))
        """What is asked for."""
        self._time_us = then if here else self.begin_us

    def reach(self, event: Found, draft: Draft) -> int:
        """The event's time. The first event after a break tells what the host no longer had."""
        at = int(event.number("time_us") or self._time_us)
        if at > time() * 1_000_000 + AHEAD_US:  # it would hide everything until then, and may be no date at all
            at = self._time_us
        if self.before and at > self.before.time_us:
            draft.missed.append(
                Missed(_moment(self.before.time_us), _moment(at), "the host keeps about a day of posts")
            )
        self.before, self._time_us = None, max(self._time_us, at)
        return at

    def stored(self) -> str:
        """The cursor."""
        return Place(host=self._host, time_us=self._time_us, until_us=self._until_us).model_dump_json()

    def over(self) -> bool:
        """Whether a backfill has come to its end."""
        return self._until_us is not None and self._time_us >= self._until_us


def _moment(time_us: int) -> datetime:
    return datetime.fromtimestamp(time_us / 1_000_000, UTC)
