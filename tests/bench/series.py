"""Planted surges in count series, through `detect --series`' code: precision, recall, lead, beside a running z-score.

    .venv/bin/python tests/bench/series.py [--series 12]

Series of 18 days in 5-minute rows: 2 to 40 counts a row, daily and weekly rhythm, a slow random level, negative
binomial noise; six surges each, 2.5 to 8 times the level at first, fading over one to three hours. Both detectors get
the one threshold, over all series, with the best F1. A surge is found when an episode (rows over the threshold, six
hours or more apart) opens in it or within half an hour after it; the lead is the time from there to the surge's end.
"""

import argparse
import sys
from collections.abc import Sequence
from statistics import median

import numpy as np
from numpy.typing import NDArray

from opinionwatch.alerts.series import Series

F64 = NDArray[np.float64]
DAY, GAP, GRACE, START = 288, 72, 6, 1_700_438_400
Surge = tuple[int, int]


def series(seed: int, days: int = 18) -> tuple[F64, list[Surge]]:
    """Counts, and where the surges are."""
    chance = np.random.default_rng(seed)
    steps = np.arange(days * DAY)
    level = np.exp(chance.uniform(np.log(2), np.log(40)))
    mean = level * np.exp(0.7 * np.cos(2 * np.pi * (steps / DAY - chance.uniform())))
    mean *= np.where(steps // DAY % 7 >= 5, 0.7, 1.0)
    wander = np.zeros(len(steps))
    keep = np.exp(-1 / 36)
    for step in range(1, len(steps)):
        wander[step] = keep * wander[step - 1] + 0.25 * np.sqrt(1 - keep**2) * chance.normal()
    mean *= np.exp(wander)
    surges: list[Surge] = []
    for place in range(6):
        start = int(4 * DAY + (place + chance.uniform(0.1, 0.8)) * (len(steps) - 4 * DAY) / 6.5)
        length, times = int(chance.uniform(12, 36)), chance.uniform(2.5, 8)
        mean[start : start + length] *= 1 + (times - 1) * 0.5 ** (np.arange(length) / (length / 2))
        surges.append((start, start + length))
    size = chance.uniform(4, 20)
    return chance.poisson(mean * chance.gamma(size, 1 / size, len(steps))).astype(np.float64), surges


def ours(counts: F64) -> F64:
    """The scores of the volume channel."""
    detector = Series()
    return np.array([detector.step(START + 300 * step, value) for step, value in enumerate(counts.tolist())])


def running_z(counts: F64) -> F64:
    """How many standard deviations a row stands above the day before it."""
    sums, squares = (np.cumsum(np.r_[0.0, values]) for values in (counts, counts**2))
    found = np.zeros(len(counts))
    mean = (sums[DAY:-1] - sums[: -DAY - 1]) / DAY
    spread = np.sqrt(np.maximum((squares[DAY:-1] - squares[: -DAY - 1]) / DAY - mean**2, 0.25))
    found[DAY:] = (counts[DAY:] - mean) / spread
    return found


def judged(scores: Sequence[F64], surges: Sequence[Sequence[Surge]], threshold: float) -> tuple[float, float, float]:
    """Precision, recall, and the median lead in minutes."""
    leads: list[int] = []
    false = 0
    for each, planted in zip(scores, surges, strict=True):
        over = np.flatnonzero(each >= threshold)
        opens = over[np.r_[True, np.diff(over) > GAP]] if len(over) else over
        found: dict[Surge, int] = {}
        for opened in opens.tolist():
            inside = [surge for surge in planted if surge[0] <= opened <= surge[1] + GRACE]
            false += not inside
            for surge in inside:
                found.setdefault(surge, opened)
        leads += [surge[1] - opened for surge, opened in found.items()]
    count = sum(map(len, surges))
    return len(leads) / max(len(leads) + false, 1), len(leads) / count, 5 * median(leads or [0])


def f1(figures: tuple[float, float, float]) -> float:
    """The harmonic mean of precision and recall."""
    return 2 * figures[0] * figures[1] / max(figures[0] + figures[1], 1e-9)


def main() -> None:
    """A line for each detector."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=12)
    made = [series(seed) for seed in range(parser.parse_args().series)]
    surges = [planted for _, planted in made]
    sys.stdout.write(
        "| detector | F1 | precision | recall | median lead, min | threshold |\n|---|---|---|---|---|---|\n"
    )
    for name, detector in (("detect --series", ours), ("running z-score, one day", running_z)):
        scores = [detector(counts) for counts, _ in made]
        pooled = np.concatenate(scores)
        thresholds = np.unique(np.quantile(pooled, 1 - np.geomspace(1e-5, 0.05, 60))).tolist()
        best = max(thresholds, key=lambda threshold: f1(judged(scores, surges, threshold)))
        figures = judged(scores, surges, best)
        row = (
            name,
            f"{f1(figures):.3f}",
            *(f"{value:.3f}" for value in figures[:2]),
            f"{figures[2]:.0f}",
            f"{best:.3f}",
        )
        sys.stdout.write(f"| {' | '.join(row)} |\n")


if __name__ == "__main__":
    main()
