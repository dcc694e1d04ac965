"""Calibrated mode: which threshold keeps a tenant's own false-alarm budget, by replaying a tenant's own quiet days.

The bound `ln(2016 / f)` holds for any feed and is paid for with later alarms. Here whole days of the last fortnight are
drawn with replacement (counts as observed; days with a negative episode are left out), strung together per watchlist,
and run through the production detector: what it raises on them is false by construction. One curve of alarms per
watchlist-week over the threshold serves every budget. The draw is seeded: the same history gives the same curve.

The rate that a budget is held against is one standard error above the one counted: there are no more independent weeks
than the history has, and drifts that last longer than a day are not in it. (Without it null worlds had 1.3 to 1.5 times
the budget where that is below one alarm in ten weeks, see BENCHMARKS.md.)

Where history is short the curve says nothing, and the bound stands: fewer than `MIN_DAYS` quiet days of a watchlist, or
fewer watchlist-weeks than would hold `MIN_ALARMS` alarms of the budget.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np

from opinionwatch.alerts.detect import ShareDetector
from opinionwatch.alerts.detect_baseline import Cells
from opinionwatch.alerts.detect_grid import F64, I64
from opinionwatch.alerts.detect_settings import bound
from opinionwatch.pipeline.contracts import Record, Utc
from opinionwatch.pipeline.contracts_trend import Window
from opinionwatch.pipeline.ticks import TICKS_PER_DAY, TICKS_PER_HOUR, tick_of

HISTORY_DAYS, MIN_DAYS = 14, 7
MIN_ALARMS = 2.0
WARM_DAYS, JUDGED_DAYS = 10, 14
"""Days of a replay: what the detector learns from first, and those whose alarms are counted."""
REPLICATES, MAX_ROWS = 2, 512
FLOOR, CEILING, GRID = 5.0, 14.0, 0.05
MERGED_TICKS = 6 * TICKS_PER_HOUR
"""Alarms nearer than that are one."""
SEED = 20160


class Curve(Record):
    """False alarms per watchlist-week at each threshold from 5 to 14 nats in steps of 0.05."""

    schema_version: Literal[1] = 1
    applies_from: Utc | None = None
    """From when on it counts; None: no runtime has taken it up yet."""
    rates: tuple[float, ...]
    watchlists: int
    days: int
    """Quiet watchlist-days that were drawn from."""
    replayed_weeks: float
    """Watchlist-weeks that were replayed."""

    def threshold(self, per_week: float) -> float | None:
        """The lowest threshold down to which the rate keeps the budget; None where the history is too short for it.

        Never above the bound, which holds anyway.
        """
        if self.days / 7 * per_week < MIN_ALARMS:
            return None
        highest = bound(per_week)
        found = highest
        for place in range(len(self.rates) - 1, -1, -1):
            at = FLOOR + GRID * place
            if at <= highest:
                if self.rates[place] + self._error(place) > per_week:
                    break
                found = at
        return found

    def _error(self, place: int) -> float:
        """Standard error of a rate, of alarms that come independently, over the weeks of the history."""
        return float(np.sqrt(self.rates[place] / (self.days / 7)))

    def rate(self, threshold: float) -> float:
        """False alarms per watchlist-week in the replay at this threshold."""
        place = round((threshold - FLOOR) / GRID)
        return self.rates[min(max(place, 0), len(self.rates) - 1)]


@dataclass(frozen=True, slots=True)
class History:
    """The quiet days of one watchlist: each an array [cells, (tick of the day, source, aspect, voices, negative)]."""

    days: tuple[I64, ...]
    sources: int
    aspects: int


def history(windows: Iterable[Window], episodes: Sequence[tuple[datetime, datetime]]) -> History:
    """A watchlist's days from its windows, whole days in UTC; those that an episode touches are left out."""
    loud = {day for began, ended in episodes for day in range(_day(began), _day(ended) + 1)}
    sources: dict[str, int] = {}
    aspects: dict[str, int] = {}
    days: dict[int, list[tuple[int, ...]]] = {}
    for window in windows:
        day, tick = divmod(tick_of(window.start), TICKS_PER_DAY)
        if day not in loud and window.sure_voices:
            place = (sources.setdefault(window.source, len(sources)), aspects.setdefault(window.aspect, len(aspects)))
            days.setdefault(day, []).append((tick, *place, window.sure_voices, window.negative_voices))
    return History(tuple(np.array(days[day], np.int64) for day in sorted(days)), len(sources), len(aspects))


def calibrated(histories: Sequence[History], min_voices: int) -> Curve | None:
    """The curve of a tenant; None where no watchlist has enough quiet days."""
    known = [each for each in histories if len(each.days) >= MIN_DAYS]
    if not known:
        return None
    rows = min(REPLICATES * len(known), max(MAX_ROWS, len(known)))
    ticks, scores = _replayed(known, rows, min_voices)
    weeks = rows * JUDGED_DAYS / 7
    grid = FLOOR + GRID * np.arange(round((CEILING - FLOOR) / GRID) + 1)
    return Curve(
        rates=tuple(sum(_alarms(ticks[row], scores[row], at) for row in range(rows)) / weeks for at in grid.tolist()),
        watchlists=len(known),
        days=sum(len(each.days) for each in known),
        replayed_weeks=weeks,
    )


def _replayed(known: Sequence[History], rows: int, min_voices: int) -> tuple[list[list[int]], list[list[float]]]:
    """Ticks and scores, from `FLOOR` up, of every row: row r is a string of days of watchlist r modulo their number."""
    owners = [known[row % len(known)] for row in range(rows)]
    sources, aspects = (np.array([getattr(each, name) for each in owners]) for name in ("sources", "aspects"))
    detector = ShareDetector((rows, int(sources.max()), int(aspects.max())), min_voices)
    chance = np.random.default_rng(SEED)
    ticks: list[list[int]] = [[] for _ in range(rows)]
    scores: list[list[float]] = [[] for _ in range(rows)]
    nothing = _cells(np.zeros((0, 6), np.int64))
    for day in range(WARM_DAYS + JUDGED_DAYS):
        drawn = [each.days[chance.integers(len(each.days))] for each in owners]
        spoken = np.concatenate([np.insert(counts, 0, row, axis=1) for row, counts in enumerate(drawn)])
        spoken = spoken[np.lexsort((spoken[:, 3], spoken[:, 2], spoken[:, 0], spoken[:, 1]))]
        ends = np.searchsorted(spoken[:, 1], np.arange(TICKS_PER_DAY + 1))
        for of_day in np.flatnonzero(np.diff(ends)).tolist():
            part, tick = spoken[ends[of_day] : ends[of_day + 1]], day * TICKS_PER_DAY + of_day
            at = np.unique(part[:, 0])
            score = detector.step(tick, at, _cells(part), nothing, (sources[at], aspects[at]))
            if day >= WARM_DAYS:
                for place in np.flatnonzero(score >= FLOOR).tolist():
                    ticks[at[place]].append(tick)
                    scores[at[place]].append(float(score[place]))
    return ticks, scores


def _cells(counts: I64) -> Cells:
    n, k = (counts[:, column].astype(np.float64) for column in (4, 5))
    return Cells(counts[:, 0], counts[:, 2], counts[:, 3], n, k)


def _alarms(ticks: Sequence[int], scores: Sequence[float], threshold: float) -> int:
    over: F64 = np.array(ticks, np.float64)[np.array(scores) >= threshold]
    return 0 if not len(over) else 1 + int((np.diff(over) > MERGED_TICKS).sum())


def _day(moment: datetime) -> int:
    return tick_of(moment) // TICKS_PER_DAY
