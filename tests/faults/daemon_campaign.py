"""The kill campaign on the daemons: roles and services die at random progress, and an oracle judges what is left.

    make campaign documents=20000 kills=10 terms=5 brokers=2 elastics=1 rebalances=4 seed=7
    python -m tests.faults.daemon_campaign --documents 20000 --kills 10 --terms 5 --seed 7

A fault strikes when the feed has come to a place that the dice have chosen, and (three in four) when the one before is
over. The feed is never far ahead of the index, so everybody is at work when it does.
"""

import argparse
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from opinionwatch.pipeline.archive import Archive
from opinionwatch.pipeline.archives import archive_of
from opinionwatch.pipeline.errors import RetryableError
from tests.alerts.slack_api_stub import CHANNEL, TOKEN, SlackApi, slack_api
from tests.faults.cluster import HERE, Cluster
from tests.faults.documents import Documents, deliveries
from tests.faults.evidence import Say, gathered
from tests.faults.oracle import Expected, Found
from tests.faults.watch import Watch, percentile
from tests.services.pair import Services

ROOT = HERE.parents[1]
EXIT_S, BACK_S = 30.0, 20.0
"""Most seconds of a SIGTERM, and of 95 in 100 recoveries."""
OVERLAPPING = 0.25
TOPIC = {"score": "documents", "trend": "mentions"}


