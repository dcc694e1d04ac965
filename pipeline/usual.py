"""What is usual for a source at this hour of the week, from the ledger's counts; and whether its silence is unusual.

The usual is the mean of the same hour of the last four weeks, drawn by the weight of one of them towards the mean of
the same hour of the day, and that towards the mean of all hours. Silence is judged by its chance: no document where
`expected` were to come, for a negative binomial of size 5 (bursts are ordinary), is `(1 + expected / 5) ** -5`.
"""

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

WEEKS = 4
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
WEEK = timedelta(weeks=1)
ENOUGH_HOURS = 24
"""With fewer hours of history nobody knows what is usual."""
SIZE = 5.0
UNUSUAL = 1e-4
SILENT_AFTER = timedelta(hours=1)
"""Less is never called silent; more always is where nobody knows what is usual."""


def hour_of(text: str) -> datetime:
    """The start of an hour as the ledger names it.

    >>> hour_of("2026-03-08T14Z")
    datetime.datetime(2026, 3, 8, 14, 0, tzinfo=datetime.timezone.utc)
    """
    return datetime.strptime(text, "%Y-%m-%dT%HZ").replace(tzinfo=UTC)


class Usual:
    """One source's documents an hour."""

    def __init__(self, counts: Mapping[datetime, int], now: datetime) -> None:
        """`counts` by start of the hour; hours without documents are left out. The present hour is not whole yet."""
        self._now = now
        self._hour = now.replace(minute=0, second=0, microsecond=0)
        self._counts = counts
        past = [at for at in counts if at < self._hour]
        self._first = max(min(past, default=self._hour), self._hour - WEEKS * WEEK)

    @property
    def hours(self) -> int:
        """Whole hours of history, at most four weeks."""
        return round((self._hour - self._first) / HOUR)

    def last_hour(self) -> int:
        """Documents of the last whole hour."""
        return self._counts.get(self._hour - HOUR, 0)

    def usual_last_hour(self) -> float | None:
        """Documents that the last whole hour usually brings."""
        return self.per_hour(self._hour - HOUR)

    def per_hour(self, at: datetime) -> float | None:
        """Documents to expect in the hour that begins at `at`; None where nobody knows."""
        if self.hours < ENOUGH_HOURS:
            return None
        found = sum(self._counts.get(hour, 0) for hour in self._before(self._hour, HOUR)) / self.hours
        for step in (DAY, WEEK):
            same = self._before(at, step)
            found = (sum(self._counts.get(hour, 0) for hour in same) + found) / (len(same) + 1)
        return found

    def _before(self, at: datetime, step: timedelta) -> list[datetime]:
        """Whole hours of the history, `step` by `step` back from `at`."""
        backwards = (at - number * step for number in range(1, WEEKS * WEEK // step + 1))
        return [hour for hour in backwards if self._first <= hour < self._hour]

    def is_silent(self, last: datetime | None) -> bool:
        """Whether it is unusual that nothing has come since `last`."""
        if last is None:
            return True
        since = self._now - last
        if since <= SILENT_AFTER:
            return False
        if self.hours < ENOUGH_HOURS:
            return True
        expected, hour = 0.0, last.replace(minute=0, second=0, microsecond=0)
        while hour < self._now and expected < 1e6:
            part = (min(self._now, hour + HOUR) - max(last, hour)) / HOUR
            expected += part * (self.per_hour(hour) or 0.0)
            hour += HOUR
            if hour > last + WEEK:
                return True
        return -SIZE * math.log1p(expected / SIZE) < math.log(UNUSUAL)


def usual_by_source(rows: Iterable[tuple[str, str, int]], now: datetime) -> dict[str, Usual]:
    """Source → its usual, from (source, hour, accepted)."""
    counts: dict[str, dict[datetime, int]] = {}
    for source, hour, accepted in rows:
        counts.setdefault(source, {})[hour_of(hour)] = accepted
    return {source: Usual(by_hour, now) for source, by_hour in counts.items()}
