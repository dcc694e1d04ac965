"""Explain: turn the detector's arrays into a finding a reader can check: since when, how strong, where, in which words.

All counts are timely, sure voices that arrived since the most likely onset (at most a day back). *Expected* is what the
baseline of each cell gives for exactly these voices, so a shift between sources or aspects explains itself away.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from opinionwatch.alerts.detect import OVERDISPERSION, THETA, ShareDetector
from opinionwatch.alerts.detect_baseline import HOURS, TICKS, expit
from opinionwatch.alerts.detect_grid import F64, Grid
from opinionwatch.pipeline.aspects import GENERAL
from opinionwatch.pipeline.contracts_trend import Contribution, Interval
from opinionwatch.pipeline.ticks import TICKS_PER_HOUR, TICKS_PER_WEEK

Z95 = 1.959964
LEADING = 8
"""Scopes that are looked at for the lead."""
NAMED_WEIGHT = 0.2
"""Posterior weight from which an aspect with a name is named before "general"."""
MAX_WEEKS = 520.0
"""Ten years: beyond that "how sure" is a statement about the model, not about the world."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What the detector sees in one watchlist at one tick."""

    onset: int
    """First tick of the change."""
    theta: float
    """Leading odds ratio."""
    impact: float
    """Posterior mean of the odds ratio × excess negative voices."""
    voices: int
    negative: int
    expected: float
    share_before: Interval
    share_now: Interval
    aspects: tuple[Contribution, ...]
    sources: tuple[Contribution, ...]
    weights: dict[tuple[str, str], float]
    """How much each (source, aspect) cell carries the finding."""


def find(detector: ShareDetector, grid: Grid, row: int, tick: int, *, ticks: int | None = None) -> Finding:
    """The finding of a watchlist as of this tick, which has been folded: since the most likely onset, or over the last
    `ticks` (at most 24), where it is not the share that has changed.
    """
    sources, aspects = list(grid.sources[row]), list(grid.aspects[row])
    posterior = detector.posterior(row, grid.counts(np.array([row])))[: len(sources) + 1, : len(aspects) + 1]
    base = detector.baseline
    p = expit(base.logit[row, : len(sources), : len(aspects)])
    onset, theta, counts = _lead(detector, row, tick, p, posterior.sum(axis=-1))
    if ticks is not None:
        onset, counts = tick - ticks + 1, _recent(detector, row, tick)[:ticks].sum(axis=0)
    n, k = counts[: len(sources), : len(aspects), 0], counts[: len(sources), : len(aspects), 1]
    expected = n * p
    voices, negative = float(n.sum()), float(k.sum())
    usual = float(expected.sum()) / voices if voices else float(base.k[row].sum() + 4) / float(base.n[row].sum() + 20)
    theta_mean = float((posterior.sum(axis=(0, 1)) * THETA).sum())
    of_aspects = posterior[0, 1:].sum(axis=-1) + posterior[1:, 1:].sum(axis=(0, 2))
    of_sources = posterior[1:, 0].sum(axis=-1) + posterior[1:, 1:].sum(axis=(1, 2))
    cells = posterior[1:, 1:].sum(axis=-1) + posterior[0, 1:].sum(axis=-1) + posterior[1:, 0].sum(axis=-1)[:, None]
    return Finding(
        onset=onset,
        theta=theta,
        impact=theta_mean * max(negative - float(expected.sum()), 0.0),
        voices=round(voices),
        negative=round(negative),
        expected=float(expected.sum()),
        share_before=wilson(usual * base.total[row], float(base.total[row])),
        share_now=wilson(negative, voices),
        aspects=_contributions(aspects, of_aspects, n, k, expected, 0, base.var_aspect[row]),
        sources=_contributions(sources, of_sources, n, k, expected, 1, base.var_source[row]),
        weights={
            (source, aspect): float(cells[at, of]) + 0.01
            for at, source in enumerate(sources)
            for of, aspect in enumerate(aspects)
        },
    )


def wilson(k: float, n: float) -> Interval:
    """A share with its 95 % score interval (Wilson 1927); nothing known: 0 … 1."""
    if n <= 0:
        return Interval(low=0.0, value=0.0, high=1.0)
    share, z2 = k / n, Z95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(max(share * (1 - share), 0.0) / n + z2 / (4 * n * n))
    return Interval(low=max(0.0, middle - half), value=share, high=min(1.0, middle + half))


def once_in_weeks(score: float) -> float:
    """By chance M reaches e^score once in at least e^score ticks; capped at ten years."""
    return min(math.exp(min(score, 30.0)) / TICKS_PER_WEEK, MAX_WEEKS)


