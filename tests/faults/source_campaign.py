"""The kill campaign over all sources at once, through a real Kafka: what they handed over must be in the log.

Every kind reads an imitation of its service that grows while it is read; two ingest daemons share the kinds. They are
killed with -9 and stopped at random progress, the broker is killed and started again, and while a daemon is down some
services drop what is old from their windows. Then an oracle that knows every id looks at the documents log: nothing
that was to be had may be missing, nothing may be there under two ids, and every loss upstream must be told by a gap.
Left out: `demo`, which is a recording, and `mastodon_stream`, whose own tests kill it.

    python tests/faults/source_campaign.py --documents 50000 --kills 40 --terms 5 --brokers 2 --seed 7
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from opinionwatch.connectors import http
from opinionwatch.connectors.hosts import Hosts
from opinionwatch.pipeline import kafka_admin
from opinionwatch.pipeline.contracts import Document
from opinionwatch.pipeline.ledger_sqlite import SqliteLedger
from opinionwatch.pipeline.settings import load
from opinionwatch.pipeline.store_sqlite import SqliteStore
from opinionwatch.pipeline.submission import parse
from tests.contract.source_suite import collect, items
from tests.faults.source_stands import stands
from tests.faults.source_streams import Stand
from tests.faults.source_verdict import PARTITIONS, Topic, Verdict
from tests.services.kafka import Kafka
from tests.services.server import Service, free_port

ROOT = Path(__file__).resolve().parents[2]
WORTH = 68_000
"""Documents that all stands are worth together, about."""
LIFE_S = 6.0
"""A daemon that is at work lives so long at most."""
YOUNG_S = 20.0
CONNECT_S = 30
"""A broker that has just been killed, beside forty other processes, takes longer than the five seconds of the default
until it lets a daemon in, and a daemon that gives up at its start is its supervisor's to start again.
"""
KEY = b"the same authors in every folder"


class SourceCampaign:
    """One run in a scratch folder, on a broker of its own that may be killed."""

    def __init__(self, folder: Path, broker: Service, made: Mapping[str, Stand], port: int, seed: int) -> None:
        self.folder, self.broker, self.stands, self.dice = folder, broker, made, random.Random(seed)
        name, kinds = f"t{seed}", sorted(made)
        self.configs: list[Path] = []
        for number in range(2):
            data = folder / f"data{number}"
            data.mkdir()
            (data / "pseudonym.key").write_bytes(KEY)
            sources = [{"name": _name(kind), "kind": kind, **made[kind].given} for kind in kinds[number::2]]
            given = {
                "data_dir": str(data), "scorer": {"kind": "lexicon"}, "monitor": {"port": 0}, "sources": sources,
                "watchlists": [{"id": "lumora", "names": ["Lumora"]}],
                "hooks": {"port": port if "webhook" in kinds[number::2] else 0},
                "kafka": {
                    "servers": [broker.address], "prefix": name, "heartbeat_s": 1, "documents_partitions": PARTITIONS,
                    "mentions_partitions": 1, "ingest": f"daemon{number}", "connect_s": CONNECT_S,
                },
            }  # fmt: skip
            self.configs.append(folder / f"daemon{number}.yaml")
            self.configs[-1].write_text(yaml.safe_dump(given, allow_unicode=True), encoding="utf-8")
        self.chosen = load(self.configs[0])
        kafka_admin.create(self.chosen.kafka)
        self.topic = Topic(self.chosen)
        self.lives: dict[int, subprocess.Popen[bytes]] = {}
        self.begun: dict[int, float] = {}
        self.exits = 0

    def start(self, number: int) -> None:
        """One life of a daemon."""
        with (self.folder / f"daemon{number}.err").open("ab") as err:
            self.lives[number] = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.quick_ingest", "-c", str(self.configs[number])],
                cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=err, stderr=err,
            )  # fmt: skip
        self.begun[number] = time.monotonic()

    def run(self, kills: int, terms: int, brokers: int, settle_s: float = 180) -> Verdict:
        """Strike at random progress, let the rest be read, and judge."""
        began = time.monotonic()
        endings = ["kill"] * kills + ["term"] * terms + ["broker"] * brokers
        self.dice.shuffle(endings)
        self.grow(1, len(endings) + 1)
        for number in (0, 1):
            self.start(number)
        self.until(lambda: all(self.topic.documents.get(kind) for kind in self.stands), 120)
        for index, ending in enumerate(endings, 1):
            self.progress(index % 2)
            self.strike(ending, index % 2)
            down = ending != "broker"
            self.grow(index + 1, len(endings) + 1, number=index % 2 if down else None)
            if down:
                self.start(index % 2)
            sys.stderr.write(f"\r{index}/{len(endings)} {ending}: {self.topic.count:,} documents in the log ")
            sys.stderr.flush()
        for number in (0, 1):  # so that whoever asks seldom asks now
            self.stop(number, self.lives[number])
            self.start(number)
        self.settle(settle_s)
        for number, life in self.lives.items():
            self.stop(number, life)
        verdict = self.judge(kills, terms, brokers)
        verdict.seconds = round(time.monotonic() - began, 1)
        return verdict

    def grow(self, step: int, steps: int, number: int | None = None) -> None:
        """Be a step further everywhere; what daemon `number` reads, which is down, may drop what is old."""
        for index, kind in enumerate(sorted(self.stands)):
            stand = self.stands[kind]
            stand.there = max(stand.there, stand.most * step // steps)
            if stand.drop is not None and index % 2 == number and 2 < step < steps and self.dice.random() < 0.4:
                stand.there = stand.drop(stand.there)
            stand.grow(stand.there)

    def progress(self, number: int) -> None:
        """Wait until daemon `number` is at work, and then until a random number of documents has come, if they do."""
        before = self.had(number)
        self.until(lambda: self.had(number) > before, YOUNG_S)
        wanted = self.topic.count + self.dice.randint(0, 1500)
        self.until(lambda: self.topic.count >= wanted, self.dice.uniform(0, LIFE_S))

    def had(self, number: int) -> int:
        """Documents that a daemon has put into the log."""
        return sum(len(self.topic.documents.get(kind, ())) for kind in sorted(self.stands)[number::2])

    def until(self, true: Callable[[], bool], patience_s: float) -> None:
        """Read the log until something is true, or for so long."""
        deadline = time.monotonic() + patience_s
        while not true() and time.monotonic() < deadline:
            self.topic.look()

    def strike(self, ending: str, number: int) -> None:
        """Kill or stop a daemon, or kill the broker and start it again."""
        if ending == "broker":
            self.broker.kill()
            self.broker.start()
            self.broker.wait()
            return
        life = self.lives[number]
        self.exits += life.poll() is not None
        if ending == "kill":
            life.send_signal(signal.SIGKILL)
            life.wait(30)
        else:
            self.stop(number, life)

    def stop(self, number: int, life: "subprocess.Popen[bytes]") -> None:
        """SIGTERM; it must end with 0, unless it was only just begun."""
        young = time.monotonic() - self.begun[number] < YOUNG_S
        life.send_signal(signal.SIGTERM)
        code = life.wait(40)
        self.exits += not (code == 0 or (young and code == -signal.SIGTERM))

    def settle(self, patience_s: float) -> None:
        """Until everything is there that is to be had, or nothing has come for long."""
        wanted, last, deadline = self.expected(), -1, time.monotonic() + patience_s
        while time.monotonic() < deadline:
            self.topic.look()
            if self.topic.count != last:
                last, deadline = self.topic.count, max(deadline, time.monotonic() + 45)
            if not any(self.missing(kind, ids) for kind, ids in wanted.items()):
                return

    def expected(self) -> dict[str, set[str]]:
        """All ids there have been, by kind."""
        found = {}
        for kind, stand in self.stands.items():
            if stand.ids is not None:
                found[kind] = stand.ids()
            elif stand.service is not None:
                whole = items(collect(stand.service().fetch(None)))
                found[kind] = {parse(item, self.chosen.limits).native_id for item in whole}
        return found

    def missing(self, kind: str, ids: set[str]) -> set[str]:
        """Ids that are neither in the log nor told by a gap."""
        here = {document.native_id for document in self.topic.documents[kind]}
        gaps = list(self.topic.gaps[_name(kind)].values())
        return {key for key in ids - here if not any(self.stands[kind].lost(key, gap) for gap in gaps)}

    def judge(self, kills: int, terms: int, brokers: int) -> Verdict:
        """Everything in `faults` must be 0."""
        self.topic.whole()
        store = SqliteStore(self.folder / "judge.db")
        ledger, faults, by_kind = SqliteLedger(store), Counter[str](), {}
        for kind, ids in self.expected().items():
            documents = self.topic.documents[kind]
            # The product's own de-duplication says what people would see.
            shown: dict[str, str] = {}
            for start in range(0, len(documents), 500):
                shown |= {
                    record.id: record.native_id
                    for record in ledger.admit(documents[start : start + 500])
                    if isinstance(record, Document)
                }
            names = Counter(shown.values())
            gone, gaps = ids - set(names), list(self.topic.gaps[_name(kind)].values())
            unexplained = self.missing(kind, ids)
            faults["lost"] += len(unexplained)
            faults["visible duplicates"] += sum(count - 1 for count in names.values())
            faults["spurious"] += len(set(names) - ids)
            faults["gaps without a loss"] += sum(
                kind != "gdelt" and not any(self.stands[kind].lost(key, gap) for key in gone) for gap in gaps
            )
            by_kind[kind] = {
                "documents": len(names), "replays": len(documents) - len(shown), "gaps": len(gaps),
                "lost upstream": len(gone) - len(unexplained), "lost": len(unexplained),
            }  # fmt: skip
        store.close()
        faults["dead letters"] += len({letter.id for letter in self.topic.letters})
        faults["exits"] += self.exits
        total = {
            name: sum(row[name] for row in by_kind.values())
            for name in ("documents", "replays", "gaps", "lost upstream")
        }
        return Verdict(
            total["documents"], kills, terms, brokers, 0.0, total["replays"], total["lost upstream"], total["gaps"],
            dict(faults), by_kind,
        )  # fmt: skip

    def end(self) -> None:
        """Whatever still lives."""
        self.topic.close()
        for life in self.lives.values():
            if life.poll() is None:
                life.kill()
                life.wait()

    def said(self) -> str:
        """The end of what the daemons wrote."""
        return "\n".join(path.read_text()[-3000:] for path in sorted(self.folder.glob("*.err")))


def _name(kind: str) -> str:
    return "push" if kind == "webhook" else kind


def main() -> int:
    """Run it; the verdict is JSON on standard output and a table on standard error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--documents", type=int, default=60_000)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--terms", type=int, default=5)
    parser.add_argument("--brokers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=20261126)
    parser.add_argument("--keep", type=Path, help="A folder for the scratch files, kept.")
    given = parser.parse_args()
    vars(http)["SHARED"] = Hosts(per_s=10_000, burst=10_000)
    broker, port = Kafka(), free_port()
    broker.start()
    broker.wait()
    try:
        with TemporaryDirectory() as scratch:
            folder = given.keep or Path(scratch)
            folder.mkdir(parents=True, exist_ok=True)
            part = min(1.0, given.documents / WORTH)
            with stands(folder / "stands", broker.address, port, part) as made:
                campaign = SourceCampaign(folder, broker, made, port, given.seed)
                try:
                    verdict = campaign.run(given.kills, given.terms, given.brokers)
                finally:
                    campaign.end()
                if not verdict.clean:
                    sys.stderr.write(campaign.said())
    finally:
        broker.remove()
    sys.stderr.write(f"\n{verdict.text()}\n")
    sys.stdout.write(json.dumps(asdict(verdict), indent=2) + "\n")
    return 0 if verdict.clean else 1


if __name__ == "__main__":
    sys.exit(main())
