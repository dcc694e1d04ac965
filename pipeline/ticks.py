"""Ticks: the 5-minute steps in which the trend hop decides. They follow `accepted_at`, so they are facts of the log."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

TICK = timedelta(minutes=5)
TICK_S = 300
TICKS_PER_HOUR = 12
TICKS_PER_DAY = 288
TICKS_PER_WEEK = 2016


@dataclass(frozen=True, slots=True)
class Progress:
    """Every mention accepted before `up_to` has been delivered: ticks that end by then may be closed."""

    up_to: datetime


@dataclass(frozen=True, slots=True)
class Away:
    """Nobody of ours listened in between: that nothing came says nothing about the sources. Comes before the `Progress`
    that passes it.
    """

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Watched:
    """Whom the settings name now. Comes before the `Progress` of every batch of a running pipeline, and of none whose
    outputs are known already: who was named before and is no more is forgotten, and what that ends has to be written.
    """

    sources: frozenset[str] = frozenset()
    watchlists: frozenset[str] = frozenset()


def tick_of(moment: datetime) -> int:
    """Number of the tick (or 5-minute bucket) that holds this moment, counted from 1970.

    >>> tick_of(datetime(1970, 1, 1, 0, 9, 59, tzinfo=UTC))
    1
    """
    return int(moment.timestamp()) // TICK_S


def start_of(tick: int) -> datetime:
    """When this tick begins.

    >>> start_of(12).isoformat()
    '1970-01-01T01:00:00+00:00'
    """
    return datetime.fromtimestamp(tick * TICK_S, UTC)
