"""Detect: has the negative SHARE of a watchlist risen? A stratified share e-detector, one array program for all.

A mixture Shiryaev–Roberts procedure over scopes (the watchlist, each source, each aspect, each cell) and odds ratios
theta. M, the weighted sum over scopes, starts and thetas of likelihood-ratio factors whose conditional mean is at most
1 while the share stays under its null edge, has E[M] <= ticks, so `ln M >= h` has an average run length of at least
e^h ticks (Shin, Ramdas, Rinaldo 2024, "E-detectors"). The edge is estimated and drifts, and overdispersion is tempered
by a heuristic: the bound is a design, the measured false alarms stand beside it. Algorithm and what each part buys:
detector.md §5, second version; the step numbers below are its. What differs from it: `WEIGHTS`, and what is learned
(`detect_baseline`).

Decisions are taken per tick of `accepted_at`. A tick without mentions of a watchlist costs it nothing: what time does
to its state is applied when it is next touched.
"""

import math

import numpy as np

from opinionwatch.alerts.detect_baseline import Baseline, Cells, expit
from opinionwatch.alerts.detect_grid import F64, I64, Bool, Sizes, grown, in_order, scatter
from opinionwatch.pipeline.snapshots import Arrays
from opinionwatch.pipeline.ticks import TICKS_PER_DAY

THETA: F64 = np.array([1.3, 1.6, 2.2, 3.5, 6.0, 15.0])
J = len(THETA)
WEIGHTS = (0.4, 0.05, 0.3, 0.25)
"""Prior weight of the scopes: watchlist, sources together, aspects together, cells together. The design has .35, .15,
.25, .25. Here sources have little: one that brings most voices is nearly the watchlist, but with an edge that nothing
outside it can correct for drift.
"""
GAMMA = 2.0 ** (-1 / TICKS_PER_DAY)
DRIFT = math.exp(-1 / 144)
DRIFT_VAR = 0.12**2
OVERDISPERSION = 0.03
TOPIC_MARGIN, SCOPE_MARGIN = 0.25**2, 0.1**2
CELL_CLIP, SCOPE_CLIP, RATIO_CLIP = 1.5, 6.0, 18.0
AWAKE = math.exp(4)
"""Ratio above which a scope counts as raised, so that its return to normal is watched."""
RETURNED = 5.0
SUSPECT = 8.0


