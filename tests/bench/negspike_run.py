"""Regenerate the negspike figures of the production detector.

    nice -n 10 .venv/bin/python tests/bench/negspike_run.py BENCH.py --pairs 11:22 33:44 [--preset full] [--json OUT]

Every world runs once; each pair gives both directions (threshold from one world, measured on the other) and all worlds
together give "one threshold". The bound mode needs no calibration world: it is measured on every world by itself.
"""

import argparse
import importlib.util
import json
import math
import sys
import time
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

HERE = Path(__file__).parent
TARGET = 0.1
PUBLISHED = (
    "threshold",
    "fa_per_topic_week",
    "recall_detectable",
    "median_delay_min",
    "median_delay_over_oracle",
    "decoys_fooled",
    "aspect_hit1",
    "source_hit1",
    "term_hit3",
)
BOUND = math.log(2016 / TARGET)


class World(Protocol):
    """As much of the benchmark's world as is used here."""

    def stream(self) -> Iterable[dict[str, Any]]:
        """The feed, in order of arrival."""
        ...


class Detector(Protocol):
    """As much of `negspike.Production` as is used here."""

    def fold(self, tick: int, records: Mapping[str, Iterable[Any]]) -> list[Any]:
        """Decide one tick."""
        ...


def load(path: Path, name: str) -> ModuleType:
    """A module from its file."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"cannot load {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def brief(figures: dict[str, Any] | None) -> dict[str, Any] | None:
    """The figures that are published."""
    return figures and {key: figures[key] and round(figures[key], 3) for key in PUBLISHED}


def items(detector: "Detector", world: "World") -> list[tuple[str, float, float, list[str], list[str], list[str]]]:
    """What the benchmark's own `run_callable` gives, ten times as fast: all topics of a tick in one step.

    The time of an alert is the arrival of the last record of its topic and tick, which is all it depends on.
    """
    found = []
    for tick, records in groupby(world.stream(), key=lambda record: (record["arrive"] - 300) // 300):
        topics: dict[str, list[Any]] = {}
        for record in records:
            topics.setdefault(record["topic"], []).append(record)
        for alert in detector.fold(tick, topics):
            last = topics[alert["topic"]][-1]["arrive"]
            names = (alert["top_aspects"], alert["top_sources"], alert["top_terms"])
            found.append((alert["topic"], last, alert["score"], *names))
    return found


def main() -> None:
    """Run the worlds and print one line of JSON a figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", type=Path, help="negspike_bench.py")
    parser.add_argument("--pairs", nargs="+", default=["11:22", "33:44"])
    parser.add_argument("--preset", default="full")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    bench, production = load(given.bench, "negspike_bench"), load(HERE / "negspike.py", "negspike")
    pairs = [tuple(int(seed) for seed in pair.split(":")) for pair in given.pairs]
    scorers, seconds = {}, {}
    for seed in sorted({seed for pair in pairs for seed in pair}):
        world = bench.World(seed, given.preset)
        start = time.process_time()
        scorers[seed] = bench.Scorer(world, items(production.Production(world.meta()), world))
        seconds[seed] = round(time.process_time() - start, 1)
    results: dict[str, Any] = {"cpu_s": seconds, "target": TARGET}
    for one, other in pairs:
        for calibration, test in ((one, other), (other, one)):
            threshold = scorers[calibration].pick(TARGET)
            results[f"{calibration}->{test}"] = brief(threshold and scorers[test].at(threshold))
    for seed, scorer in scorers.items():
        results[f"bound {seed}"] = brief(scorer.at(BOUND))
    results["one threshold"] = brief(_together(bench, list(scorers.values())))
    for name, figures in results.items():
        sys.stdout.write(f"{name}: {json.dumps(figures)}\n")
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def _together(bench: ModuleType, scorers: list[Any]) -> dict[str, Any] | None:
    """All worlds as one large one, with the one threshold that keeps the target on it."""
    best = None
    for threshold in sorted({float(value) for scorer in scorers for value in scorer.thresholds()}, reverse=True):
        each = [scorer.at(threshold) for scorer in scorers]
        weeks = [scorer.weeks for scorer in scorers]
        alarms = sum(at["fa_per_topic_week"] * week for at, week in zip(each, weeks, strict=True))
        if alarms / sum(weeks) > TARGET:
            break
        best = {key: _mean([at[key] for at in each]) for key in each[0] if isinstance(each[0][key], float)}
    return best


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


if __name__ == "__main__":
    main()
