"""Every failpoint in real daemons: killed, stopped, failed and hung there, in the first pass of a life and later.

    python -m tests.faults.failpoint_sweep                   all of them, on services of its own
    python -m tests.faults.failpoint_sweep --only notify     one role's

A failpoint stands behind one step and before the next. One cluster works on a feed the whole time; the roles are swept
side by side, each life armed with one case, so that the next case recovers from the one before. A case has fired when
the process says so, and must then end as its action wants: kill by -9, term with 0, hang by its watchdog with 75, raise
in any way. At the end the oracle of the daemon campaign judges everything that was ever accepted. The embedded runtime
is swept beside them by the embedded campaign's oracle; it has no watchdog, so whoever hangs there is killed.
"""

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from opinionwatch.pipeline.kafka_log import KafkaLog
from opinionwatch.pipeline.log import Entry
from opinionwatch.pipeline.log_records import encode
from tests.alerts.deliver import alerts
from tests.alerts.slack_api_stub import CHANNEL, TOKEN, slack_api
from tests.faults.campaign import Campaign
from tests.faults.cluster import Cluster
from tests.faults.daemon_campaign import asked, settled, undisturbed
from tests.faults.documents import Documents
from tests.faults.evidence import Say, gathered
from tests.faults.failpoint_cases import CASES, SWEPT_BY, Case, Lane, ended
from tests.faults.oracle import Expected, Found
from tests.services.pair import Services

DOCUMENTS_A_CASE, DOCUMENTS_A_S, ALERTS_A_CASE = 100, 12, 12
"""Enough that no feed ends before its sweep does, and that every life finds something to do."""


@dataclass
class Verdict:
    """What came of it."""

    cases: int
    fired: int
    seconds: float
    faults: Mapping[str, int]
    """The oracles'. All must be 0."""
    wrong: Sequence[str]
    """Cases that did not fire, or ended otherwise than they must."""
    slowest_s: Mapping[str, float] = field(default_factory=dict)
    """From firing to the end of the process, by action."""

    @property
    def clean(self) -> bool:
        """All fired, all ended as they must, nothing lost."""
        return not any(self.faults.values()) and not self.wrong and self.fired == self.cases


