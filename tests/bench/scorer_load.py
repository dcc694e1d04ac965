"""How long a text waits at a load, in service times, and how much memory the scorer keeps.

    python tests/bench/scorer_load.py [--texts 2000] [--precision auto]

Texts of mixed lengths come one by one at random times (Poisson). Whenever the scorer is free it takes what waits, up to
a pass of the service's queue (`pipeline/score_queue.py`), with no timer. Passes are really scored; their CPU-seconds
move a clock that only they and the arrivals move, so that others on this machine do not count. A service time is what a
full pass takes, load 1 what full passes one after the other would bring.

Memory is that of this process after the texts were scored, in three ways: resident (all pages that are mapped and
present, shared ones included), proportional (a page that n processes share counts 1/n), and its own (anonymous: what
ends with it). What `import torch` alone takes is told beside it, since it depends on the build: one for CUDA loads
CUDA's libraries on any machine.
"""

import argparse
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from opinionwatch.models.neural import NeuralScorer
from opinionwatch.models.tuning import SEED, posts
from opinionwatch.pipeline.ports import Passage
from opinionwatch.pipeline.score_queue import PASS_CHARS, PASS_TEXTS

LOADS = (0.5, 0.9)
ROLLUP = "/proc/self/smaps_rollup"


def passes(texts: Sequence[str]) -> int:
    """How many of the texts that wait make up the next pass."""
    chars = 0
    for count, text in enumerate(texts[:PASS_TEXTS]):
        chars += len(text)
        if count and chars > PASS_CHARS:
            return count
    return min(len(texts), PASS_TEXTS)


def spent(scorer: NeuralScorer, texts: Sequence[str]) -> float:
    """CPU-seconds of a pass."""
    started = time.process_time()
    scorer.score([Passage(text, "en") for text in texts])
    return time.process_time() - started


def waits(scorer: NeuralScorer, texts: Sequence[str], rate: float) -> list[float]:
    """Seconds from arrival to answer of every text, ascending, at so many texts a second."""
    dice, clock, arrivals = random.Random(SEED), 0.0, []
    for _ in texts:
        clock += dice.expovariate(rate)
        arrivals.append(clock)
    now, at, found = 0.0, 0, []
    while at < len(texts):
        now = max(now, arrivals[at])
        waiting = sum(1 for arrival in arrivals[at : at + PASS_TEXTS] if arrival <= now)
        count = passes(texts[at : at + waiting])
        now += spent(scorer, texts[at : at + count])
        found += [now - arrival for arrival in arrivals[at : at + count]]
        at += count
    return sorted(found)


def memory(told: str) -> str:
    """Resident, proportional and own megabytes, from what `smaps_rollup` tells of a process."""
    found = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in told.splitlines() if line.endswith("kB")}
    return " / ".join(f"{found[name]:.0f}" for name in ("Rss", "Pss", "Anonymous")) + " MB"


def main() -> int:
    """Print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--precision", default="auto")
    given = parser.parse_args()
    scorer = NeuralScorer(NeuralScorer.Settings.model_validate({"device": "cpu", "precision": given.precision}))
    texts = posts(given.texts)
    full = texts[: passes(texts)]
    service = min(spent(scorer, full) for _ in range(4))
    rows = [f"| service time: {len(full)} texts | {service:.3f} CPU-s |"]
    for load in LOADS:
        found = waits(scorer, texts, load * len(full) / service)
        middle, late = found[len(found) // 2], found[int(0.99 * len(found))]
        rows.append(
            f"| latency at {load:.0%} load, p50 / p99 | {middle / service:.2f} / {late / service:.2f} service times |"
        )
    empty = [sys.executable, "-c", f"import torch; print(open({ROLLUP!r}).read())"]
    alone = subprocess.run(empty, capture_output=True, text=True, check=True).stdout
    kept = Path(ROLLUP).read_text(encoding="utf-8")
    rows.append(f"| memory after {len(LOADS) * len(texts):,} texts, resident / proportional / own | {memory(kept)} |")
    rows.append(f"| of a process with nothing but `import torch` | {memory(alone)} |")
    sys.stdout.write(f"| {scorer.version}, {given.precision} | |\n|---|---|\n" + "\n".join(rows) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
