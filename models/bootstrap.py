"""How far a figure could be off: bootstrap intervals (Efron 1979), drawn over counts instead of rows.

Drawing n rows with replacement and counting them is drawing the counts from a multinomial: so the cost depends on the
number of cells, not of rows, and nothing but counts is kept. Paired figures of two models use cells (true, old, new).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DRAWS, PARTS = 10_000, 20
LEVEL = 0.95
SEED = 20261126
Counts = NDArray[np.float64]


class Interval(NamedTuple):
    """A figure and its interval of 95 %."""

    value: float
    low: float
    high: float


class Gain(NamedTuple):
    """A difference, its interval of 95 %, and how likely a loss like it, or a larger one, were chance."""

    value: float
    low: float
    high: float
    chance: float


def accuracies(confusions: Counts) -> Counts:
    """Accuracy of each (3, 3) confusion of a stack (…, 3, 3): rows true, columns said."""
    right: Counts = np.trace(confusions, axis1=-2, axis2=-1)
    total: Counts = confusions.sum((-2, -1))
    return right / np.maximum(total, 1)


def macro_f1s(confusions: Counts) -> Counts:
    """Macro-F1 over the classes that occur, of each (3, 3) confusion of a stack.

    >>> round(float(macro_f1s(np.array([[1.0, 1, 0], [0, 0, 0], [0, 0, 2]]))), 4)
    0.8333
    """
    hits = np.diagonal(confusions, axis1=-2, axis2=-1)
    true, said = confusions.sum(-1), confusions.sum(-2)
    occurs = true > 0
    scores = np.where(occurs, 2 * hits / np.maximum(true + said, 1), 0.0)
    found: Counts = scores.sum(-1) / np.maximum(occurs.sum(-1), 1)
    return found


def interval(confusion: Sequence[Sequence[int]], figure: Callable[[Counts], Counts] = macro_f1s) -> Interval:
    """A figure of one model with its interval."""
    cells = np.array(confusion, dtype=np.float64)
    drawn = _drawn(cells)
    return _spread(float(figure(cells)), figure(drawn))


def paired(cells: Counts, figure: Callable[[Counts], Counts] = macro_f1s) -> Gain:
    """New minus old on the same rows: `cells` (3, 3, 3) counts true class, old answer, new answer."""
    drawn = _drawn(cells)
    gains = figure(drawn.sum(-2)) - figure(drawn.sum(-1))
    return Gain(*_spread(_gain(cells, figure), gains), _chance(gains))


def paired_f1(counts: Mapping[tuple[int, int, int, int, int], int]) -> Gain:
    """New minus old micro-F1 of triplets on the same texts. Keys are what one text counts: right triplets there are,
    given and hit by the old model, given and hit by the new one; values are how many texts count that.
    """
    kinds, times = np.array([*counts], dtype=np.float64), np.array([*counts.values()])
    total, dice = int(times.sum()), np.random.default_rng(SEED)
    # In parts, so that many kinds of texts do not take much memory.
    parts = [dice.multinomial(total, times / total, DRAWS // PARTS) @ kinds for _ in range(PARTS)]
    gains, [value] = np.diff(micro_f1s(np.concatenate(parts))).ravel(), np.diff(micro_f1s(times @ kinds))
    return Gain(*_spread(float(value), gains), _chance(gains))


def micro_f1s(sums: Counts) -> Counts:
    """Of the old and the new model (…, 2), from sums (…, 5) of what texts count, in the order of `paired_f1`."""
    right, given, hits = sums[..., :1], sums[..., 1::2], sums[..., 2::2]
    found: Counts = 2 * hits / np.maximum(right + given, 1)
    return found


def _chance(gains: Counts) -> float:
    return float((1 + np.count_nonzero(gains >= 0)) / (1 + DRAWS))


def _gain(cells: Counts, figure: Callable[[Counts], Counts]) -> float:
    return float(figure(cells.sum(-2)) - figure(cells.sum(-1)))


def _drawn(cells: Counts) -> Counts:
    total = int(cells.sum())
    shares = cells.ravel() / max(1, total)
    draws: Counts = np.random.default_rng(SEED).multinomial(total, shares, DRAWS).astype(np.float64)
    return draws.reshape(DRAWS, *cells.shape)


def _spread(value: float, drawn: Counts) -> Interval:
    edge = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(drawn, [edge, 100 - edge])
    return Interval(value, float(low), float(high))