class Sweep:
    """These cases on these services, in a scratch folder."""

    def __init__(
        self,
        folder: Path,
        services: Mapping[str, str],
        cases: Sequence[Case],
        say: Callable[[str], object] = lambda _: None,
        patience_s: float = 20,
    ) -> None:
        """`patience_s` is the daemons' watchdogs', longer than a start takes on this machine."""
        self.patience_s = patience_s
        self.folder, self.services, self.say = folder, services, say
        self.cases = {role: [case for case in cases if case.role == role] for role in dict.fromkeys(SWEPT_BY.values())}
        plain = sum(len(found) for role, found in self.cases.items() if role != "embedded")
        self.documents = Documents(max(1000, DOCUMENTS_A_CASE * plain))
        self.alerts = alerts(ALERTS_A_CASE * len(self.cases["notify"]))
        (folder / "alone").mkdir()
        self.allowed = folder / "allowed"
        lonely = max(1000, 200 * len(self.cases["embedded"]))
        self.alone = Campaign(folder / "alone", lonely, 1, allowed=str(self.allowed), page_items=16)
        self._stop = Event()

    def run(self) -> Verdict:
        """Sweep, let the rest finish, and judge."""
        began = time.monotonic()
        with slack_api() as slack, ThreadPoolExecutor(7) as pool:
            channel = {"name": "team", "kind": "slack_bot", "token": TOKEN, "channel": CHANNEL, "api": slack.api,
                       "allow_loopback": True}  # fmt: skip
            cluster = Cluster(
                self.folder, self.services, self.documents, channels=(channel,), page_items=16,
                monitor={"port": 0, "patience_s": self.patience_s}, kafka={"session_s": 6},
            )  # fmt: skip
            log = KafkaLog(cluster.daemons.settings.kafka)
            expected = pool.submit(undisturbed, self.folder)
            try:
                cluster.daemons.prepared()
                pool.submit(self._pace)
                lanes = self._lanes(cluster, log)
                swept = [pool.submit(lane.sweep, self.cases[role], self.say) for role, lane in lanes.items()]
                for each in swept:
                    each.result()
                self._stop.set()
                self.say("no more cases; the rest is done")
                self.allowed.write_text(str(10**9))
                self._expected(expected.result(), log)
                settled(cluster, self._want, slack, 900)
                if self.cases["embedded"]:
                    self.alone.wait(swept[-1].result(), self.alone.documents, 120)
                    self.alone.settled()
                    ended(swept[-1].result(), signal.SIGTERM)
                cluster.end()
            finally:
                self._stop.set()
                cluster.daemons.kill()
                log.close()
        told = [[str(one["metadata"]["event_payload"]["alert_id"]), json.dumps(one["blocks"])]
                for one in slack.messages]  # fmt: skip
        (self.folder / "told.json").write_text(json.dumps(told))
        return self._judged(lanes, time.monotonic() - began)

    def _pace(self) -> None:
        """Let the feeds go on slowly, so that there is work in every life."""
        allowed = 0.0
        while not self._stop.wait(0.2):
            allowed += DOCUMENTS_A_S * 0.2
            fresh = self.allowed.with_suffix(".fresh")
            fresh.write_text(str(int(allowed)))
            fresh.replace(self.allowed)

    def _lanes(self, cluster: Cluster, log: KafkaLog) -> dict[str, Lane]:
        """One for each role; the notifier's is given alerts to tell."""
        self._waiting = list(self.alerts)

        def alert() -> None:
            if self._waiting:
                # In their order: what comes after a later one about the same episode is not told.
                log.append([Entry("alerts", 0, encode(self._waiting.pop(0)))])

        def nothing() -> None:
            """The feed is enough."""

        lanes = {
            role: Lane(
                cluster.starter(role),
                cluster.daemons.folder / f"{role}.err",
                alert if role == "notify" else nothing,
                self._stop,
            )
            for role in self.cases
            if role != "embedded"
        }
        if self.cases["embedded"]:
            lanes["embedded"] = Lane(self.alone.start, self.alone.folder / "stderr.log", nothing, self._stop)
        return lanes

    def _expected(self, want: Expected, log: KafkaLog) -> None:
        """The oracle must know of the alerts that we have made ourselves."""
        log.append([Entry("alerts", 0, encode(each)) for each in self._waiting])
        self._want = want.model_copy(update={"alerts": [*want.alerts, *(each.id for each in self.alerts)]})
        (self.folder / "expected.json").write_text(self._want.model_dump_json())

    def _judged(self, lanes: Mapping[str, Lane], seconds: float) -> Verdict:
        found = Found.model_validate_json(asked("judge", self.folder))
        lonely = self.alone.judge() if self.cases["embedded"] else {}
        return Verdict(
            cases=sum(map(len, self.cases.values())),
            fired=sum(lane.fired for lane in lanes.values()),
            seconds=round(seconds, 1),
            faults={**found.faults, **{f"embedded: {name}": count for name, count in lonely.items()}},
            wrong=[wrong for lane in lanes.values() for wrong in lane.wrong],
            slowest_s={
                action: round(max(lane.slowest.get(action, 0.0) for lane in lanes.values()), 1)
                for action in ("term", "hang")
            },
        )


def main() -> int:
    """Sweep on services of its own; lines for people to standard error, JSON to standard output."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="Points whose name begins like this.")
    parser.add_argument("--every", type=int, default=1, help="Every so-manieth case only.")
    parser.add_argument("--patience", type=float, default=10, help="Of the watchdogs; a start must be quicker.")
    given = parser.parse_args()
    cases = [case for case in CASES if case.point.startswith(given.only) or case.role == given.only][:: given.every]

    def sweep(folder: Path, started: Services, say: Say) -> tuple[bool, Mapping[str, object]]:
        verdict = Sweep(folder, started.addresses, cases, say, given.patience).run()
        return verdict.clean, {
            **vars(verdict),
            "points": len({case.point for case in cases}),
            "clean": verdict.clean,
        }

    return gathered("failpoints", sweep)


if __name__ == "__main__":
    sys.exit(main())