def _lead(detector: ShareDetector, row: int, tick: int, p: F64, scopes: F64) -> tuple[int, float, F64]:
    """Onset, odds ratio and counts [source, aspect, (n, k)] since the onset, of the scope that leads.

    Statistics are capped, so in a strong event several scopes and odds ratios stand equal: of those within half of the
    first, the one leads that the counts since its onset speak for most.
    """
    order = np.argsort(-scopes, axis=None, kind="stable")[:LEADING]
    best: tuple[float, int, float, F64] = (-np.inf, tick, 1.0, np.zeros((*p.shape, 2)))
    for place in order.tolist():
        s, a = divmod(place, scopes.shape[1])
        if scopes[s, a] < 0.5 * scopes.max():
            break
        inside = np.zeros(p.shape, bool)
        inside[s - 1 if s else slice(None), a - 1 if a else slice(None)] = True
        for theta in THETA.tolist():
            found = _since(detector, row, tick, np.where(inside, p, 0.0), theta)
            if found[0] > best[0]:
                best = (found[0], found[1], theta, found[2])
    return best[1:]


def _since(detector: ShareDetector, row: int, tick: int, p: F64, theta: float) -> tuple[float, int, F64]:
    """How much the counts since the most likely onset speak for "raised by theta from then to now", within the scope
    where p > 0; that onset, and all cells' counts since: to the hour over the last day, to the tick over two hours.
    """
    s, a = p.shape
    base, hour = detector.baseline, tick // TICKS_PER_HOUR
    hours = base.hours[row, (hour - np.arange(HOURS - 1)) % HOURS].astype(np.float64)[..., :2]
    ticks = _recent(detector, row, tick)
    since_hours = np.cumsum(_nats(hours[:, :s, :a], p, theta))
    since_ticks = np.cumsum(_nats(ticks[:, :s, :a], p, theta))
    ago = int(since_hours.argmax())
    if (hour - ago) * TICKS_PER_HOUR > tick - TICKS:
        ago = int(since_ticks.argmax())
        return float(since_ticks[ago]), tick - ago, ticks[: ago + 1].sum(axis=0)
    return float(since_hours[ago]), (hour - ago) * TICKS_PER_HOUR, hours[: ago + 1].sum(axis=0)


def _recent(detector: ShareDetector, row: int, tick: int) -> F64:
    """Counts of the last two hours, the latest tick first."""
    counts: F64 = detector.baseline.ticks[row, (tick - np.arange(TICKS)) % TICKS].astype(np.float64)
    return counts


def _nats(counts: F64, p: F64, theta: float) -> F64:
    n, k = counts[..., 0], counts[..., 1]
    nats = k * math.log(theta) - n * np.log1p(p * (theta - 1))
    total: F64 = (np.where(p > 0, nats, 0.0) / (1 + OVERDISPERSION * np.maximum(n - 1, 0))).sum(axis=(1, 2))
    return total


def _contributions(
    names: Sequence[str], mass: F64, n: F64, k: F64, expected: F64, axis: int, variance: F64
) -> tuple[Contribution, ...]:
    """The five that matter most, by posterior weight among their kind; axis is summed away. "General" says nothing,
    so it stands behind an aspect with a name that has significantly risen.
    """
    n, k, expected = n.sum(axis=axis), k.sum(axis=axis), expected.sum(axis=axis)
    surplus = np.maximum(k - expected, 0.0)
    common = max(0.0, 1.0 - float(mass.sum()))
    # What the scopes across all of them explain is shared out by who brought the surplus.
    mass = mass + common * surplus / max(float(surplus.sum()), 1e-9)
    mass = mass / max(float(mass.sum()), 1e-9)
    found = [
        Contribution(
            name=name,
            weight=min(1.0, float(mass[place])),
            voices=round(float(n[place])),
            negative=round(float(k[place])),
            expected=float(expected[place]),
            odds_ratio=_odds_ratio(float(n[place]), float(k[place]), float(expected[place]), float(variance[place])),
        )
        for place, name in enumerate(names)
        if n[place] > 0
    ]
    found.sort(key=lambda part: (-round(part.weight, 3), part.expected - part.negative, part.name))
    if any(_is_named(part) for part in found):
        found.sort(key=lambda part: part.name == GENERAL)
    return tuple(found[:5])


def _is_named(part: Contribution) -> bool:
    return part.name != GENERAL and part.odds_ratio.low > 1 and part.weight >= NAMED_WEIGHT


def _odds_ratio(n: float, k: float, expected: float, variance: float) -> Interval:
    """Odds of the negative voices over the expected odds; the interval knows sampling and the baseline's own error."""
    usual = min(max(expected / n, 1e-6), 1 - 1e-6)
    log_ratio = math.log((k + 0.5) / (n - k + 0.5)) - math.log(usual / (1 - usual))
    half = Z95 * math.sqrt(1 / (k + 0.5) + 1 / (n - k + 0.5) + variance)
    return Interval(low=math.exp(log_ratio - half), value=math.exp(log_ratio), high=math.exp(log_ratio + half))
