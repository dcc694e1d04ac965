"""Null worlds: how many false alarms the detector really raises where nothing happens, beside the budget.

    nice -n 10 .venv/bin/python tests/bench/null_worlds.py BENCH.py --seeds 311 312 313

The benchmark's worlds without events and decoys: drift, day cycles, overdispersion, viral clusters, late data. The
calibrated threshold is found on the first 14 days, as `opinionwatch calibrate` does it, and counted on the 14 after
them; the bound is counted from the end of the warm-up on. An alarm within six hours of another is the same one.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from opinionwatch.alerts.calibration import HISTORY_DAYS, History, calibrated
from opinionwatch.alerts.detect_grid import I64
from opinionwatch.alerts.detect_settings import DetectorSettings, bound
from opinionwatch.alerts.records import Counting, FeedRecord
from opinionwatch.pipeline.ticks import TICKS_PER_DAY, TICKS_PER_HOUR
from tests.bench.negspike_run import load

BUDGETS = (0.05, 0.1, 0.5, 1.0)
GAP = 6 * TICKS_PER_HOUR
Score = tuple[int, float]


class World(Protocol):
    """As much of the benchmark's world as is used here."""

    topics: list[str]

    def stream(self) -> Iterable[dict[str, Any]]:
        """The feed, in order of arrival."""
        ...


def run(world: World, days: int) -> tuple[dict[str, list[Score]], list[History]]:
    """Scores of every topic by tick since the start, and its first `HISTORY_DAYS` days as history."""
    counting = Counting()
    first: int | None = None
    scores: dict[str, list[Score]] = {topic: [] for topic in world.topics}
    places: dict[str, tuple[dict[str, int], dict[str, int]]] = {topic: ({}, {}) for topic in world.topics}
    counts: dict[str, list[dict[tuple[int, int, int], list[int]]]] = {
        topic: [{} for _ in range(HISTORY_DAYS)] for topic in world.topics
    }
    seen: set[str] = set()
    for tick, group in groupby(world.stream(), key=lambda record: (record["arrive"] - 300) // 300):
        first = tick if first is None else first
        day, of_day = divmod(tick - first, TICKS_PER_DAY)
        records = [FeedRecord.model_validate(record) for record in group]
        for record in records:
            if day < HISTORY_DAYS and record.id not in seen:
                seen.add(record.id)
                remember(counts[record.topic][day], places[record.topic], of_day, record)
        for alert in counting.fold(tick, records):
            if alert.kind == "negative":
                scores[alert.topic].append((tick - first, alert.score))
        if day >= days:
            break
    return scores, [
        History(tuple(table(day) for day in counts[topic] if day), len(places[topic][0]), len(places[topic][1]))
        for topic in world.topics
    ]


def remember(
    day: dict[tuple[int, int, int], list[int]],
    names: tuple[dict[str, int], dict[str, int]],
    of_day: int,
    record: FeedRecord,
) -> None:
    """Add a record's counts to the day it arrived on."""
    for source, aspect, documents, negative, _ in record.cells:
        place = (of_day, names[0].setdefault(source, len(names[0])), names[1].setdefault(aspect, len(names[1])))
        cell = day.setdefault(place, [0, 0])
        cell[0] += documents
        cell[1] += negative


def table(day: dict[tuple[int, int, int], list[int]]) -> I64:
    """A day as the calibration takes it."""
    return np.array([(*place, *counts) for place, counts in day.items()], np.int64)


def alarms(scores: Iterable[Score], threshold: float, since: int) -> int:
    """Alarms from that tick on."""
    over = np.array([tick for tick, score in scores if score >= threshold and tick >= since])
    return 0 if not len(over) else 1 + int((np.diff(over) > GAP).sum())


def main() -> None:
    """One line a seed and budget, then the sums."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", type=Path, help="negspike_bench.py")
    parser.add_argument("--seeds", type=int, nargs="+", default=[311, 312, 313])
    parser.add_argument("--preset", default="full")
    given = parser.parse_args()
    bench = load(given.bench, "negspike_bench")
    sums: dict[tuple[str, float], list[float]] = {}
    lines = ["| seed | mode | budget | threshold | alarms | watchlist-weeks | realised | realised ÷ budget |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for seed in given.seeds:
        world = bench.World(seed, given.preset, events=False, decoys=False)
        days = world.T // TICKS_PER_DAY
        scores, histories = run(world, days)
        curve = calibrated(histories, DetectorSettings().min_voices)
        for budget in BUDGETS:
            found = None if curve is None else curve.threshold(budget)
            for mode, threshold, since in (
                ("bound", bound(budget), world.warm),
                ("calibrated", bound(budget) if found is None else found, HISTORY_DAYS * TICKS_PER_DAY),
            ):
                count = sum(alarms(each, threshold, since) for each in scores.values())
                weeks = len(scores) * (world.T - since) / TICKS_PER_DAY / 7
                lines.append(row(str(seed), mode, budget, f"{threshold:.2f}", count, weeks))
                total = sums.setdefault((mode, budget), [0.0, 0.0])
                total[0] += count
                total[1] += weeks
    lines += [row("all", mode, budget, "", int(count), weeks) for (mode, budget), (count, weeks) in sums.items()]
    sys.stdout.write("\n".join(lines) + "\n")


def row(seed: str, mode: str, budget: float, threshold: str, count: int, weeks: float) -> str:
    """A line of the table."""
    rate = count / weeks
    cells: Sequence[str] = (
        seed, mode, f"{budget:g}", threshold, str(count), f"{weeks:.0f}", f"{rate:.3f}", f"{rate / budget:.2f}"
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
