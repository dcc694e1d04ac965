"""Volume: is a watchlist louder than its level and the hour of the week explain? Context, never a negative alarm.

Posts of a tick are taken as negative binomial with mean level × hour-of-week factor and size r. Both are learned hourly
with discounting: the level over about 3 days from counts clipped at 3 standard deviations (so that a surge is not its
own normal), the factor of each hour of the week over about 4 weeks, drawn towards the factor of the hour of the day and
that towards 1 (gamma–Poisson shrinkage). The test is the Chernoff exponent of the upper tail over the last 5, 15 and 60
minutes. Only posts that are less than an hour late count, so a backfill is no surge.
"""

import numpy as np

from opinionwatch.alerts.detect_grid import F64, I64, grown, in_order
from opinionwatch.alerts.detect_settings import VolumeSettings
from opinionwatch.pipeline.snapshots import Arrays
from opinionwatch.pipeline.ticks import TICKS_PER_HOUR

WEEK = 168
SPANS = (1, 3, 12)
"""Ticks over which posts are summed for the test."""
KEEP_LEVEL = 2.0 ** (-1 / 72)
KEEP_WEEK = 2.0 ** (-1 / (4 * WEEK))
TO_DAY, TO_FLAT = 8.0, 20.0
"""How many expected posts the shrinkage weighs: of the hour of week towards the hour of day, of that towards 1."""
MAX_ROLLS = 60 * 24


