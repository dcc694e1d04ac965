"""What is normal: the negative share of every cell, learned with a day's delay, and how far it may be off.

Counts are discounted with a half-life of 10 days. What arrives waits 24 h in hourly sums before it is learned; what
arrived in an hour under suspicion is not learned at all, so that an event does not become its own baseline, not even
one that is over when its hours are due. After 3 days of suspicion the new mood is learned as the normal one.

Where this differs from the design (detector.md §5), and why:

* Step 2: there, suspicion holds back what is due, so an event that is over within a day is learned when its hours are
  due, and the quiet day before it is lost. Here it marks the hours in which it arrives.
* Step 2: there, it ends with the score. Here it ends after 6 quiet hours: statistics that start anew (step 7, a
  resolved episode) say nothing about the mood, and one that lasts has to come to its 3 days.
* Step 4: there, every share is shrunk with 20 voices. Here with fewer where the counts are more than 2 standard
  deviations above what those allow for: a rare aspect that is always negative is that from its first day on, and was
  an alarm on its second. The benchmark's cells do not differ so much; its figures are the same with and without.
"""

from dataclasses import dataclass

import numpy as np

from opinionwatch.alerts.detect_grid import F32, F64, I64, Bool, Sizes, grown, in_order
from opinionwatch.pipeline.snapshots import Arrays
from opinionwatch.pipeline.ticks import TICKS_PER_DAY, TICKS_PER_HOUR

HOURS = 26
"""Hourly sums kept: the current hour, 24 whole ones, and the one being learned."""
PATIENCE = 3 * TICKS_PER_DAY
"""Ticks of suspicion after which the new share is learned as the normal one."""
LASTING = 6
"""Hours without suspicion that end it."""
TICKS = 24
"""Single ticks kept: the last 2 hours."""
KEEP = 2.0 ** (-TICKS_PER_HOUR / (10 * TICKS_PER_DAY))
PRIOR_SHARE, PRIOR_VOICES = 0.2, 20.0
CONFLICT = 2.0
"""Standard deviations above what a prior allows for, from which counts contradict it."""
MAX_ROLLS = 60 * 24
"""After a gap of two months the baseline is worth nothing anyway; do not count every hour of a longer one."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Sparse counts of one tick, sorted by row, source, aspect, each cell once."""

    row: I64
    source: I64
    aspect: I64
    n: F64
    """Voices the scorer is sure about."""
    k: F64
    """The negative ones."""

    def __len__(self) -> int:
        return len(self.row)


