"""What a row of the ablation table differs by from the base, and how far that could be chance.

Two things are chance. Which dev rows there are: they are drawn again (bootstrap, Efron 1979), the same ones for both
and for every seed. And which seeds: what the differences of a row scatter by from seed to seed. Three seeds tell little
of a scatter, and a bootstrap of three would make it too small: so the variance of a row is drawn towards what is usual
among all rows, as far as they are alike (Smyth, Linear Models and Empirical Bayes Methods, 2004), and its error is
Student's. The interval of 95 % is that of the sum of both.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch

from opinionwatch.models.bootstrap import Counts, Interval, macro_f1s

DRAWS, SEED = 2000, 20261127
SMALLEST = 1e-6
"""Variance of a tenth of a point: rows that are the base itself do not make others look alike."""
SURE = 1000.0
"""Degrees of freedom of a usual variance that all rows share."""

Figure = Callable[[Counts], Counts]
"""Counts of a dev row's cells (…, K), added up over rows, to a figure (…)."""


class Usual(NamedTuple):
    """The variance between seeds that rows have, and how many degrees of freedom it is worth."""

    variance: float
    freedom: float


def moods(cells: Counts) -> Counts:
    """Macro-F1 of cells (…, 9): three times the true class, and the class that was said."""
    return macro_f1s(cells.reshape(*cells.shape[:-1], 3, 3))


def terms(cells: Counts) -> Counts:
    """F1 of cells (…, 3): how many terms are right, were told, and are there."""
    found: Counts = 2 * cells[..., 0] / np.maximum(cells[..., 1] + cells[..., 2], 1)
    return found


def gains(base: Counts, row: Counts, figure: Figure) -> Counts:
    """The difference of every seed: cells (S, N, K) to (S,)."""
    return figure(row.sum(1)) - figure(base.sum(1))


def usual(found: Sequence[Counts]) -> Usual:
    """What is usual among the differences by seed of several rows (Smyth's equations 6 and 7)."""
    told = [each for each in found if len(each) > 1]
    if len(told) < 3:
        return Usual(0.0, 0.0)
    halves = torch.tensor([(len(each) - 1) / 2 for each in told], dtype=torch.float64)
    variances = torch.tensor([max(float(each.var(ddof=1)), SMALLEST) for each in told], dtype=torch.float64)
    logs = variances.log() - torch.digamma(halves) + halves.log()
    scatter = float(logs.var() - torch.polygamma(1, halves).mean())
    half = torch.tensor(_where_trigamma_is(scatter) if scatter > 0 else SURE / 2, dtype=torch.float64)
    return Usual(float((logs.mean() + torch.digamma(half) - half.log()).exp()), 2 * float(half))


def difference(base: Counts, row: Counts, figure: Figure, common: Usual) -> Interval:
    """The mean difference over seeds of cells (S, N, K) with an interval; S > 1."""
    own = gains(base, row, figure)
    seeds, size = len(own), base.shape[1]
    dice = np.random.default_rng(SEED)
    rows = dice.multinomial(size, np.full(size, 1 / size), DRAWS).astype(np.float64)
    drawn = np.mean([figure(rows @ new) - figure(rows @ old) for old, new in zip(base, row, strict=True)], axis=0)
    freedom = common.freedom + seeds - 1
    variance = (common.freedom * common.variance + (seeds - 1) * float(own.var(ddof=1))) / freedom
    errors = dice.standard_t(freedom, DRAWS) * np.sqrt(variance / seeds)
    low, high = np.percentile(drawn + errors, [2.5, 97.5])
    return Interval(float(own.mean()), float(low), float(high))


def _where_trigamma_is(value: float) -> float:
    """Trigamma falls: halve what it is looked for in."""
    low, high = 1e-3, SURE / 2
    for _ in range(60):
        middle = (low * high) ** 0.5
        found = float(torch.polygamma(1, torch.tensor(middle, dtype=torch.float64)))
        low, high = (middle, high) if found > value else (low, middle)
    return high
