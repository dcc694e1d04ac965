"""Documents indexed per second by our writer, beside the bare client's bulk on the same operations in the same run.

    python tests/bench/indexing.py [--documents 20000] [--rounds 5]

Both write the same documents (the demo's texts) to one fresh, real Elasticsearch on this machine, into indices with our
templates. “bare” gets ready-made bytes, as many requests in flight as ours, and looks at no item's answer; “bare, from
dictionaries” has to turn them into JSON as any user of the client has. “ours” turns records into dictionaries and JSON
too, reads every item's answer and keeps the dead letters, part by part as the score worker does. “with the ledger”
admits each batch of 2,000 first, as the daemons do: two writes a document instead of one. “fraction” is of bare. The
best round counts: what else the machine does only adds time; client CPU is this process's, the cluster's not counted.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import orjson
from elasticsearch import Elasticsearch

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from opinionwatch.connectors.demo import Demo  # noqa: E402 - run as a script, the tests' folder comes first
from opinionwatch.pipeline.contracts import Mention, ScoredDocument, Submission  # noqa: E402 - as above
from opinionwatch.pipeline.elastic_client import connect  # noqa: E402 - as above
from opinionwatch.pipeline.elastic_operations import Operation, operations  # noqa: E402 - as above
from opinionwatch.pipeline.store_elastic import ElasticStore  # noqa: E402 - as above
from opinionwatch.pipeline.work_score import PART  # noqa: E402 - as above
from tests.pipeline.elastic import Cluster, cluster  # noqa: E402 - as above
from tests.pipeline.sample import NOON, document, mention, scored  # noqa: E402 - as above
from tests.services.pair import running  # noqa: E402 - as above

BATCH = 2000


def corpus(count: int) -> list[tuple[ScoredDocument, Mention]]:
    """Scored documents with a mention each; texts of the demo, so that they compress as real ones do."""
    items = [item for page in Demo("demo", Demo.Settings()).fetch(None) for item in page.items]
    texts = [Submission.model_validate_json(item.body).text for item in items]
    dice = random.Random(1)
    found = []
    for number in range(count):
        origin = document(number, dice.choice(texts), published_at=NOON + timedelta(seconds=number))
        whole = scored(origin, dice.choice(("negative", "neutral", "positive")))
        found.append((whole, mention(whole)))
    return found


Body = bytes | list[dict[str, object]]


def bare(client: Elasticsearch, bodies: Sequence[Body], in_flight: int) -> None:
    """Bulks as the client makes them, nothing looked at."""
    with ThreadPoolExecutor(in_flight) as pool:
        for answer in pool.map(lambda body: client.bulk(operations=body, filter_path="errors"), bodies):
            if answer["errors"]:
                raise SystemExit("the bare client was refused something: no comparison")


def dictionaries(given: Sequence[Operation]) -> list[dict[str, object]]:
    """What `client.bulk` is usually given."""
    return [orjson.loads(line) for operation in given for line in operation.lines.splitlines()]


def timed(work: Callable[[], None]) -> tuple[float, float]:
    """Seconds it took, and processor seconds of this process."""
    began, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - cpu


def one_round(given: Cluster, whole: Sequence[tuple[ScoredDocument, Mention]], which: str) -> tuple[float, float]:
    """Seconds, and processor seconds of ours, to write everything once, the way `which` says, into its own indices."""
    settings = given.settings
    client = connect(settings)
    batches = [whole[first : first + BATCH] for first in range(0, len(whole), BATCH)]
    if which.startswith("bare"):
        made = [operations(settings.prefix, [each for pair in batch for each in pair]) for batch in batches]
        half = BATCH // settings.bulks_in_flight
        halves = [batch[first : first + half] for batch in made for first in range(0, len(batch), half)]
        bodies: list[Body] = [
            b"".join(operation.lines for operation in each) if which == "bare" else dictionaries(each)
            for each in halves
        ]
        seconds = timed(lambda: bare(client, bodies, settings.bulks_in_flight))
    else:
        store = ElasticStore(client, settings)

        def ours() -> None:
            if which == "ours":
                store.write_parts([each for pair in batch for each in pair] for batch in batches)
                return
            for batch in batches:
                store.admit([scored.document for scored, _ in batch])
                store.write_parts([each for pair in batch[first : first + PART] for each in pair]
                                  for first in range(0, BATCH, PART))  # fmt: skip

        seconds = timed(ours)
        if store.figures.refused or store.figures.retried:
            raise SystemExit(f"not a clean run: {store.figures}")
        store.close()
    client.close()
    return seconds


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    told = parser.parse_args()
    whole = corpus(told.documents)
    taken: dict[str, list[tuple[float, float]]] = {
        which: [] for which in ("bare", "bare, from dictionaries", "ours", "with the ledger")
    }
    with running() as services:
        for number in range(told.rounds + 1):
            for which, seconds in taken.items():
                with cluster(services.elasticsearch.address) as given:
                    found = one_round(given, whole, which)
                if number:  # the first round warms up the server
                    seconds.append(found)
    rates = {which: told.documents / min(seconds)[0] for which, seconds in taken.items()}
    sys.stdout.write("| writer | documents/s (best round) | rounds, s | fraction | client CPU, µs a document |\n")
    sys.stdout.write("|---|---|---|---|---|\n")
    for which, seconds in taken.items():
        rounds = " ".join(f"{each:.1f}" for each, _ in seconds)
        cpu = min(cpu for _, cpu in seconds) / told.documents * 1e6
        share = rates[which] / rates["bare"]
        sys.stdout.write(f"| {which} | {rates[which]:,.0f} | {rounds} | {share:.2f} | {cpu:.0f} |\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
