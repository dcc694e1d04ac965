"""How far time has come: what a runtime may promise the trend hop. One rule for all runtimes, and no clock in it."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from opinionwatch.pipeline.ports import Item
from opinionwatch.pipeline.ticks import TICK, Away

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
PAUSE = timedelta(hours=1)
"""Without any progress for so long we were stopped or stuck: a running pipeline marks every tick."""


def arrived(reached: Mapping[str, datetime], name: str, items: Iterable[Item]) -> dict[str, datetime]:
    """How far each replay will have come once source `name` has brought these items as well."""
    found = dict(reached)
    for item in items:
        if item.arrived_at is not None:
            found[name] = max(found.get(name, item.arrived_at), item.arrived_at)
    return found


def advance(
    floor: datetime,
    now: datetime,
    *,
    reached: Mapping[str, datetime],
    replaying: Collection[str],
    live: bool,
    last_accepted: datetime | None = None,
) -> datetime:
    """The new mark of progress: the slowest replay's last arrival, or `now` when nothing is replayed.

    `floor` is the mark before, below which nothing goes; `reached` how far each replay has come, `replaying` those that
    are not at their end, `live` whether there are sources for which the wall clock counts.
    """
    if replaying:
        return max(floor, min(reached.get(name, floor) for name in replaying))
    if live:
        return max(floor, now)
    if not reached:  # an earlier life has read everything, but perhaps not closed its last tick
        return max(floor, (last_accepted or BEGINNING) + TICK)
    # All replays have ended: their last tick may be closed.
    return max(floor, *(last + TICK for last in reached.values()))


def paused(floor: datetime, up_to: datetime, *, replaying: Collection[str], live: bool) -> list[Away]:
    """Our own absence before the new mark, if there was one. A replay's time may jump without any."""
    ours = live and not replaying and floor > BEGINNING and up_to - floor >= PAUSE
    return [Away(floor, up_to)] if ours else []


def not_before(floor: datetime, item: Item) -> Item:
    """A replay that starts behind what is decided arrives now: what is decided stays as the log tells it."""
    return item if item.arrived_at is None or item.arrived_at >= floor else replace(item, arrived_at=floor)