class Baseline:
    """State of the learning, and the null edges' ingredients, recomputed hourly."""

    def __init__(self, sizes: Sizes) -> None:
        w, s, a = sizes
        self.n: F64 = np.zeros((w, s, a))
        self.k: F64 = np.zeros((w, s, a))
        self.hours: F32 = np.zeros((w, HOURS, s, a, 4), np.float32)
        """Per hour of arrival: evidence n and k, then n and k of what came too late to be evidence."""
        self.ticks: F32 = np.zeros((w, TICKS, s, a, 2), np.float32)
        self.suspect: Bool = np.zeros((w, HOURS), np.bool_)
        """Hours that are not to be learned."""
        self.tick = -1
        self._derive(sizes)

    def grow(self, sizes: Sizes) -> None:
        """Make room; what is new is unknown: no counts, the prior's share."""
        if self.n.shape == sizes:
            return
        w, s, a = sizes
        self.n, self.k = grown(self.n, sizes, 0), grown(self.k, sizes, 0)
        self.hours = grown(self.hours, (w, HOURS, s, a, 4), 0)
        self.ticks = grown(self.ticks, (w, TICKS, s, a, 2), 0)
        self.suspect = grown(self.suspect, (w, HOURS), 0)
        self._derive(sizes)

    def advance(self, tick: int, suspect_since: I64) -> None:
        """Go to a tick: empty the places of the ticks passed, and at every hour learn what arrived a day before, unless
        it is suspect; `suspect_since` is the tick since when each row is under suspicion, -1: it is not.
        """
        if self.tick < 0:
            self.tick = tick
        for passed in range(max(self.tick + 1, tick - TICKS + 1), tick + 1):
            self.ticks[:, passed % TICKS] = 0
        before, hour = self.tick // TICKS_PER_HOUR, tick // TICKS_PER_HOUR
        for entered in range(max(before + 1, hour - MAX_ROLLS), hour + 1):
            suspicion = entered * TICKS_PER_HOUR - suspect_since
            self._learn((entered + 1) % HOURS, (suspect_since >= 0) & (suspicion >= PATIENCE))
        if hour > before:
            self._refresh(np.arange(len(self.n)))
        self.tick = max(self.tick, tick)

    def add(self, cells: Cells, *, late: bool) -> None:
        """Count the cells of the current tick."""
        layer = 2 if late else 0
        hour = self.tick // TICKS_PER_HOUR % HOURS
        self.hours[cells.row, hour, cells.source, cells.aspect, layer] += cells.n.astype(np.float32)
        self.hours[cells.row, hour, cells.source, cells.aspect, layer + 1] += cells.k.astype(np.float32)
        if not late:
            place = self.tick % TICKS
            self.ticks[cells.row, place, cells.source, cells.aspect, 0] += cells.n.astype(np.float32)
            self.ticks[cells.row, place, cells.source, cells.aspect, 1] += cells.k.astype(np.float32)

    def doubt(self, rows: I64) -> None:
        """What these rows say in the current hour is not to be learned."""
        self.suspect[rows, self.tick // TICKS_PER_HOUR % HOURS] = True

    def doubted(self, rows: I64) -> Bool:
        """Whether any of the last hours of these rows is suspect: statistics that start anew end no suspicion."""
        recent = (self.tick // TICKS_PER_HOUR - np.arange(LASTING)) % HOURS
        return np.asarray(self.suspect[rows[:, None], recent].any(axis=1), np.bool_)

    def forget(self, row: int) -> None:
        """Start anew: another scorer means other shares."""
        self.n[row] = self.k[row] = 0
        self.hours[row] = self.ticks[row] = 0
        self.suspect[row] = False
        self._refresh(np.array([row]))

    def accept(self, row: int) -> None:
        """Learn at once all that waits: what is now is the new normal."""
        waiting = self.hours[row].astype(np.float64).sum(axis=0)
        self.n[row] += waiting[..., 0] + waiting[..., 2]
        self.k[row] += waiting[..., 1] + waiting[..., 3]
        self.hours[row] = 0
        self.suspect[row] = False
        self._refresh(np.array([row]))

    def _derive(self, sizes: Sizes) -> None:
        w, s, a = sizes
        self.total: F64 = np.zeros(w)
        """Voices learned, per watchlist."""
        self.logit: F64 = np.zeros(sizes)
        self.var_topic: F64 = np.zeros(w)
        self.var_source: F64 = np.zeros((w, s))
        self.var_aspect: F64 = np.zeros((w, a))
        self.var_cell: F64 = np.zeros(sizes)
        self._refresh(np.arange(w))

    def _learn(self, place: int, patient: Bool) -> None:
        allowed = (patient | ~self.suspect[:, place])[:, None, None]
        due = self.hours[:, place].astype(np.float64)
        keep = np.where(allowed, KEEP, 1.0)
        self.n = self.n * keep + np.where(allowed, due[..., 0] + due[..., 2], 0.0)
        self.k = self.k * keep + np.where(allowed, due[..., 1] + due[..., 3], 0.0)
        self.hours[:, place] = 0
        self.suspect[:, place] = False

    def _refresh(self, rows: I64) -> None:
        """Shares p = (K + m q) / (N + m) around q, the additive expectation from source and aspect, and the variance of
        every class of null edge. m is 20 voices, fewer where the counts contradict q.
        """
        n, k = self.n[rows], self.k[rows]
        by_source, by_aspect = (in_order(n, 2), in_order(k, 2)), (in_order(n, 1), in_order(k, 1))
        total, negative = in_order(by_source[0], 1), in_order(by_source[1], 1)
        p_topic = _shrunk(negative, total, PRIOR_SHARE)
        p_source = _shrunk(by_source[1], by_source[0], p_topic[:, None])
        p_aspect = _shrunk(by_aspect[1], by_aspect[0], p_topic[:, None])
        q = expit(logit(p_source)[:, :, None] + logit(p_aspect)[:, None, :] - logit(p_topic)[:, None, None])
        strength = _strength(k, n, q)
        p = (k + strength * q) / (n + strength)
        known = n * q * (1 - q)
        known_source = in_order(known, 2)
        self.total[rows] = total
        self.logit[rows] = logit(p)
        self.var_topic[rows] = 1 / (in_order(known_source, 1) + 4)
        self.var_source[rows] = 1 / (known_source + 4)
        self.var_aspect[rows] = 1 / (in_order(known, 1) + 4)
        self.var_cell[rows] = 1 / ((n + strength) * p * (1 - p))

    def save(self) -> Arrays:
        """The learned and waiting counts; everything else follows from them."""
        return {
            "n": self.n,
            "k": self.k,
            "hours": self.hours,
            "ticks": self.ticks,
            "suspect": self.suspect,
            "baseline_tick": np.array([self.tick]),
        }

    def load(self, arrays: Arrays) -> None:
        """Take over what `save` gave."""
        self.n, self.k = arrays["n"], arrays["k"]
        self.hours, self.ticks = arrays["hours"], arrays["ticks"]
        self.suspect = arrays["suspect"]
        self.tick = int(arrays["baseline_tick"][0])
        w, s, a = self.n.shape
        self._derive((w, s, a))


def _shrunk(k: F64, n: F64, towards: F64 | float) -> F64:
    strength = _strength(k, n, towards)
    shrunk: F64 = (k + strength * towards) / (n + strength)
    return shrunk


def _strength(k: F64, n: F64, towards: F64 | float) -> F64:
    """Voices that a prior share is worth: fewer, the further the counts are above what it allows for (Huber's weight).

    What people complain of with words of its own ("overheats", "crashes") is negative nearly always. Held down to the
    share of the rest for as long as little of it is learned, its every ordinary hour would be evidence of a rise.
    """
    surplus = np.maximum(k - n * towards, 0.0) ** 2
    allowed = CONFLICT**2 * n * towards * (1 - towards) * (1 + np.maximum(n - 1, 0.0) / (PRIOR_VOICES + 1))
    weight = np.divide(allowed, surplus, out=np.ones_like(surplus), where=surplus > allowed)
    strength: F64 = np.maximum(PRIOR_VOICES * weight, 1.0)
    return strength


def logit(p: F64) -> F64:
    """Log-odds."""
    odds: F64 = np.log(p / (1 - p))
    return odds


def expit(z: F64) -> F64:
    """The share with these log-odds."""
    share: F64 = 1 / (1 + np.exp(-z))
    return share
