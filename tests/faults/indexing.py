"""The Elasticsearch writer against a cluster that fails by a plan; an oracle counts what ends where.

    python tests/faults/indexing.py --documents 300000 --denied-s 20 --blocked-s 30

The loop is a worker's: admit, write, then commit; a committed batch never comes again. Every fifth batch is delivered
twice, and some documents are such that the index must refuse them (their native id is no number, and this cluster's
own template wants one). The verdict: accepted − indexed − dead = 0, nothing twice, dead letters exactly the documents
that must be refused, and no commit while the cluster refuses our credentials.
"""

import argparse
import logging
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Event, Timer

import structlog
from elasticsearch.helpers import scan

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from opinionwatch.pipeline.archive_elastic import ElasticArchive  # noqa: E402 - run as a script, the tests' folder comes first
from opinionwatch.pipeline.contracts import ScoredDocument  # noqa: E402 - as above
from opinionwatch.pipeline.elastic_client import connect  # noqa: E402 - as above
from opinionwatch.pipeline.elastic_fields import Kind  # noqa: E402 - as above
from opinionwatch.pipeline.elastic_mapping import pattern_of  # noqa: E402 - as above
from opinionwatch.pipeline.elastic_setup import set_up  # noqa: E402 - as above
from opinionwatch.pipeline.store_elastic import ElasticStore  # noqa: E402 - as above
from tests.faults.elastic_proxy import Plan, Proxy, proxy  # noqa: E402 - as above
from tests.pipeline.elastic import Cluster, cluster  # noqa: E402 - as above
from tests.pipeline.sample import NOON, document, mention, scored  # noqa: E402 - as above
from tests.services.pair import running  # noqa: E402 - as above

BATCH = 500


@dataclass(frozen=True)
class Verdict:
    """All of `faults` must be 0."""

    faults: dict[str, int]
    fired: dict[str, int]
    replays: int
    seconds: float


