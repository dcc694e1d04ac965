"""Overload: three times what the daemons can take, then a broker that is gone, on a real Kafka and Elasticsearch.

    python tests/faults/overload.py [--seconds 120] [--outage 60] [--scorer lexicon]

1. Capacity: posts wait in the log, then a score and a trend worker that were ready take them, undisturbed.
2. Three times that for `--seconds`; the daemons' resident memory is looked at twice a second.
3. The backlog: how fast it drains when nothing more comes.
4. The broker is killed at full load and stays away for `--outage` seconds; somebody keeps posting to the webhook.
   Then it comes back, and everything that was taken must be indexed.

“over ready” is memory above what a process had when it was ready to work, its model loaded. It is flat when the last
third of the overload has no more than the middle third, within 32 MB. A role that ends while the broker is away is
started again, as its supervisor would.
"""

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import httpx2

HERE = Path(__file__).resolve().parent
if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parents[1]))

from opinionwatch.connectors.demo import watchlists  # noqa: E402 - run as a script, this folder comes first
from opinionwatch.pipeline.archives import archive_of  # noqa: E402 - as above
from tests.bench.watching import numbers, ready, resident_mb  # noqa: E402 - as above
from tests.connectors.pushing import SECRET, Sender  # noqa: E402 - as above
from tests.faults.paced_feed import Pace  # noqa: E402 - as above
from tests.pipeline.daemons import Daemons  # noqa: E402 - as above
from tests.services.pair import Services, running  # noqa: E402 - as above
from tests.services.server import free_port  # noqa: E402 - as above

ROLES = ("ingest", "score", "trend")
LOOK_S, PATIENCE_S, SENDERS = 0.5, 900.0, 12
MOST_MB, FLAT_MB, OUTAGE_MB, DRAIN_SHARE = 512, 32, 64, 0.9


@dataclass
class Figures:
    """What was measured."""

    capacity_per_s: float = 0.0
    offered_per_s: float = 0.0
    overload_s: float = 0.0
    over_ready_mb: dict[str, float] = field(default_factory=dict)
    growth_mb: dict[str, float] = field(default_factory=dict)
    """Of the last third of the overload over its middle third."""
    drain_per_s: float = 0.0
    outage_s: float = 0.0
    outage_growth_mb: dict[str, float] = field(default_factory=dict)
    back_s: float = 0.0
    """From the broker's return to the next indexed document."""
    answers: Counter[str] = field(default_factory=Counter)
    """Of the webhook while the broker was away."""
    restarts: int = 0
    lost: int = 0

    def faults(self, *, long: bool) -> list[str]:
        """What is not as it must be; a short run is too short to say whether memory is flat or the drain is fast."""
        found = [f"{role}: {mb:.0f} MB over ready" for role, mb in self.over_ready_mb.items() if mb > MOST_MB]
        found += [f"{role}: {mb:+.0f} MB in the outage" for role, mb in self.outage_growth_mb.items() if mb > OUTAGE_MB]
        found += [f"{count} × {answer}" for answer, count in self.answers.items() if answer != "503 with Retry-After"]
        found += ["nobody was refused in the outage"] * (not self.answers)
        found += [f"{self.lost} documents lost or doubled"] * bool(self.lost)
        if long:
            found += [f"{role}: {mb:+.0f} MB, not flat" for role, mb in self.growth_mb.items() if mb > FLAT_MB]
            slow = self.drain_per_s < DRAIN_SHARE * self.capacity_per_s
            found += [f"drains at {self.drain_per_s / self.capacity_per_s:.2f} of capacity"] * slow
        return found


