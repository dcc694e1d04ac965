"""What the campaign over all sources finds: the documents log as it was read, and the verdict on it."""

from collections import defaultdict
from dataclasses import dataclass, field

from kafka import KafkaConsumer, TopicPartition

from opinionwatch.pipeline.contracts import DeadLetter, Document, Gap
from opinionwatch.pipeline.log_records import decode
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.topics import topic_of

PARTITIONS = 3


@dataclass
class Verdict:
    """What the oracle found. Everything in `faults` must be 0."""

    documents: int
    kills: int
    terms: int
    brokers: int
    seconds: float
    replays: int
    """Documents that stand in the log more than once, under one id."""
    lost_upstream: int
    """Documents that a service had dropped before they were asked for."""
    gaps: int
    faults: dict[str, int] = field(default_factory=dict)
    by_kind: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """No fault, and the kills really hurt."""
        return not any(self.faults.values()) and self.replays > 0

    def text(self) -> str:
        """For people."""
        columns = ("documents", "replays", "gaps", "lost upstream", "lost")
        rows = [f"{'kind':<14}" + "".join(f"{name:>15}" for name in columns)]
        rows += [
            f"{kind:<14}" + "".join(f"{row[name]:>15,}" for name in columns)
            for kind, row in sorted(self.by_kind.items())
        ]
        rows += [
            f"{self.documents:,} documents, {self.kills} kills, {self.terms} stops, {self.brokers} broker kills, "
            f"{self.replays:,} replays, {self.gaps} gaps for {self.lost_upstream:,} documents lost upstream",
            ", ".join(f"{name} {count}" for name, count in self.faults.items()),
            f"{self.seconds:.0f} s: {'clean' if self.clean else 'NOT CLEAN'}",
        ]
        return "\n".join(rows)


class Topic:
    """The documents log, as far as it was read: what each kind has handed over."""

    def __init__(self, chosen: Settings) -> None:
        self._consumer = KafkaConsumer(
            bootstrap_servers=list(chosen.kafka.servers), group_id=None, enable_auto_commit=False, metrics_enabled=False
        )
        self._places = [TopicPartition(topic_of(chosen.kafka, "documents"), part) for part in range(PARTITIONS)]
        self._consumer.assign(self._places)
        self._consumer.seek_to_beginning(*self._places)
        self.documents: dict[str, list[Document]] = defaultdict(list)
        self.letters: list[DeadLetter] = []
        self.gaps: dict[str, dict[str, Gap]] = defaultdict(dict)
        self.count = 0

    def look(self) -> None:
        """Read what was added, and wait a moment if there is nothing."""
        for found in self._consumer.poll(timeout_ms=100, max_records=1000).values():
            for entry in found:
                for record in decode(entry.value or b""):
                    match record:
                        case Document():
                            self.documents[record.source_kind].append(record)
                            self.count += 1
                        case DeadLetter():
                            self.letters.append(record)
                        case Gap():
                            self.gaps[record.source][record.id] = record

    def whole(self) -> None:
        """Read to where it ends now."""
        ends = self._consumer.end_offsets(self._places)
        while any(self._consumer.position(place) < end for place, end in ends.items()):
            self.look()

    def close(self) -> None:
        """Let go."""
        self._consumer.close()
