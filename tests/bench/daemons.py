"""Documents a second from end to end through a real Kafka, Faust and a real Elasticsearch, and where the CPU time goes.

    python tests/bench/daemons.py [--lexicon 20000] [--neural 5000] [--workers 1,2,4]

Everything runs on this machine: both services, warmed up by some thousand documents, `ingest` reading a file of JSON
lines, score workers and a trend worker that were ready before it began. The texts are the demo's, each another one, so
that no cache helps. Counted from the moment that `ingest` is ready to the last document in the index. “of bare” is this
speed over the bare scorer's, one process with one thread in the same run, on the same texts when nothing else runs: 1
would mean that everything around it is free.

CPU is in microseconds a document: of the services and daemons by /proc, of the score workers' parts by their own
`opinionwatch_step_cpu_seconds_total`: the scorer, the stages around it (language, names, mentions), writing to the
index with the ledger (“bulk”), and the rest (Faust, reading entries, the log).
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from opinionwatch.connectors.demo import Demo, watchlists  # noqa: E402 - run as a script, the tests' folder comes first
from opinionwatch.pipeline import wiring  # noqa: E402 - as above
from opinionwatch.pipeline.contracts import Submission  # noqa: E402 - as above
from opinionwatch.pipeline.ports import Passage  # noqa: E402 - as above
from opinionwatch.pipeline.read import Read  # noqa: E402 - as above
from opinionwatch.pipeline.settings import Settings  # noqa: E402 - as above
from tests.bench.indexing import corpus, one_round  # noqa: E402 - as above
from tests.bench.watching import cpu_s, group_cpu_s, numbers, ready  # noqa: E402 - as above
from tests.pipeline.daemons import Daemons  # noqa: E402 - as above
from tests.pipeline.elastic import cluster  # noqa: E402 - as above
from tests.pipeline.sample import NOON, document  # noqa: E402 - as above
from tests.services.pair import Services, running  # noqa: E402 - as above
from tests.services.server import free_port  # noqa: E402 - as above

PATIENCE_S, WARM = 240, 20_000
PARTS = ("broker", "Elasticsearch", "ingest", "score", "scorer", "stages", "bulk", "rest", "trend")
"""Of the CPU time; what the score workers take is divided into the four after it."""
STEPS = "opinionwatch_step_cpu_seconds_total"


def texts(number: int) -> list[str]:
    """So many texts of the demo, no two the same."""
    items = [item for page in Demo("demo", Demo.Settings()).fetch(None) for item in page.items]
    known = list(dict.fromkeys(Submission.model_validate_json(item.body).text for item in items))
    random.Random(1).shuffle(known)
    more = (f"{text} {again}" for again in count(1) for text in known)
    return [*known, *(next(more) for _ in range(number - len(known)))][:number]


def bare(kind: str, said: Sequence[str]) -> float:
    """Texts a second of the scorer alone."""
    scorer = wiring.scorer(Settings.model_validate({"scorer": {"kind": kind}}))
    read = Read()([document(number, text) for number, text in enumerate(said)], NOON)
    passages = [Passage(each.folded.text, each.language.tag) for each in read]
    scorer.score(passages[:64])
    began = time.perf_counter()
    for start in range(0, len(passages), 512):
        scorer.score(passages[start : start + 512])
    return len(passages) / (time.perf_counter() - began)


@dataclass(frozen=True)
class Run:
    """What one run came to."""

    rate: float
    cpu: Mapping[str, float]
    """Microseconds a document, by part."""


def indexed(ports: Sequence[int]) -> float:
    """Documents that the score workers have indexed."""
    return sum(numbers(port).get(("opinionwatch_records_total", "indexed"), 0.0) for port in ports)


def step(ports: Sequence[int], *names: str) -> float:
    """Processor seconds of steps of all score workers."""
    return sum(numbers(port).get((STEPS, name), 0.0) for port in ports for name in names)


def through(folder: Path, services: Services, kind: str, workers: int, said: Sequence[str]) -> Run:
    """Everything at once, on topics and indices of its own."""
    folder.mkdir()
    feed = folder / "feed.jsonl"
    lines = ({"native_id": str(n), "text": text, "author": f"a{n % 997}"} for n, text in enumerate(said))
    feed.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in lines), encoding="utf-8")
    daemons = Daemons(
        folder / "cluster",
        services.addresses,
        scorer={"kind": kind},
        watchlists=list(watchlists()),
        sources=[{"name": "feed", "kind": "jsonl", "path": str(feed)}],
        kafka={"servers": [services.kafka.address], "prefix": f"b{uuid4().hex[:10]}"},
    )
    try:
        daemons.prepared()
        ports, fed = [free_port() for _ in range(workers + 1)], free_port()
        scorers = [daemons.start("score", "--monitor-port", str(port)) for port in ports[:-1]]
        trend = daemons.start("trend", "--monitor-port", str(ports[-1]))
        daemons.until(lambda: all(map(ready, ports)), PATIENCE_S)
        ports.pop()
        ingest = daemons.start("ingest", "--monitor-port", str(fed))
        daemons.until(lambda: ready(fed), PATIENCE_S)

        def spent() -> dict[str, float]:
            servers = {"broker": services.kafka, "Elasticsearch": services.elasticsearch}
            return {
                **{
                    name: group_cpu_s(int(each.handle["pid"])) for name, each in servers.items() if "pid" in each.handle
                },
                "ingest": cpu_s(ingest.pid),
                "score": sum(cpu_s(life.pid) for life in scorers),
                "scorer": step(ports, "scorer"),
                "stages": step(ports, "stages"),
                "bulk": step(ports, "admit", "index"),
                "trend": cpu_s(trend.pid),
            }

        before, began = spent(), time.perf_counter()
        daemons.until(lambda: indexed(ports) >= len(said), PATIENCE_S)
        seconds, after = time.perf_counter() - began, spent()
        daemons.end()
    finally:
        daemons.kill()
    return Run(len(said) / seconds, {name: (after[name] - before[name]) / len(said) * 1e6 for name in before})


def row(kind: str, workers: int, found: Run, alone: float) -> str:
    """A line of the table."""
    parts = sum(found.cpu[name] for name in ("scorer", "stages", "bulk"))
    cpu = {**found.cpu, "rest": found.cpu["score"] - parts}
    shown = [f"{cpu[name]:,.0f}" if name in cpu else "–" for name in PARTS]
    share = found.rate / alone
    return f"| {kind} | {workers} | {found.rate:,.0f} | {alone:,.0f} | {share:.2f} | {' | '.join(shown)} |\n"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lexicon", type=int, default=20_000, help="Documents; 0 leaves the scorer out.")
    parser.add_argument("--neural", type=int, default=5_000, help="The same.")
    parser.add_argument("--workers", default="1,2,4", help="Score workers side by side.")
    told = parser.parse_args()
    sizes = [int(each) for each in told.workers.split(",")]
    asked = [(kind, texts(number)) for kind, number in (("lexicon", told.lexicon), ("neural", told.neural)) if number]
    alone = {kind: bare(kind, said) for kind, said in asked}
    sys.stdout.write(f"| scorer | score workers | documents/s | bare scorer/s | of bare | {' | '.join(PARTS)} |\n")
    sys.stdout.write("|---" * (5 + len(PARTS)) + "|\n")
    with running() as services, TemporaryDirectory(prefix="opinionwatch-", dir="/var/tmp") as scratch:
        with cluster(services.elasticsearch.address) as given:
            one_round(given, corpus(WARM), "with the ledger")
        for kind, said in asked:
            for workers in sizes:
                found = through(Path(scratch) / f"{kind}{workers}", services, kind, workers, said)
                sys.stdout.write(row(kind, workers, found, alone[kind]))
                sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
