"""Watches a campaign's cluster from outside: how far every part has come, who owns what, and how long a recovery takes.

A part has recovered from a fault when it has got further than it stood when it was hit: ingest when its heartbeat is in
the documents log again, a worker's hop when every one of its partitions was committed beyond that point, the notifier
when it owns the alerts. Where a second fault hits the same part meanwhile, the clock starts again.
"""

import json
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock, Thread

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.kafka_client import admitted
from opinionwatch.pipeline.settings import Settings

EVERY_S = 0.25
PARTS = {"ingest": ("ingest",), "score": ("score",), "trend": ("trend",), "notify": ("notify",),
         "kafka": ("ingest", "score", "trend", "notify"),
         "elasticsearch": ("ingest", "score", "trend", "notify")}  # fmt: skip
"""What each fault hits."""
Stand = Mapping[str, Mapping[int, int]]
"""By part, how far each of its partitions has come."""


@dataclass
class Wound:
    """A part that was hit and has not recovered yet."""

    fault: str
    part: str
    at: float
    before: Mapping[int, int] | None
    """None: not known yet, the broker was away."""


@dataclass
class Watch:
    """One thread that asks every quarter of a second."""

    settings: Settings
    allowed: Path
    """Where the feed reads how far it may go."""
    ahead: int
    """Documents that the feed may be ahead of the index: so every fault finds every role at work."""
    ready: Callable[[], str]
    """Address of the notifier's page."""
    took: list[tuple[str, str, float]] = field(default_factory=list)
    """Every recovery: fault, part, seconds."""
    moves: int = 0
    """How often partitions were seen with other owners than before."""
    settled: int = 0
    """Documents in the ledger."""

    def __post_init__(self) -> None:
        self.limit = self.ahead
        """The feed goes no further, however far the index has come: the next fault shall find work."""
        self._wounds: list[Wound] = []
        self._owners: dict[str, dict[int, str]] = {}
        self.members: dict[str, int] = {}
        self._lock, self._asking = Lock(), Lock()
        self._ended = Event()
        self._admin: KafkaAdminClient | None = None
        self._consumer: KafkaConsumer | None = None
        self._thread = Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()
        self._away()

    def hit(self, fault: str, kind: str, at: float) -> None:
        """A fault of this kind has happened at this moment (a service: has come back)."""
        stand = self._stand()
        with self._lock:
            for part in PARTS[kind]:
                before = {0: 0} if part == "notify" else None if stand is None else stand[part]
                self._wounds = [one for one in self._wounds if one.part != part]
                self._wounds.append(Wound(fault, part, at, before))

    def is_well(self) -> bool:
        """Whether nothing is waiting to recover."""
        return not self._wounds

    def says(self) -> str:
        """What waits to recover, from where."""
        return ", ".join(f"{one.part} after {one.fault} (was at {one.before})" for one in self._wounds) or "nothing"

    def _run(self) -> None:
        last = 0.0
        while not self._ended.wait(EVERY_S):
            self._heal(self._stand())
            if time.monotonic() - last > 1:
                last = time.monotonic()
                self._let_go()
                self._compare()

    def _heal(self, stand: Stand | None) -> None:
        if stand is None:
            return
        with self._lock:
            for wound in list(self._wounds):
                if wound.before is None:
                    wound.before = stand[wound.part]
                elif _is_further(stand[wound.part], wound.before):
                    self._wounds.remove(wound)
                    self.took.append((wound.fault, wound.part, time.monotonic() - wound.at))

    def _stand(self) -> Stand | None:
        """How far everything has come; None when the broker does not say."""
        with self._asking:
            return self._asked()

    def _asked(self) -> Stand | None:
        kafka = self.settings.kafka
        try:
            self._admin = self._admin or KafkaAdminClient(
                **admitted(kafka), bootstrap_timeout_ms=2000, request_timeout_ms=3000
            )
            groups = {"score": f"{kafka.prefix}.documents", "trend": f"{kafka.prefix}.mentions"}
            found = {name: self._admin.list_group_offsets(group)[group] for name, group in groups.items()}
            places = [TopicPartition(f"{kafka.prefix}.documents", n) for n in range(kafka.documents_partitions)]
            ends = self._ends(places)
        except (KafkaError, OSError, RetryableError):
            self._away()
            return None
        stand = {name: {place.partition: one.offset for place, one in offsets.items()}
                 for name, offsets in found.items()}  # fmt: skip
        counts = {"score": kafka.documents_partitions, "trend": kafka.mentions_partitions}
        for name, count in counts.items():
            stand[name] = {number: stand[name].get(number, -1) for number in range(count)}
        return {**stand, "ingest": ends, "notify": {0: int(self._is_ready())}}

    def _ends(self, places: list[TopicPartition]) -> dict[int, int]:
        kafka = self.settings.kafka
        self._consumer = self._consumer or KafkaConsumer(
            **admitted(kafka), enable_auto_commit=False, bootstrap_timeout_ms=2000
        )
        return {place.partition: end for place, end in self._consumer.end_offsets(places, timeout_ms=3000).items()}

    def _away(self) -> None:
        for client in (self._admin, self._consumer):
            with suppress(KafkaError, OSError):
                if client is not None:
                    client.close()
        self._admin = self._consumer = None

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.ready()}/readyz", timeout=2) as answer:  # noqa: S310 - an address of ours
                return bool(answer.status == 200)
        except OSError:
            return False

    def _let_go(self) -> None:
        """Tell the feed how far it may go, by what is in the ledger."""
        address = f"{self.settings.elasticsearch.hosts[0]}/{self.settings.elasticsearch.prefix}-ledger/_count"
        asked = urllib.request.Request(  # noqa: S310 - an address of ours
            address, b'{"query":{"term":{"ledger.state":"accepted"}}}', {"Content-Type": "application/json"}
        )
        with suppress(OSError), urllib.request.urlopen(asked, timeout=5) as answer:  # noqa: S310 - as above
            self.settled = max(self.settled, int(json.load(answer)["count"]))
        fresh = self.allowed.with_suffix(".fresh")
        fresh.write_text(str(min(self.settled + self.ahead, self.limit)))
        fresh.replace(self.allowed)

    def _compare(self) -> None:
        """Count when partitions have changed hands since they were last seen owned."""
        names = [f"{self.settings.kafka.prefix}.{topic}" for topic in ("documents", "mentions")]
        try:
            with self._asking:
                groups = {} if self._admin is None else self._admin.describe_groups(names)
        except (KafkaError, OSError):
            return
        for name, group in groups.items():
            if group["group_state"] != "Stable":
                continue
            owners = {
                partition: str(member["member_id"])
                for member in group["members"]
                for topic in member["member_assignment"]["assigned_partitions"]
                for partition in topic["partitions"]
            }
            self.members[name.rpartition(".")[2]] = len(set(owners.values()))
            before = self._owners.get(name)
            self.moves += before is not None and owners != before
            self._owners[name] = owners


def _is_further(now: Mapping[int, int], before: Mapping[int, int]) -> bool:
    return all(now[part] > before[part] for part in before)


def percentile(values: list[float], share: float) -> float:
    """The smallest value that so many are not above.

    >>> percentile([3.0, 1.0, 2.0], 0.95)
    3.0
    """
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