class Indexing:
    """One run."""

    def __init__(self, given: Cluster, between: Proxy, *, documents: int) -> None:
        self._given, self._between, self._documents = given, between, documents
        settings = given.settings.model_copy(update={"hosts": (between.address,), "bulk_bytes": 100_000})
        self._client = connect(settings)
        self._store = ElasticStore(self._client, settings)
        self._hostile: set[str] = set()

    def run(
        self, *, denied_s: float, blocked_s: float, restarts: int = 0, restart: Callable[[], None] = lambda: None
    ) -> Verdict:
        """Write everything; half-way the credentials are refused for a while, and then the index is read-only.
        `restart` kills the cluster and begins to start it again; it is called so many times, evenly.
        """
        began = time.monotonic()
        batches = [range(first, min(first + BATCH, self._documents)) for first in range(0, self._documents, BATCH)]
        middle = len(batches) // 2
        early = replays = 0
        for number, batch in enumerate(batches):
            taken = [self._made(each) for each in batch]
            if restarts and number % max(1, len(batches) // restarts) == 1:
                restart()
            if number == middle:
                early += self._commits_during(taken, denied_s, self._deny)
            elif number == middle + 1:
                early += self._commits_during(taken, blocked_s, self._block)
            else:
                self._commit(taken)
            if number % 5 == 0:
                replays += len(batch)
                self._commit(taken)
        self._store.close()
        self._client.close()
        faults = self._judged() | {"committed too early": early}
        return Verdict(faults, dict(self._between.fired), replays, time.monotonic() - began)

    def _made(self, number: int) -> ScoredDocument:
        hostile = random.Random(number).random() < 0.01
        accepted_at = NOON + timedelta(hours=number % 900)
        origin = document(number, f"The Lumora battery is awful, number {number}", accepted_at=accepted_at)
        origin = origin.model_copy(update={"native_id": "no number" if hostile else str(number)})
        if hostile:
            self._hostile.add(origin.id)
        return scored(origin)

    def _commit(self, batch: Sequence[ScoredDocument]) -> None:
        admitted = {record.id for record in self._store.admit([each.document for each in batch])}
        goes_on = [each for each in batch if each.id in admitted]
        self._store.write([*goes_on, *map(mention, goes_on)])

    def _commits_during(self, batch: Sequence[ScoredDocument], seconds: float, switch: Callable[[bool], None]) -> int:
        """Write a batch that begins while the cluster takes nothing; 1 if it was committed before that ended."""
        over = Event()

        def end() -> None:
            over.set()
            switch(False)

        switch(True)
        timer = Timer(seconds, end)
        timer.start()
        self._commit(batch)
        early = not over.is_set()
        timer.join()
        return int(early)

    def _deny(self, on: bool) -> None:
        (self._between.denied.set if on else self._between.denied.clear)()

    def _block(self, on: bool) -> None:
        """What the cluster does when its disk is full (flood stage)."""
        self._given.client.indices.put_settings(
            index=pattern_of(self._given.settings.prefix, "documents"),
            settings={"index.blocks.read_only_allow_delete": True if on else None},
        )

    def _judged(self) -> dict[str, int]:
        """By what lies in the cluster, asked past the proxy and past our archive."""
        self._given.refresh()
        indexed, letters = (self._there(kind) for kind in KINDS)
        issued = {document(number).id for number in range(self._documents)}
        archive = ElasticArchive(self._given.client, self._given.settings)
        rows = archive.ledger()
        return {
            "lost": len(issued - indexed.keys() - letters.keys()),
            "in both": len(indexed.keys() & letters.keys()),
            "twice": indexed.total() - len(indexed) + letters.total() - len(letters),
            "spurious": len((indexed.keys() | letters.keys()) - issued),
            "wrongly dead": len(letters.keys() - self._hostile),
            "wrongly indexed": len(self._hostile & indexed.keys()),
            "gap": sum(abs(row.gap) + row.pending for row in rows) + archive.misfiled(),
            "accepted wrongly": abs(sum(row.accepted for row in rows) - len(issued)),
            "duplicates counted": sum(row.duplicates for row in rows),
        }

    def _there(self, kind: Kind) -> Counter[str]:
        index = pattern_of(self._given.settings.prefix, kind)
        return Counter(str(hit["_id"]) for hit in scan(self._given.client, index=index, source=False, size=2000))


KINDS: tuple[Kind, Kind] = ("documents", "deadletters")


@contextmanager
def choosy(address: str) -> Iterator[Cluster]:
    """A place on the cluster whose owner wants native ids to be numbers."""
    with cluster(address, made=False) as given:
        strict = {"mappings": {"properties": {"document": {"properties": {"native_id": {"type": "long"}}}}}}
        given.client.cluster.put_component_template(name=f"{given.settings.prefix}-documents@custom", template=strict)
        assert all(step.ok for step in set_up(given.client, given.settings))
        yield given


def main() -> int:
    """A run on services of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=300_000)
    parser.add_argument("--denied-s", type=float, default=20)
    parser.add_argument("--blocked-s", type=float, default=30)
    parser.add_argument("--restarts", type=int, default=0, help="kill -9 of Elasticsearch")
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args()
    logging.basicConfig(level=logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with (
        running() as services,
        choosy(services.elasticsearch.address) as given,
        proxy(services.elasticsearch.address, Plan(seed=told.seed)) as between,
    ):
        run = Indexing(given, between, documents=told.documents)

        def restart() -> None:
            services.elasticsearch.kill()
            services.elasticsearch.start()

        verdict = run.run(denied_s=told.denied_s, blocked_s=told.blocked_s, restarts=told.restarts, restart=restart)
    sys.stdout.write(
        f"{told.documents:,} documents, {verdict.replays:,} of them twice, {verdict.seconds:.0f} s, "
        f"{told.restarts} kills of Elasticsearch, seed {told.seed}\n"
        f"faults fired: {verdict.fired}\nverdict, all must be 0: {verdict.faults}\n"
    )
    return 1 if any(verdict.faults.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