@dataclass(frozen=True)
class Plan:
    """How often what happens."""

    documents: int
    kills: int
    terms: int = 0
    brokers: int = 0
    elastics: int = 0
    rebalances: int = 0
    seed: int = 7

    @property
    def ahead(self) -> int:
        """Documents that the feed may be ahead of the index."""
        return max(200, min(8000, self.documents // 10))

    def strikes(self, dice: random.Random) -> list[str]:
        """In the order in which they come."""
        found = ["kill"] * self.kills + ["term"] * self.terms + ["kafka"] * self.brokers
        found += ["elasticsearch"] * self.elastics + ["rebalance"] * self.rebalances
        dice.shuffle(found)
        return found


@dataclass(frozen=True)
class Verdict:
    """What came of it."""

    plan: Plan
    found: Found
    faults: Mapping[str, int]
    """The oracle's, and what went wrong with processes. All must be 0."""
    fired: Mapping[str, int]
    """How often each fault really happened."""
    lives: int
    moves: int
    """Times that partitions were seen to have other owners than before."""
    slowest_exit_s: float
    back_s: Mapping[str, tuple[int, float, float]]
    """Recoveries by fault: how many, 95th percentile and longest in seconds; `all` together."""
    seconds: float
    """From the first life to the last document settled and the last alert told."""

    @property
    def weak(self) -> list[str]:
        """Goals that were missed although nothing was lost."""
        found = []
        if not self.found.replays:
            found.append("no replay was seen: this run proves nothing")
        if not self.found.alerts:
            found.append("the undisturbed run raised no alert: nothing is proven about alerts")
        if self.fired.get("rebalance seen", 0) < self.plan.rebalances:
            found.append(f"of {self.plan.rebalances} rebalances, {self.fired.get('rebalance seen', 0)} were seen")
        if self.slowest_exit_s > EXIT_S:
            found.append(f"a SIGTERM took {self.slowest_exit_s:.1f} s, more than {EXIT_S:.0f}")
        if self.back_s["all"][1] > BACK_S:
            found.append(f"back to progress within {self.back_s['all'][1]:.1f} s (p95), more than {BACK_S:.0f}")
        return found

    @property
    def clean(self) -> bool:
        """No fault, and every goal reached."""
        return not any(self.faults.values()) and not self.weak

    def told(self) -> dict[str, object]:
        """For a machine."""
        return {**vars(self), "plan": vars(self.plan), "found": self.found.model_dump(exclude={"faults"}),
                "weak": self.weak, "documents_per_s": round(self.plan.documents / self.seconds, 1),
                "clean": self.clean}  # fmt: skip

    def lines(self) -> str:
        """For a person."""
        back = ", ".join(f"{name} {p95:.1f} s of {count}" for name, (count, p95, _) in self.back_s.items())
        wrong = {name: count for name, count in self.faults.items() if count}
        return "\n".join(
            [
                f"{self.plan.documents:,} documents in {self.seconds:.0f} s, "
                f"{self.plan.documents / self.seconds:.0f}/s, "
                f"{self.lives} lives, seed {self.plan.seed}",
                f"faults that happened: {', '.join(f'{name} {count}' for name, count in sorted(self.fired.items()))}",
                f"partitions changed hands {self.moves} times, {self.found.replays} replays, slowest SIGTERM "
                f"{self.slowest_exit_s:.1f} s",
                f"back to progress, p95: {back}",
                f"{self.found.alerts} alerts and {self.found.windows:,} windows of the undisturbed run compared; "
                f"{self.found.repeats} messages said that they may be repetitions",
                f"wrong: {wrong}" if wrong else f"all 0: {', '.join(self.faults)}",
                *self.weak,
                "clean" if self.clean else "NOT CLEAN",
            ]
        )


def undisturbed(folder: Path) -> Expected:
    """What the oracle says must come."""
    asked("expect", folder)
    return Expected.model_validate_json((folder / "expected.json").read_text())


def settled(cluster: Cluster, expected: Expected, slack: SlackApi, within_s: float) -> None:
    """Wait until everything is accepted and decided, and every alert told. Raises TimeoutError with what is missing."""
    rest = partial(_missing, archive_of(cluster.daemons.settings), expected, slack)
    cluster.wait(lambda: not rest(), within_s, every_s=1, of=rest)


def _missing(archive: Archive, expected: Expected, slack: SlackApi) -> str:
    try:
        if (accepted := sum(row.accepted for row in archive.ledger())) < expected.documents:
            return f"{expected.documents - accepted} of {expected.documents} documents are not accepted"
        if (now := archive.now()) is None or now < expected.now:
            return f"decided up to {now}, not {expected.now}"
    except RetryableError as error:  # an index that is only just being made, or comes back
        return str(error)
    told = len(slack.messages)
    return f"{told} of {len(expected.alerts)} alerts are told" if told < len(expected.alerts) else ""


def asked(what: str, folder: Path) -> str:
    """The oracle, in a process of its own."""
    command = [sys.executable, "-m", "tests.faults.oracle", what, str(folder)]
    done = subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": f"{HERE}:{ROOT}"}, capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


class DaemonCampaign:
    """One run in a scratch folder, on services that the caller started."""

    def __init__(
        self,
        folder: Path,
        services: Mapping[str, str],
        plan: Plan,
        *,
        own: Services | None = None,
        say: Callable[[str], object] = lambda _: None,
    ) -> None:
        """`own` are services that may be killed."""
        self.folder, self.services, self.plan, self.own, self.say = folder, services, plan, own, say
        self.documents, self.dice = Documents(plan.documents), random.Random(plan.seed)

    def run(self) -> Verdict:
        """Strike, let the rest finish, and judge."""
        with slack_api() as slack:
            channel = {"name": "team", "kind": "slack_bot", "token": TOKEN, "channel": CHANNEL, "api": slack.api,
                       "allow_loopback": True}  # fmt: skip
            cluster = Cluster(self.folder, self.services, self.documents, own=self.own, channels=(channel,))
            self.say("the undisturbed run, in one process")
            expected = undisturbed(self.folder)
            self.say(f"{len(expected.alerts)} alerts are expected")
            began = time.monotonic()
            try:
                cluster.begin()
                watch = Watch(cluster.daemons.settings, cluster.allowed, self.plan.ahead, lambda: cluster.notifier)
                with watch:
                    self._strike_all(cluster, watch)
                    self.say("no more faults; the rest is done")
                    settled(cluster, expected, slack, 1800)
                    seconds = time.monotonic() - began
                    cluster.wait(watch.is_well, 60)
                crashes = cluster.crashes
                cluster.end()
            finally:
                cluster.daemons.kill()
        told = [[str(one["metadata"]["event_payload"]["alert_id"]), json.dumps(one["blocks"])]
                for one in slack.messages]  # fmt: skip
        (self.folder / "told.json").write_text(json.dumps(told))
        self.say("the oracle looks")
        found = Found.model_validate_json(asked("judge", self.folder))
        faults = {**found.faults, "bad exits": cluster.bad_exits}
        if self.own is None:  # while a service is away, a daemon may end and be started again
            faults["exits by themselves"] = crashes
        names = sorted({fault for fault, _, _ in watch.took})
        back = {name: [took for fault, _, took in watch.took if fault == name] for name in names}
        back["all"] = [took for _, _, took in watch.took]
        return Verdict(
            plan=self.plan,
            found=found,
            faults=faults,
            fired={**Counter(cluster.fired), "exits by themselves": crashes},
            lives=cluster.started,
            moves=watch.moves,
            slowest_exit_s=round(max(cluster.exits), 1),
            back_s={name: (len(all_), round(percentile(all_, 0.95), 1), round(max(all_, default=0), 1))
                    for name, all_ in back.items()},
            seconds=round(seconds, 1),
        )  # fmt: skip

    def _strike_all(self, cluster: Cluster, watch: Watch) -> None:
        strikes = self.plan.strikes(self.dice)
        # Every role is hit before one is hit twice.
        order = iter([number for _ in range(len(strikes)) for number in self.dice.sample(range(6), 6)])
        share = self.documents.count / (len(strikes) + 1)
        places = [int((index + self.dice.random()) * share) for index in range(len(strikes))]
        for index, (place, ending) in enumerate(zip(places, strikes, strict=True)):
            watch.limit = place + self.plan.ahead
            cluster.wait(lambda place=place: self._reached() >= place, 300)  # type: ignore[misc]  # bound now
            if self.dice.random() >= OVERLAPPING:
                cluster.wait(watch.is_well, 120, of=watch.says)
            self.say(f"{index + 1} of {len(strikes)}: {ending}; the feed is at {self._reached():,}, "
                     f"{watch.settled:,} in the ledger")  # fmt: skip
            self._strike(cluster, watch, ending, order)
        watch.limit = self.documents.count + 1
        cluster.wait(lambda: self._reached() >= self.documents.count, 1200)

    def _strike(self, cluster: Cluster, watch: Watch, ending: str, order: Iterator[int]) -> None:
        if ending in ("kill", "term"):
            number = next(order)
            role = cluster.roles[number]
            watch.hit(f"{ending} {role}", role, (cluster.kill if ending == "kill" else cluster.term)(number))
        elif ending == "rebalance":
            self._rebalance(cluster, watch)
        else:
            watch.hit(f"restart {ending}", ending, cluster.restart(ending))

    def _rebalance(self, cluster: Cluster, watch: Watch) -> None:
        """A worker joins, or one that has joined leaves again; it counts when the group says so."""
        there = cluster.joined()
        role = cluster.roles[there[0]] if there else self.dice.choice(["score", "trend"])
        change = cluster.leave(there[0]) if there else cluster.join(role)
        with suppress(TimeoutError):
            cluster.wait(lambda: watch.members.get(TOPIC[role]) == [*cluster.roles.values()].count(role), 60)
            cluster.fired["rebalance seen"] += 1
        watch.hit(f"{'leave' if there else 'join'} {role}", role, change if there else time.monotonic())

    def _reached(self) -> int:
        return max((end for _, end in deliveries(self.folder / "delivered.log")), default=0)


def main() -> int:
    """Run a campaign on services of its own; lines for people to standard error, JSON to standard output."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--terms", type=int, default=5)
    parser.add_argument("--brokers", type=int, default=0, help="Restarts of Kafka (kill -9).")
    parser.add_argument("--elastics", type=int, default=0, help="Restarts of Elasticsearch (kill -9), under load.")
    parser.add_argument("--rebalances", type=int, default=0, help="Workers that join or leave.")
    parser.add_argument("--seed", type=int, default=7)
    plan = Plan(**vars(parser.parse_args()))

    def campaign(folder: Path, started: Services, say: Say) -> tuple[bool, Mapping[str, object]]:
        verdict = DaemonCampaign(folder, started.addresses, plan, own=started, say=say).run()
        sys.stderr.write(verdict.lines() + "\n")
        return verdict.clean, verdict.told()

    return gathered("daemon-campaign", campaign)


if __name__ == "__main__":
    sys.exit(main())
