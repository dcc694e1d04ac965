"""Model swaps on the daemons: two score workers take up what is promoted, and one after the other is killed.

    python -m tests.faults.swaps_daemons --documents 20000 --kills 10 --swaps 10 --seed 7

As `swaps`, on a real Kafka and a real Elasticsearch. Two workers need not change in the same second, so nothing is said
of the order of models from one document to the next.
"""

import argparse
import random
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from opinionwatch.pipeline.archive import LedgerRow
from opinionwatch.pipeline.archives import archive_of
from opinionwatch.pipeline.errors import RetryableError
from tests.faults.cluster import Cluster
from tests.faults.documents import Documents, deliveries
from tests.faults.evidence import Say, gathered
from tests.faults.models_in_turn import Models, Read, changes
from tests.faults.oracle import Expected, Oracle
from tests.faults.swaps import SwapVerdict, Tap
from tests.services.pair import Services

FIRST = 100
"""Documents that are let through before anything happens, so that every worker is up."""


class DaemonSwaps:
    """One run in a scratch folder, on services that the caller started."""

    def __init__(self, folder: Path, services: Mapping[str, str], documents: int, seed: int, per_s: float) -> None:
        """`per_s` documents a second."""
        self.folder, self.dice = folder, random.Random(seed)
        self.models = Models(folder, random.Random(seed))
        self.documents = Documents(documents)
        told = {"name": "here", "kind": "terminal"}
        self.cluster = Cluster(
            folder, services, self.documents, channels=(told,), page_items=32, scorer=self.models.scorer
        )
        self.daemons = self.cluster.daemons
        self.tap = Tap(self.cluster.allowed, per_s)

    def run(self, kills: int, swaps: int) -> SwapVerdict:
        """Swap and kill in random order and at random progress, let the rest finish, and judge."""
        began, cluster = time.monotonic(), self.cluster
        deeds = ["kill"] * kills + ["swap"] * swaps
        self.dice.shuffle(deeds)
        workers = [number for number, role in cluster.roles.items() if role == "score"]
        try:
            cluster.begin()
            self.tap.burst(FIRST)
            cluster.wait(self.has_begun, 300, every_s=1)
            with self.tap.running():
                for index, deed in enumerate(deeds):
                    place = int((index + self.dice.random()) / (len(deeds) + 1) * self.documents.count)
                    cluster.wait(lambda place=place: self.reached() >= place, 300)  # type: ignore[misc]  # bound now
                    if deed == "swap":
                        name = self.models.swap(self.daemons.config, self.data)
                        cluster.wait(lambda name=name: f'"version": "{name}"' in self.said(), 120)  # type: ignore[misc]  # bound now
                    else:
                        self.tap.burst()
                        time.sleep(self.dice.uniform(0.05, 0.5))
                        cluster.kill(self.dice.choice(workers))
                cluster.wait(lambda: self.reached() >= self.documents.count, 600)
            cluster.wait(self.is_settled, 600, every_s=1)
            cluster.end()
        finally:
            self.daemons.kill()
        return self.verdict(kills, time.monotonic() - began)

    @property
    def data(self) -> Path:
        """Where the daemons keep what was promoted."""
        return self.daemons.folder / "data"

    def reached(self) -> int:
        """The line after the last that was ever handed over."""
        return max((end for _, end in deliveries(self.folder / "delivered.log")), default=0)

    def said(self) -> str:
        """What the score workers have logged."""
        return (self.daemons.folder / "score.err").read_text(errors="replace")

    def ledger(self) -> list[LedgerRow]:
        """What the program says; nothing while the index is only just being made."""
        try:
            return [*archive_of(self.daemons.settings).ledger()]
        except RetryableError:
            return []

    def has_begun(self) -> bool:
        """Whether a worker has scored anything."""
        return any(row.indexed for row in self.ledger())

    def is_settled(self) -> bool:
        """Whether everything is accepted, and all of it is somewhere."""
        rows = self.ledger()
        whole = all(row.gap == row.pending == 0 for row in rows)
        return whole and sum(row.accepted for row in rows) >= self.documents.count

    def verdict(self, kills: int, seconds: float) -> SwapVerdict:
        """What the oracle says."""
        told = Expected(documents=self.documents.count, now=datetime.now(UTC), windows={}, episodes={}, alerts=[])
        (self.folder / "expected.json").write_text(told.model_dump_json())
        oracle, names = Oracle(self.folder), self.models.names(self.data)
        documents = sorted(
            Read(int(str(each["document.native_id"])[1:]), str(each["sentiment.scorer"]), str(each["sentiment.label"]))
            for each in oracle.all("documents")
        )
        cluster = self.cluster
        return SwapVerdict(
            self.documents.count, kills, 0, oracle.replays(), cluster.started, seconds, max(cluster.exits),
            faults={**oracle.records(), **self.models.misread(documents, names), "bad exits": cluster.bad_exits},
            promoted=len(names) - 1, swaps=changes(documents), taken_up=self.said().count("model.taken_up"),
        )  # fmt: skip


def main() -> int:
    """Run a campaign on services of its own; lines for people to standard error, JSON to standard output."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--swaps", type=int, default=10)
    parser.add_argument("--per-second", type=float, default=150)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()

    def campaign(folder: Path, started: Services, say: Say) -> tuple[bool, Mapping[str, object]]:
        campaign = DaemonSwaps(folder, started.addresses, given.documents, given.seed, given.per_second)
        say(f"{given.kills} kills and {given.swaps} swaps")
        verdict = campaign.run(given.kills, given.swaps)
        return verdict.clean, {**vars(verdict), "seed": given.seed, "clean": verdict.clean}

    return gathered("swaps", campaign)


if __name__ == "__main__":
    sys.exit(main())