class VolumeChannel:
    """State per watchlist: level, hour-of-week counts and exposure, dispersion, the last 12 ticks."""

    def __init__(self, rows: int, settings: VolumeSettings) -> None:
        self._settings = settings
        self._recent: F64 = np.zeros((rows, TICKS_PER_HOUR))
        self._posts: F64 = np.zeros(rows)
        self._exposure: F64 = np.zeros(rows)
        self._week_posts: F64 = np.zeros((rows, WEEK))
        self._week_expected: F64 = np.zeros((rows, WEEK))
        self._excess: F64 = np.zeros((rows, 2))
        self._hours: I64 = np.zeros(rows, np.int64)
        self._tick = -1

    def grow(self, rows: int) -> None:
        """Make room for more watchlists."""
        for name in ("_recent", "_posts", "_exposure", "_week_posts", "_week_expected", "_excess", "_hours"):
            array = getattr(self, name)
            setattr(self, name, grown(array, (rows, *array.shape[1:]), 0))

    def step(self, tick: int, rows: I64, posts: F64) -> tuple[F64, F64]:
        """Fold one tick: timely posts of these rows. Returns (nats of surprise, posts over expected of the hour)."""
        self._advance(tick)
        self._hours[rows] = np.maximum(self._hours[rows], 1)
        self._recent[rows, tick % TICKS_PER_HOUR] += posts
        size = self._size(rows)
        surprise = np.zeros(len(rows))
        for span in SPANS:
            places = (tick - np.arange(span)) % TICKS_PER_HOUR
            seen, expected = in_order(self._recent[rows][:, places], 1), self._expected(tick, rows, span)
            ratio_ok = (seen >= self._settings.min_ratio * expected) & (seen >= self._settings.min_posts)
            surprise = np.where(ratio_ok, np.maximum(surprise, _tail(seen, expected, size)), surprise)
        ready = self._hours[rows] > self._settings.learn_h
        hour, expected = in_order(self._recent[rows], 1), self._expected(tick, rows, TICKS_PER_HOUR)
        ratio = np.where(ready, hour / np.maximum(expected, 0.5), 1.0)
        return np.where(ready, surprise, 0.0), ratio

    def _advance(self, tick: int) -> None:
        if self._tick < 0:
            self._tick = tick
        before, hour = self._tick // TICKS_PER_HOUR, tick // TICKS_PER_HOUR
        for entered in range(max(before + 1, hour - MAX_ROLLS), hour + 1):
            # The places that this hour's ticks will use still hold the hour that has just ended.
            self._clear(self._tick + 1, entered * TICKS_PER_HOUR)
            self._learn((entered - 1) % WEEK)
            self._tick = entered * TICKS_PER_HOUR - 1
        self._clear(self._tick + 1, tick + 1)
        self._tick = max(self._tick, tick)

    def _clear(self, start: int, end: int) -> None:
        for passed in range(max(start, end - TICKS_PER_HOUR), end):
            self._recent[:, passed % TICKS_PER_HOUR] = 0

    def _learn(self, hour_of_week: int) -> None:
        """Learn the hour that ended: its counts are the whole of `recent`."""
        rows = np.arange(len(self._posts))
        known = self._hours > 0
        seen = in_order(self._recent, 1)
        factor = self._factor(rows, hour_of_week)
        level = (self._posts + 1) / (self._exposure + 1)
        mean = level * factor
        spread = np.sqrt(mean + mean**2 / self._size(rows))
        young = self._hours <= self._settings.learn_h
        clipped = np.where(young, seen, np.clip(seen, mean - 3 * spread, mean + 3 * spread))
        self._posts = np.where(known, self._posts * KEEP_LEVEL + clipped, 0.0)
        self._exposure = np.where(known, self._exposure * KEEP_LEVEL + factor, 0.0)
        self._week_posts = np.where(known[:, None], self._week_posts * KEEP_WEEK, 0.0)
        self._week_expected = np.where(known[:, None], self._week_expected * KEEP_WEEK, 0.0)
        self._week_posts[:, hour_of_week] += np.where(known, clipped, 0.0)
        self._week_expected[:, hour_of_week] += np.where(known, level, 0.0)
        moments = np.stack([(clipped - mean) ** 2 - mean, mean**2], axis=1)
        self._excess = self._excess * KEEP_LEVEL + np.where((known & ~young)[:, None], moments, 0.0)
        self._hours = self._hours + known

    def _expected(self, tick: int, rows: I64, span: int) -> F64:
        """Posts expected in the last `span` ticks, which may reach into the hour before."""
        hour = tick // TICKS_PER_HOUR
        within = min(span, tick % TICKS_PER_HOUR + 1)
        level = (self._posts[rows] + 1) / (self._exposure[rows] + 1) / TICKS_PER_HOUR
        factor = within * self._factor(rows, hour % WEEK)
        if span > within:
            factor = factor + (span - within) * self._factor(rows, (hour - 1) % WEEK)
        return level * factor

    def _factor(self, rows: I64, hour_of_week: int) -> F64:
        same_hour = np.arange(hour_of_week % 24, WEEK, 24)
        posts, expected = self._week_posts[rows], self._week_expected[rows]
        day = (in_order(posts[:, same_hour], 1) + TO_FLAT) / (in_order(expected[:, same_hour], 1) + TO_FLAT)
        factor: F64 = (posts[:, hour_of_week] + TO_DAY * day) / (expected[:, hour_of_week] + TO_DAY)
        return factor

    def _size(self, rows: I64) -> F64:
        """Size r by moments, drawn towards 5 and kept within 1 (wild) … 50 (nearly Poisson)."""
        excess = self._excess[rows]
        size: F64 = np.clip((excess[:, 1] + 50.0) / np.maximum(excess[:, 0] + 10.0, 1e-9), 1.0, 50.0)
        return size

    def save(self) -> Arrays:
        """All of the state."""
        return {
            "volume_recent": self._recent,
            "volume_level": np.stack([self._posts, self._exposure], axis=1),
            "volume_week": np.stack([self._week_posts, self._week_expected]),
            "volume_excess": self._excess,
            "volume_hours": self._hours,
            "volume_tick": np.array([self._tick]),
        }

    def load(self, arrays: Arrays) -> None:
        """Take over what `save` gave."""
        self._recent, self._excess, self._hours = (
            arrays["volume_recent"],
            arrays["volume_excess"],
            arrays["volume_hours"],
        )
        self._posts, self._exposure = arrays["volume_level"].T.copy()
        self._week_posts, self._week_expected = arrays["volume_week"].copy()
        self._tick = int(arrays["volume_tick"][0])


def _tail(seen: F64, mean: F64, size: F64) -> F64:
    """Chernoff exponent of NB(mean, size) at `seen`, in nats; 0 below the mean."""
    ahead = np.maximum(seen, mean)
    nats: F64 = ahead * np.log(np.maximum(ahead, 1e-12) / np.maximum(mean, 1e-12)) - (ahead + size) * np.log(
        (ahead + size) / (mean + size)
    )
    return nats
