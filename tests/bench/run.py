"""`make bench`: measure everything again and rewrite BENCHMARKS.md, with machine, commit and command.

    python tests/bench/run.py [--data ../shared/data/dev] [--only throughput,kill]

With `--only`, the other sections stay as they are: each says itself when, at which commit and on what it was taken.
`--more='--minutes 0 --out FOLDER'` hands on options: so `--only ablation` shows what trainings there are.
"""

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def sections(data: Path, bench: Path) -> dict[str, tuple[str, list[str]]]:
    """Name → title and command. Those whose data are not here are left out, and the report says so."""
    found = {
        "throughput": ("Throughput, embedded", ["tests/bench/throughput.py"]),
        "scorer": ("The scorer beside two pipelines", ["tests/bench/scorer.py"]),
        "load": ("The scorer: latency at a load, and memory", ["tests/bench/scorer_load.py"]),
        "kill": ("Kill campaign, embedded", ["tests/faults/campaign.py", "--documents", "100000", "--kills", "40"]),
        "swaps": ("Model swaps under kills", ["-m", "tests.faults.swaps"]),
        "indexing": ("Indexing: our writer beside the bare client", ["tests/bench/indexing.py"]),
        "daemons": ("Throughput through Kafka, Faust and Elasticsearch", ["tests/bench/daemons.py"]),
        "cluster": ("A cluster that fails by a plan", ["tests/faults/indexing.py", "--documents", "50000"]),
        "poison": ("Poison", ["tests/faults/poisoning.py"]),
        "erasure": ("Erasure", ["tests/faults/erasure.py", "--documents", "10000"]),
        "bombs": ("Bombs", ["tests/faults/bombs.py"]),
        "feeds": ("500 feeds in one process", ["tests/bench/feeds.py"]),
        "sources": ("Sources, and the tests that each has passed", ["tests/bench/sources.py"]),
    }
    if data.is_dir():
        found["streams"] = ("Recorded streams with known incidents", ["tests/bench/streams.py", str(data)])
        found["labels"] = (
            "The same streams with a perfect classifier",
            ["tests/bench/streams.py", str(data), "--scorer", "labels"],
        )
        found["correcting"] = (
            "A correction round trip",
            ["tests/bench/correcting.py", str(data / "en_fpb.jsonl.gz"), "--data", str(data.parent)],
        )
        found["ablation"] = ("Ablation of the training kit", ["tests/bench/ablation.py", "--data", str(data.parent)])
    found["cost"] = ("Cost of the detector", ["tests/bench/detector_cost.py"])
    found["series"] = ("Planted surges in count series", ["tests/bench/series.py"])
    if bench.is_file():
        command = f"{os.path.relpath(Path(sys.executable).parent / 'opinionwatch', ROOT)} detect --records -"
        found["negspike"] = (
            "The detector on negspike, through `opinionwatch detect --records -`",
            ["tests/bench/negspike_run.py", str(bench), "--causal", "--command", command],
        )
        found["null"] = ("Null worlds: false alarms beside the budget", ["tests/bench/null_worlds.py", str(bench)])
    return found


def machine() -> str:
    """What the figures were taken on."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} × {model}, {memory:.0f} GiB, Python {platform.python_version()}"


def commit() -> str:
    """The commit measured, marked when the tree differs from it."""
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "unknown"


def shown(command: Sequence[str]) -> str:
    """The command as a reader would type it."""
    return "python " + " ".join(os.path.relpath(part, ROOT) if part.startswith("/") else part for part in command)


def kept(report: Path) -> dict[str, str]:
    """The sections that are there, by title."""
    if not report.is_file():
        return {}
    parts = report.read_text(encoding="utf-8").split("\n## ")[1:]
    return {part.partition("\n")[0]: part.partition("\n")[2].strip() for part in parts}


def section(command: Sequence[str]) -> tuple[str, bool]:
    """Run a command; its section, and whether it ended well."""
    run = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    output = run.stdout.strip()
    body = output if output.startswith(("|", "#")) else f"```\n{output}\n```"
    taken = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit()}, {machine()}"
    lines = [f"`{shown(command)}`", "", taken, "", body]
    if run.returncode:
        lines += ["", f"**exit {run.returncode}**", "", "```", run.stderr.strip()[-2000:], "```"]
    return "\n".join(lines), run.returncode == 0


def main() -> int:
    """Run the sections one after the other and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "dev")
    parser.add_argument("--bench", type=Path, default=ROOT.parent / "shared" / "bench" / "negspike_bench.py")
    parser.add_argument("--only", default="")
    parser.add_argument("--more", default="", help="options that the commands get besides: --more='--minutes 0'")
    given = parser.parse_args()
    known, report = sections(given.data, given.bench), ROOT / "BENCHMARKS.md"
    chosen = [name for name in given.only.split(",") if name] or list(known)
    if missing := sorted(set(chosen) - set(known)):
        parser.error(f"--only {missing[0]}: choose from {', '.join(known)} (some need --data or --bench)")
    texts, failed = kept(report) if given.only else {}, 0
    for name in chosen:
        title, command = known[name]
        sys.stderr.write(f"{title} …\n")
        texts[title], well = section([*command, *given.more.split()])
        failed += not well
    titles = [title for title, _ in known.values() if title in texts]
    titles += [title for title in texts if title not in titles]
    parts = ["# Benchmarks", "Written by `make bench`; every section says when and on what it was taken."]
    parts += [f"## {title}\n\n{texts[title]}" for title in titles]
    report.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
