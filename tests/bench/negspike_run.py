"""Regenerate the negspike figures of the production detector.

    nice -n 10 .venv/bin/python tests/bench/negspike_run.py BENCH.py --pairs 11:22 33:44 [--preset full] [--json OUT]
    … --command "opinionwatch detect --records -" --causal    # the same through the command, and a cut feed

Every world runs once; each pair gives both directions (threshold from one world, measured on the other), "mean" is over
the directions, and all worlds together give "one threshold". The bound mode needs no calibration world: it is measured
on every world by itself. `--causal` cuts the first world's feed at two thirds: the alerts until then must be the same.
"""

import argparse
import importlib.util
import json
import math
import sys
import time
from collections.abc import Iterable
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

    T: int

    def meta(self) -> dict[str, object]:
        """What a detector is made from."""
        ...

    def stream(self, until: int | None = None) -> Iterable[dict[str, Any]]:
        """The feed, in order of arrival."""
        ...


class Detector(Protocol):
    """As much of `negspike.Production` as is used here."""

    def fold(self, tick: int, records: Iterable[Any]) -> list[Any]:
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


def items(
    detector: "Detector", world: "World", until: int | None = None
) -> list[tuple[str, float, float, list[str], list[str], list[str]]]:
    """What the benchmark's own `run_callable` gives, ten times as fast: all topics of a tick in one step.

    The time of an alert is the arrival of the last new record of its topic and tick, which is all it depends on.
    """
    found = []
    arrived: dict[str, float] = {}
    for tick, records in groupby(world.stream(until), key=lambda record: (record["arrive"] - 300) // 300):
        group = list(records)
        for record in group:
            arrived.setdefault(record["id"], record["arrive"])
        for alert in detector.fold(tick, group):
            if alert.kind == "negative":
                names = (alert.top_aspects, alert.top_sources, alert.top_terms)
                found.append((alert.topic, arrived[alert.after_id], alert.score, *names))
    return found


def alerts(
    bench: ModuleType, production: ModuleType, world: World, command: str | None, until: int | None = None
) -> list[Any]:
    """Everything that is raised in a world, or in the first `until` ticks of it."""
    if command is not None:
        found: list[Any] = bench.run_command(command, world, until)
        return found
    return items(production.Production(world.meta()), world, until)


def is_causal(whole: list[Any], cut: list[Any], world: World, bench: ModuleType) -> bool:
    """Whether a feed that ends early gives the same alerts until then."""
    limit = bench.T0 + world.T * 2 // 3 * bench.BUCKET
    first, second = ([item[:3] for item in found if item[1] <= limit] for found in (whole, cut))
    return first == second


def main() -> None:
    """Run the worlds and print one line of JSON a figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", type=Path, help="negspike_bench.py")
    parser.add_argument("--pairs", nargs="+", default=["11:22", "33:44"])
    parser.add_argument("--preset", default="full")
    parser.add_argument("--command", help="measure a command instead of the code in this process")
    parser.add_argument("--causal", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    bench, production = load(given.bench, "negspike_bench"), load(HERE / "negspike.py", "negspike")
    pairs = [tuple(int(seed) for seed in pair.split(":")) for pair in given.pairs]
    scorers, seconds, causal = {}, {}, None
    for seed in sorted({seed for pair in pairs for seed in pair}):
        world = bench.World(seed, given.preset)
        start = time.perf_counter()
        found = alerts(bench, production, world, given.command)
        seconds[seed] = round(time.perf_counter() - start, 1)
        scorers[seed] = bench.Scorer(world, found)
        if given.causal and causal is None:
            causal = is_causal(found, alerts(bench, production, world, given.command, world.T * 2 // 3), world, bench)
    results: dict[str, Any] = {"seconds": seconds, "target": TARGET}
    if causal is not None:
        results["causal"] = causal
    for one, other in pairs:
        for calibration, test in ((one, other), (other, one)):
            threshold = scorers[calibration].pick(TARGET)
            results[f"{calibration}->{test}"] = brief(threshold and scorers[test].at(threshold))
    directions = [figures for name, figures in results.items() if "->" in name and figures]
    results["mean"] = {key: round(_mean([each[key] for each in directions]) or 0.0, 3) for key in PUBLISHED}
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