class Overload:
    """One run in a scratch folder, on services of its own."""

    def __init__(self, folder: Path, services: Services, scorer: str, **kafka: float) -> None:
        """`kafka` are settings that differ from the defaults."""
        self.services, self.figures = services, Figures()
        self.control, self.progress = folder / "pace.json", folder / "progress"
        self.progress.write_text("0")
        self.pace(0, 1)
        hooks = free_port()
        self.sender = Sender(hooks)
        self.ports = {role: free_port() for role in ROLES}
        self.daemons = Daemons(
            folder / "cluster",
            services.addresses,
            scorer={"kind": scorer},
            watchlists=list(watchlists()),
            sources=[
                {"name": "feed", "kind": "paced_feed:PacedFeed", "control": str(self.control),
                 "progress": str(self.progress)},
                {"name": "push", "kind": "webhook", "secrets": [SECRET]},
            ],
            hooks={"port": hooks},
            kafka={"servers": [services.kafka.address], "prefix": f"o{uuid4().hex[:10]}", **kafka},
        )  # fmt: skip
        self.lives: dict[str, subprocess.Popen[bytes]] = {}
        self.pushed = self.before = self.last = 0

    def pace(self, until: int, per_s: float) -> None:
        """Tell the feed."""
        beside = self.control.with_suffix(".new")
        beside.write_text(Pace(until=until, per_s=per_s).model_dump_json())
        beside.replace(self.control)

    @property
    def handed(self) -> int:
        """Posts that the feed has handed over, and that are in the log."""
        return int(self.progress.read_text())

    def start(self, role: str) -> None:
        """One life of a role."""
        path = f"{HERE}:{HERE.parents[1]}"
        self.lives[role] = self.daemons.start(role, "--monitor-port", str(self.ports[role]), PYTHONPATH=path)

    def ready(self, *roles: str) -> None:
        """Start roles, and wait until they are ready."""
        for role in roles:
            self.start(role)
        self.until(lambda: all(ready(self.ports[role]) for role in roles))

    def indexed(self) -> int:
        """Documents that this and earlier score workers have indexed, as far as anybody can say."""
        with suppress(httpx2.HTTPError):
            told = numbers(self.ports["score"]).get(("opinionwatch_records_total", "indexed"), 0.0)
            self.last = self.before + int(told)
        return self.last

    def until(self, true: Callable[[], bool], looks: Callable[[], None] = lambda: None) -> None:
        """Wait, and look around meanwhile."""
        deadline = time.monotonic() + PATIENCE_S
        while not true():
            if time.monotonic() > deadline:
                raise TimeoutError(self.daemons.said())
            looks()
            time.sleep(LOOK_S)

    def memory(self) -> dict[str, float]:
        """Resident now, by role."""
        return {role: resident_mb(life.pid) for role, life in self.lives.items()}

    def run(self, seconds: float, outage: float, warm: int) -> Figures:
        """Everything, one after the other."""
        self.daemons.prepared()
        self.ready("ingest")
        at_ready = self.memory()
        self.pace(warm, 1e6)
        self.until(lambda: self.handed >= warm)
        self.ready("score", "trend")
        at_ready = {**self.memory(), **at_ready}
        self.figures.capacity_per_s = self.drained(warm)
        self.overload(seconds, at_ready)
        self.outage(outage)
        return self.figures

    def drained(self, upto: int) -> float:
        """Documents a second from the first new one to the last."""
        first = self.indexed()
        self.until(lambda: self.indexed() > first)
        now, began = self.indexed(), time.monotonic()
        self.until(lambda: self.indexed() >= upto)
        return (upto - now) / (time.monotonic() - began)

    def overload(self, seconds: float, at_ready: Mapping[str, float]) -> None:
        """Three times as much as it can take, then nothing."""
        begin, began = self.handed, time.monotonic()
        seen: list[dict[str, float]] = []
        self.pace(10**9, 3 * self.figures.capacity_per_s)
        self.until(lambda: time.monotonic() - began >= seconds, lambda: seen.append(self.memory()))
        self.pace(0, 1)
        self.figures.overload_s = time.monotonic() - began
        self.figures.offered_per_s = (self.handed - begin) / self.figures.overload_s
        time.sleep(LOOK_S)
        self.figures.drain_per_s = self.drained(self.handed)
        third = max(1, len(seen) // 3)
        for role in ROLES:
            middle, last = (max(each[role] for each in part) for part in (seen[third : 2 * third], seen[2 * third :]))
            self.figures.growth_mb[role] = round(last - middle, 1)
            self.figures.over_ready_mb[role] = round(max(each[role] for each in seen) - at_ready[role], 1)

    def outage(self, seconds: float) -> None:
        """No broker at full load."""
        self.pace(10**9, self.figures.capacity_per_s)
        begin = self.indexed()
        self.until(lambda: self.indexed() > begin)
        assert self.post() == "200", "the webhook takes posts while the broker is there"
        before, seen = self.memory(), list[dict[str, float]]()
        self.services.kafka.kill()
        gone = time.monotonic()
        with ThreadPoolExecutor(SENDERS) as senders:
            answers = [senders.submit(self.posting, gone + seconds) for _ in range(SENDERS)]

            def look() -> None:
                seen.append(self.memory())
                self.supervise()

            self.until(lambda: time.monotonic() - gone >= seconds, look)
        self.figures.answers = sum((each.result() for each in answers), Counter())
        self.pace(0, 1)
        self.figures.outage_s = time.monotonic() - gone
        self.figures.outage_growth_mb = {
            role: round(max(each[role] for each in seen) - before[role], 1) for role in ROLES
        }
        standing = self.indexed()
        self.services.kafka.start()
        self.services.kafka.wait()
        back = time.monotonic()
        self.until(lambda: self.indexed() > standing, self.supervise)
        self.figures.back_s = time.monotonic() - back
        archive = archive_of(self.daemons.settings)

        def counts() -> tuple[int, int]:
            rows = archive.ledger()
            return sum(row.accepted for row in rows), sum(row.indexed for row in rows)

        def whole() -> bool:  # what was answered 503 may have been stored all the same
            accepted, there = counts()
            return accepted == there and accepted >= self.handed + self.pushed

        self.until(whole, self.supervise)
        self.figures.lost = sum(abs(row.gap) + row.pending for row in archive.ledger()) + archive.misfiled()
        self.daemons.end()

    def posting(self, until: float) -> Counter[str]:
        """Somebody posts to the webhook all the time; what the answers were."""
        found: Counter[str] = Counter()
        while time.monotonic() < until:
            found[self.post()] += 1
            time.sleep(LOOK_S)
        return found

    def post(self) -> str:
        """One post; what the answer was."""
        said = json.dumps({"native_id": uuid4().hex, "text": "Lumora is slow"}).encode()
        try:
            status, _, after = self.sender.post(said, webhook_id=uuid4().hex)
        except OSError as error:
            return type(error).__name__
        self.pushed += status == 200
        return f"{status} with Retry-After" if after else str(status)

    def supervise(self) -> None:
        """Start again what has ended."""
        for role, life in list(self.lives.items()):
            if life.poll() is not None:
                self.before = self.last if role == "score" else self.before
                self.start(role)
                self.figures.restarts += 1


def main() -> int:
    """Run on services of its own and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--outage", type=float, default=60)
    parser.add_argument("--warm", type=int, default=10_000, help="Documents that the capacity is measured with.")
    parser.add_argument("--scorer", default="lexicon")
    given = parser.parse_args()
    with running() as services, TemporaryDirectory(prefix="opinionwatch-overload-", dir="/var/tmp") as folder:
        test = Overload(Path(folder), services, given.scorer)
        try:
            figures = test.run(given.seconds, given.outage, given.warm)
        finally:
            test.daemons.kill()
    faults = figures.faults(long=given.seconds >= 60)
    sys.stdout.write(json.dumps({**vars(figures), "faults": faults, "clean": not faults}, indent=2) + "\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
