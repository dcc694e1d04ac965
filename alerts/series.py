"""Series: the volume channel on a plain series of counts, as `opinionwatch detect --series` reads it. Causal.

The channel's surprise is a Chernoff exponent under a negative binomial, and real series are wilder than that. So it is
measured by what the series itself has shown: the 95 % quantile of its surprises of the last four weeks. Peaks over
threshold with a generalised Pareto tail (Siffer et al. 2017) were tried and found fewer planted surges: a tail of some
dozens of peaks says little beyond them.
"""

from bisect import bisect_left, insort
from collections import deque

import numpy as np

from opinionwatch.alerts.detect_settings import VolumeSettings
from opinionwatch.alerts.volume import VolumeChannel
from opinionwatch.pipeline.ticks import TICK_S, TICKS_PER_DAY, TICKS_PER_WEEK

USUAL = 0.95
ROOM = 2.0
"""Nats that are nothing special even in a series that has never shown a surprise."""
HALF = 2.0
"""How many times the usual surprise has the score of one half."""
REMEMBERED = 4 * TICKS_PER_WEEK
MAX_STEP = 7 * TICKS_PER_DAY
"""Ticks that a row may stand for."""


class Series:
    """One series: give it a row after the other."""

    def __init__(self) -> None:
        # What is a surge for people (so many posts, so many times the usual) is not the question here.
        self._channel = VolumeChannel(1, VolumeSettings(min_ratio=1.0001, min_posts=1))
        self._row = np.zeros(1, np.int64)
        self._tick: int | None = None
        self._step = MAX_STEP
        self._past: deque[float] = deque()
        self._ordered: list[float] = []

    def step(self, moment: float, value: float) -> float:
        """The score, 0 … 1, of a row (s since 1970; a count ≥ 0) from it and those before it. Times must not go back.

        The shortest distance of two rows so far is what a row stands for: hourly counts are spread over the hour's
        ticks. Several rows in one tick are added up.
        """
        tick = int(moment // TICK_S)
        if self._tick is not None and tick > self._tick:
            self._step = min(self._step, tick - self._tick)
        first = tick if self._tick in (None, tick) else tick + 1 - self._step
        self._tick = tick
        surprise = 0.0
        for at in range(first, tick + 1):
            found, _ = self._channel.step(at, self._row, np.array([value / (tick + 1 - first)]))
            surprise = float(found[0])
        return self._measured(surprise)

    def _measured(self, surprise: float) -> float:
        usual = self._ordered[int(len(self._ordered) * USUAL)] if self._ordered else 0.0
        self._past.append(surprise)
        insort(self._ordered, surprise)
        if len(self._past) > REMEMBERED:
            del self._ordered[bisect_left(self._ordered, self._past.popleft())]
        return surprise / (surprise + HALF * (ROOM + usual))
