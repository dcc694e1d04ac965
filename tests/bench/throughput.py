"""Documents per second through the whole embedded plan, beside the bare scorer on the same texts in the same run.

    python tests/bench/throughput.py            # lexicon and neural
    python tests/bench/throughput.py lexicon

The texts are the demo's posts. “fraction” is the plan's speed over the bare scorer's on the distinct texts: 1 would
mean that everything around the scorer costs nothing. Memory is the peak of the process.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Event

from opinionwatch.connectors.demo import Demo
from opinionwatch.pipeline import wiring
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.contracts import Document
from opinionwatch.pipeline.demo_run import prepared
from opinionwatch.pipeline.engine import Engine
from opinionwatch.pipeline.ports import Passage
from opinionwatch.pipeline.read import Read


def passages(folder: Path) -> list[Passage]:
    """The distinct texts that the scorer was asked for, as it was asked."""
    documents: list[Document] = [
        scored.document for scored in SqliteArchive(folder / "opinionwatch.db").every_document()
    ]
    read = Read()(documents, documents[0].accepted_at)
    return list(dict.fromkeys(Passage(each.folded.text, each.language.tag) for each in read))


def measure(kind: str) -> str:
    """One row of the table."""
    with tempfile.TemporaryDirectory(prefix="opinionwatch-") as scratch:
        folder = Path(scratch) / "demo"
        settings = prepared(folder, scorer=kind, port=0, language="en")
        scorer = wiring.scorer(settings)
        count = sum(len(page.items) for page in Demo("demo", Demo.Settings()).fetch(None))
        began, cpu = time.perf_counter(), time.process_time()
        Engine(settings, "", {}, lambda _: scorer).run(Event(), until_exhausted=True)
        plan_s, plan_cpu = time.perf_counter() - began, time.process_time() - cpu
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        texts = passages(folder)
        began, cpu = time.perf_counter(), time.process_time()
        for start in range(0, len(texts), 512):
            scorer.score(texts[start : start + 512])
        bare_s, bare_cpu = time.perf_counter() - began, time.process_time() - cpu
    return (
        f"| {kind} | {count / plan_s:,.0f} | {plan_s:.1f} s, {plan_cpu:.1f} CPU-s | {len(texts) / bare_s:,.0f} | "
        f"{bare_s:.1f} s, {bare_cpu:.1f} CPU-s | {bare_s / plan_s:.2f} | {memory:.0f} MB |"
    )


def main() -> int:
    """Print the table; each scorer in a process of its own, so that memory is its own too."""
    if len(sys.argv) > 2 and sys.argv[1] == "--row":
        sys.stdout.write(measure(sys.argv[2]) + "\n")
        return 0
    kinds = sys.argv[1:] or ["lexicon", "neural"]
    sys.stdout.write("| scorer | documents/s, whole plan | | texts/s, bare scorer | | fraction | peak memory |\n")
    sys.stdout.write("|---|---|---|---|---|---|---|\n")
    sys.stdout.flush()
    for kind in kinds:
        subprocess.run([sys.executable, __file__, "--row", kind], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
