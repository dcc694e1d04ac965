"""The kill campaign on the daemons: roles and services die at random progress, and an oracle judges what is left.

The documents, and what must become of each, are those of `campaign`; so is the feed that counts what it handed over.
What windows, episodes and alerts must be is said by an undisturbed embedded run on the same feed.

    python tests/faults/daemon_campaign.py --documents 20000 --kills 10 --terms 5 --seed 7
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp
from threading import Event

from opinionwatch.pipeline.archive import Archive
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.archives import archive_of
from opinionwatch.pipeline.engine import Engine
from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.kafka_read import KafkaReader
from opinionwatch.pipeline.settings import load
from opinionwatch.pipeline.trials import Trial
from tests.faults.campaign import Campaign, Verdict, expected, line
from tests.pipeline.daemons import Daemons
from tests.services.pair import Services, running

HERE = Path(__file__).resolve().parent
ROLES = ("ingest", "score", "score", "trend", "trend", "notify")
EVER = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
KEY = b"the same authors in every folder"


class DaemonCampaign:
    """One run in a scratch folder, on services that the caller started."""

    def __init__(
        self, folder: Path, services: Mapping[str, str], documents: int, seed: int, own: Services | None = None
    ) -> None:
        """`own` are services that may be killed."""
        self.own = own
        (folder / "feed").mkdir()
        self.plain = Campaign(folder / "feed", documents, seed)
        self.documents, self.dice = documents, random.Random(seed)
        given = json.loads(self.plain.config.read_text())
        given["sources"][0]["ends"] = True
        sys.path.insert(0, str(HERE))  # where the feed's class is, for the undisturbed run
        self.daemons = Daemons(
            folder / "cluster",
            services,
            **{name: given[name] for name in ("limits", "watchlists", "sources")},
            channels=[{"name": "here", "kind": "terminal", "info": True}],
        )
        for data in (self.daemons.folder / "data", folder / "embedded"):
            data.mkdir(parents=True)
            (data / "pseudonym.key").write_bytes(KEY)
        self.folder = folder
        self.lives: dict[int, subprocess.Popen[bytes]] = {}
        self.started = 0
        self.killed: Counter[str] = Counter()

    def start(self, number: int, failpoint: str = "") -> None:
        """One life of role `number`."""
        path = f"{HERE}:{HERE.parents[1]}"
        life = self.daemons.start(ROLES[number], PYTHONPATH=path, OPINIONWATCH_FAILPOINT=failpoint)
        self.lives[number] = life
        self.started += 1

    def supervise(self) -> int:
        """Start again what has ended; returns how many had ended by themselves and not by a kill."""
        ended = {number: life.poll() for number, life in self.lives.items() if life.poll() is not None}
        for number in ended:
            self.start(number)
        return sum(code != -signal.SIGKILL for code in ended.values())

    def strike(self, ending: str, number: int) -> tuple[float, int]:
        """Kill, stop or restart; how long a stop took, and how many ended otherwise than with 0."""
        if ending in ("kafka", "elasticsearch") and self.own is not None:
            service = self.own.kafka if ending == "kafka" else self.own.elasticsearch
            service.kill()
            service.start()
            service.wait()
            self.killed[ending] += 1
            return 0.0, 0
        life = self.lives[number]
        life.send_signal(signal.SIGKILL if ending == "kill" else signal.SIGTERM)
        asked = time.monotonic()
        well = self.daemons.well(life, asked)
        took = time.monotonic() - asked if ending == "term" else 0.0
        self.killed[f"{ending} {ROLES[number]}"] += 1
        self.start(number)
        return took, int(ending == "term" and not well)

    def run(self, kills: int, terms: int, brokers: int = 0, indices: int = 0) -> Verdict:
        """Kill and stop roles and services at random progress, let the rest finish, and judge."""
        began = time.monotonic()
        self.daemons.prepared()
        for number in range(len(ROLES)):
            # The first ingest daemon dies between storing its third page and its cursor: that page comes again.
            self.start(number, "ingest.stored=kill:3" if ROLES[number] == "ingest" else "")
        endings = ["kill"] * kills + ["term"] * terms + ["kafka"] * brokers + ["elasticsearch"] * indices
        self.dice.shuffle(endings)
        # Every role is hit before one is hit twice.
        order = [number for _ in range(len(endings) // len(ROLES) + 1)
                 for number in self.dice.sample(range(len(ROLES)), len(ROLES))]  # fmt: skip
        slowest, bad_exits, crashes = 0.0, 0, 0
        for index, ending in enumerate(endings):
            self.wait(int((index + self.dice.random()) / (len(endings) + 1) * self.documents))
            crashes += self.supervise()
            took, bad = self.strike(ending, order[index])
            slowest, bad_exits = max(slowest, took), bad_exits + bad
        self.wait(self.documents)
        archive, same = archive_of(self.daemons.settings), self.undisturbed()
        self.settled(archive, same)
        crashes += sum(life.poll() is not None for life in self.lives.values())
        slowest = max([slowest, *self.daemons.end().values()])
        seconds = time.monotonic() - began
        verdict = Verdict(self.documents, kills, terms, self.replays(), self.started, seconds, slowest)
        verdict.faults = {"bad exits": bad_exits, **self.judge(archive, same)}
        if self.own is None:  # while a service is away, a daemon may end and be started again
            verdict.faults["exits by themselves"] = crashes
        return verdict

    def wait(self, reached: int, timeout_s: float = 300) -> None:
        """Until the feed has handed over the line `reached`; whoever ends meanwhile is started again."""
        deadline = time.monotonic() + timeout_s
        while max((end for _, end in self.plain.deliveries()), default=0) < reached:
            self.supervise()
            if time.monotonic() > deadline:
                raise TimeoutError(f"no progress to {reached} in {timeout_s} s: {self.daemons.said()}")
            time.sleep(0.02)

    def undisturbed(self) -> SqliteArchive:
        """The same feed in one process that nobody kills."""
        given = json.loads(self.plain.config.read_text())
        given["data_dir"] = str(self.folder / "embedded")
        given["sources"][0] |= {"log": str(self.folder / "same.log"), "ends": True}
        path = self.folder / "same.yaml"
        path.write_text(json.dumps(given))
        chosen = load(path)
        Engine(chosen, "http://127.0.0.1").run(Event(), until_exhausted=True)
        return SqliteArchive(chosen.store_path)

    def settled(self, archive: Archive, same: Archive, timeout_s: float = 240) -> None:
        """Until everything that the undisturbed run has decided is decided here, and everybody was told."""
        deadline = time.monotonic() + timeout_s
        end = same.now() or EVER[0]
        while time.monotonic() < deadline:
            self.supervise()
            with suppress(RetryableError):  # an index that is only just being made, or comes back
                if self.is_settled(archive, end):
                    return
            time.sleep(0.5)

    def is_settled(self, archive: Archive, end: datetime) -> bool:
        """Whether everything is accepted, decided up to `end`, and told."""
        done = sum(row.accepted for row in archive.ledger()) == self.documents and (archive.now() or EVER[0]) >= end
        waiting = [each for each in archive.deliveries(limit=1000) if each.state in ("pending", "sending")]
        told = len(archive.deliveries(limit=1000)) >= len(archive.episodes(limit=1000))
        return done and told and not waiting

    def replays(self) -> int:
        """Pages that the feed handed over again, and batches that a score worker's successor began again."""
        delivered = sum(end - first for first, end in self.plain.deliveries())
        trials = [
            Trial.model_validate_json(entry.value)
            for entry in KafkaReader(self.daemons.settings.kafka).stretch("cursors", 0)
            if entry.key is not None and entry.key.startswith(b"trial/") and entry.value is not None
        ]
        return delivered - self.documents + sum(trial.tries > 1 for trial in trials)

    def judge(self, archive: Archive, same: Archive) -> dict[str, int]:
        """Everything must be 0."""
        numbers = range(self.documents)
        want = {outcome: {f"d{n}" for n in numbers if expected(n) == outcome} for outcome in ("indexed", "dead")}
        documents = list(archive.every_document())
        indexed = [each.document.native_id for each in documents]
        letters = archive.deadletters(limit=1000)
        dead = ["d" + each.raw.split('"d')[1].split('"')[0] for each in letters]
        issued = {f"d{n}": json.loads(line(n, self.plain.started))["text"] for n in numbers if expected(n) != "dead"}
        dropped = sum(archive.dropped().values())
        windows = [set(_windows(each)) for each in (archive, same)]
        episodes = [{each.model_dump_json() for each in store.episodes(limit=1000)} for store in (archive, same)]
        return {
            "lost": len(want["indexed"] - set(indexed)) + len(want["dead"] - set(dead)),
            "lost drops": abs(dropped - sum(expected(n) == "dropped" for n in numbers)),
            "visible duplicates": sum(count - 1 for count in [*Counter(indexed).values(), *Counter(dead).values()]),
            "indexed and dead": len(set(indexed) & set(dead)),
            "spurious or misfiled": len(set(indexed) - want["indexed"]) + len(set(dead) - want["dead"]),
            "corrupted": sum(issued.get(each.document.native_id) != each.document.text for each in documents),
            "ledger gap": sum(abs(row.gap) + row.pending for row in archive.ledger()) + archive.misfiled(),
            "windows that differ from the undisturbed run": len(windows[0] ^ windows[1]),
            "episodes that differ": len(episodes[0] ^ episodes[1]),
            "deliveries not sent": sum(each.state not in ("sent", "suppressed") for each in archive.deliveries()),
        }


def _windows(archive: Archive) -> list[str]:
    return [each.model_dump_json() for name in ("brava", "corvo") for each in archive.windows(name, *EVER)]


def main() -> int:
    """Run a campaign on services of its own and print the verdict as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--terms", type=int, default=5)
    parser.add_argument("--brokers", type=int, default=0, help="Restarts of Kafka (kill -9).")
    parser.add_argument("--indices", type=int, default=0, help="Restarts of Elasticsearch (kill -9).")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    folder = Path(mkdtemp(prefix="opinionwatch-daemon-campaign-", dir="/var/tmp"))
    with running() as started:
        addresses = {"kafka": started.kafka.address, "elasticsearch": started.elasticsearch.address}
        campaign = DaemonCampaign(folder, addresses, given.documents, given.seed, started)
        try:
            verdict = campaign.run(given.kills, given.terms, given.brokers, given.indices)
        finally:
            campaign.daemons.kill()
    said = {**vars(verdict), "seed": given.seed, "hit": dict(campaign.killed), "clean": verdict.clean}
    sys.stdout.write(json.dumps(said, indent=2) + "\n")
    return 0 if verdict.clean else 1


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parents[1]))
    sys.exit(main())