class ShareDetector:
    """All watchlists' detectors. Arrays are [row, 1 + source, 1 + aspect, theta]; index 0 stands for "all of them":
    [w, 0, 0] is the watchlist's scope, [w, s, 0] a source's, [w, 0, a] an aspect's, [w, s, a] a cell's.
    """

    def __init__(self, sizes: Sizes, min_voices: int) -> None:
        w, s, a = sizes
        self.baseline = Baseline(sizes)
        self._min_voices = min_voices
        self._ratio: F64 = np.ones((w, s + 1, a + 1, J))
        self._return: F64 = np.zeros((w, s + 1, a + 1, J))
        self._drift: F64 = np.zeros((w, s + a))
        self._drift_var: F64 = np.zeros((w, s + a))
        self._split = s
        self._touched: I64 = np.full(w, -1)
        self._suspect_since: I64 = np.full(w, -1)

    def grow(self, sizes: Sizes) -> None:
        """Make room for more watchlists, sources or aspects."""
        w, s, a = sizes
        if self.baseline.n.shape == sizes:
            return
        self.baseline.grow(sizes)
        self._ratio = grown(self._ratio, (w, s + 1, a + 1, J), 1)
        self._return = grown(self._return, (w, s + 1, a + 1, J), 0)
        self._drift, self._drift_var = (self._wider(array, sizes) for array in (self._drift, self._drift_var))
        self._split = s
        self._touched, self._suspect_since = grown(self._touched, (w,), -1), grown(self._suspect_since, (w,), -1)

    def step(self, tick: int, rows: I64, cells: Cells, late: Cells, counts: tuple[I64, I64]) -> F64:
        """Fold one tick. `rows` (sorted) are the watchlists to judge, `cells` the evidence, all in `rows`; `late` only
        teaches; `counts` are the numbers of sources and aspects of the rows. Returns ln M of the rows.
        """
        self.baseline.advance(tick, self._suspect_since)
        place = np.searchsorted(rows, cells.row)
        ratio, back = self._elapse(tick, rows)
        judged = self.judged(rows)
        edges = self._edges(cells)
        gain = self._evidence(cells, place, edges, ratio.shape)
        gain = np.where(judged[:, None, None, None], np.minimum(gain, SCOPE_CLIP), 0.0)
        weights = _weights(counts, ratio.shape)
        awake = ratio > AWAKE
        back = np.where(awake, np.maximum(back - gain, 0.0), 0.0)
        with np.errstate(divide="ignore"):
            ratio = np.minimum(ratio * np.exp(gain), math.exp(RATIO_CLIP) / weights[..., None])
        # A scope that nobody has spoken in yet starts when it is first heard of, whatever room was made for it before.
        over = self._returned(back, ratio) | (weights == 0)[..., None]
        self._ratio[rows], self._return[rows] = np.where(over, 1.0, ratio), np.where(over, 0.0, back)
        self._track(cells, place, rows, judged)
        unheard = self._unheard(counts)
        self._drift[rows] = np.where(unheard, 0.0, self._drift[rows])
        self._drift_var[rows] = np.where(unheard, 0.0, self._drift_var[rows])
        self.baseline.add(cells, late=False)
        self.baseline.add(late, late=True)
        score = self._score(rows, weights)
        self.baseline.doubt(rows[score > SUSPECT])
        since = self._suspect_since[rows]
        self._suspect_since[rows] = np.where(self.baseline.doubted(rows), np.where(since < 0, tick, since), -1)
        return score

    def judged(self, rows: I64) -> Bool:
        """Whether enough has been learned of these watchlists to judge them."""
        known: Bool = self.baseline.total[rows] >= self._min_voices
        return known

    def posterior(self, row: int, counts: tuple[I64, I64]) -> F64:
        """Which scope and which odds ratio explain the score: [1 + source, 1 + aspect, theta], sums to 1."""
        weights = _weights(counts, (1, *self._ratio.shape[1:]))[0]
        mass: F64 = weights[..., None] * self._ratio[row] / J
        return mass / in_order(mass.reshape(-1), 0)

    def reset(self, row: int) -> None:
        """Forget all evidence, not what is normal."""
        self._ratio[row], self._return[row], self._suspect_since[row] = 1, 0, -1
        self._drift[row] = self._drift_var[row] = 0

    def _elapse(self, tick: int, rows: I64) -> tuple[F64, F64]:
        """Steps 1 and 3: what the passing of time does to the statistics and to the drift trackers."""
        last = np.where(self._touched[rows] < 0, tick, self._touched[rows])
        passed = (tick - last).astype(np.float64)
        self._touched[rows] = tick
        keep, fade = GAMMA**passed, DRIFT**passed
        ratio = self._ratio[rows] * keep[:, None, None, None] + ((1 - keep) / (1 - GAMMA))[:, None, None, None]
        self._drift[rows] *= fade[:, None]
        self._drift_var[rows] = self._drift_var[rows] * fade[:, None] ** 2 + DRIFT_VAR * (1 - fade[:, None] ** 2)
        return ratio, self._return[rows]

    def _edges(self, cells: Cells) -> F64:
        """Step 5: the null edge, as a logit, of every cell for each class of scope: [4, cells]."""
        at, base = (cells.row, cells.source, cells.aspect), self.baseline
        source, aspect = (cells.row, cells.source), (cells.row, self._split + cells.aspect)
        p = base.logit[at]
        around_source = SCOPE_MARGIN + self._drift_var[source]
        around_aspect = SCOPE_MARGIN + self._drift_var[aspect]
        return np.stack(
            [
                p + np.sqrt(base.var_topic[cells.row] + TOPIC_MARGIN),
                p + self._drift[source] + np.sqrt(base.var_source[source] + around_source),
                p + self._drift[aspect] + np.sqrt(base.var_aspect[cells.row, cells.aspect] + around_aspect),
                p + self._drift[aspect] + np.sqrt(base.var_cell[at] + around_aspect),
            ]
        )

    @staticmethod
    def _evidence(cells: Cells, place: I64, edges: F64, shape: tuple[int, ...]) -> F64:
        """Step 6: tempered, clipped log-likelihood ratios, summed into the scopes."""
        temper = 1 + OVERDISPERSION * (cells.n - 1)
        odds = np.log1p(expit(edges)[..., None] * (THETA - 1))
        nats = (cells.k[:, None] * np.log(THETA) - cells.n[:, None] * odds) / temper[:, None]
        s, a, zero = cells.source + 1, cells.aspect + 1, np.zeros_like(cells.source)
        scopes = np.stack([place_of(shape, place, *scope) for scope in ((zero, zero), (s, zero), (zero, a), (s, a))])
        places = scopes[..., None] * J + np.arange(J)
        gain = scatter(math.prod(shape), places.ravel(), np.minimum(nats, CELL_CLIP).ravel())
        return gain.reshape(shape)

    @staticmethod
    def _returned(back: F64, ratio: F64) -> Bool:
        """Step 7: scopes that were raised and have come back, so that the next rise starts from nothing."""
        return np.asarray(((back >= RETURNED) & (ratio > AWAKE)).any(axis=-1, keepdims=True), np.bool_)

    def _track(self, cells: Cells, place: I64, rows: I64, judged: Bool) -> None:
        """Step 8: each source's and aspect's drift, tracked from the cells outside it."""
        at = (cells.row, cells.source, cells.aspect)
        p = expit(self.baseline.logit[at])
        temper = 1 + OVERDISPERSION * (cells.n - 1)
        spread = cells.n * p * (1 - p)
        info = spread / temper
        surplus = np.minimum(cells.k - cells.n * p, 3 * np.sqrt(spread) + 1) / temper
        width = self._drift.shape[1]
        inside = np.concatenate([place * width + cells.source, place * width + self._split + cells.aspect])
        outside = []
        for values in (info, surplus):
            total = scatter(len(rows), place, values)
            own = scatter(len(rows) * width, inside, np.concatenate([values, values])).reshape(-1, width)
            outside.append(total[:, None] - own)
        known, score = outside
        seen = judged[:, None] & (known > 1e-9)
        var = self._drift_var[rows]
        step = np.where(seen, var * known / (1 + var * known), 0.0)
        drift = self._drift[rows]
        target = np.divide(score, known, out=np.zeros_like(score), where=seen)
        self._drift[rows] = drift + step * (target - drift)
        self._drift_var[rows] = var * (1 - step)

    def _unheard(self, counts: tuple[I64, I64]) -> Bool:
        """Places of the trackers that no source or aspect of the row has yet."""
        sources, aspects = (count[:, None] for count in counts)
        place = np.arange(self._drift.shape[1])
        unheard: Bool = np.where(place < self._split, place >= sources, place - self._split >= aspects)
        return unheard

    def _score(self, rows: I64, weights: F64) -> F64:
        """Step 9: ln M."""
        mean = in_order(self._ratio[rows], 3) / J
        score: F64 = np.log(in_order((weights * mean).reshape(len(rows), math.prod(weights.shape[1:])), 1))
        return score

    def _wider(self, array: F64, sizes: Sizes) -> F64:
        w, s, a = sizes
        parts = (grown(array[:, : self._split], (w, s), 0), grown(array[:, self._split :], (w, a), 0))
        return np.concatenate(parts, axis=1)

    def save(self) -> Arrays:
        """All of the state."""
        return {
            **self.baseline.save(),
            "ratio": self._ratio,
            "return": self._return,
            "drift": self._drift,
            "drift_var": self._drift_var,
            "touched": self._touched,
            "suspect_since": self._suspect_since,
        }

    def load(self, arrays: Arrays) -> None:
        """Take over what `save` gave."""
        self.baseline.load(arrays)
        self._split = self.baseline.n.shape[1]
        self._ratio, self._return = arrays["ratio"], arrays["return"]
        self._drift, self._drift_var = arrays["drift"], arrays["drift_var"]
        self._touched, self._suspect_since = arrays["touched"], arrays["suspect_since"]


def place_of(shape: tuple[int, ...], row: I64, source: I64, aspect: I64) -> I64:
    """Flat index of a scope in an array of that [row, source, aspect, theta] shape."""
    return (row * shape[1] + source) * shape[2] + aspect


def _weights(counts: tuple[I64, I64], shape: tuple[int, ...]) -> F64:
    """Prior weight of every scope; 0 where there is none."""
    sources, aspects = (np.maximum(count, 1)[:, None] for count in counts)
    s = np.arange(shape[1] - 1) < counts[0][:, None]
    a = np.arange(shape[2] - 1) < counts[1][:, None]
    topic, of_sources, of_aspects, of_cells = WEIGHTS
    weights: F64 = np.zeros((len(s), shape[1], shape[2]))
    weights[:, 0, 0] = topic
    weights[:, 1:, 0] = np.where(s, of_sources / sources, 0.0)
    weights[:, 0, 1:] = np.where(a, of_aspects / aspects, 0.0)
    weights[:, 1:, 1:] = np.where(s[:, :, None] & a[:, None, :], (of_cells / (sources * aspects))[..., None], 0.0)
    return weights
