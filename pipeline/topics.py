"""The topics as data: what each is for, how it is cut, and how long it keeps what it has.

    documents    partition by document id   scoring spreads over all partitions and any number of workers
    mentions     partition by watchlist     all documents of a watchlist's windows meet in one trend partition, in one
                                            order: duplicates, voices and the detector need them together
    alerts       one partition              one owner at a time, so that nothing is told twice
    deadletters  one partition              records that nobody can take, masked, for people to look at
    redrives     one partition              dead letters that a person wants tried again
    cursors      one partition, compacted   how far each source is, and how far time has come
    trend        as mentions, compacted     the trend hop's saved state with the offset it stands at
    outbox       one partition, compacted   every delivery in its last state

The partition of a record is a function of its key alone (`partition_of`), the same in every program and version; that
is why a topic's partition count is fixed once it is made.
"""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal, get_args

from opinionwatch.pipeline.settings_kafka import Kafka

TopicName = Literal["documents", "mentions", "alerts", "deadletters", "redrives", "cursors", "trend", "outbox"]
TOPIC_NAMES: tuple[TopicName, ...] = get_args(TopicName)
HOUR_MS = 3_600_000
SEGMENT_BYTES = 64 * 1024 * 1024
COMPACTED = frozenset({"cursors", "trend", "outbox"})


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as it must be."""

    name: str
    partitions: int
    replication: int
    configs: tuple[tuple[str, str], ...]
    """Kafka's own names and values, sorted."""


def topic_of(kafka: Kafka, name: TopicName) -> str:
    """The topic's full name.

    >>> topic_of(Kafka(), "documents")
    'opinionwatch.documents'
    """
    return f"{kafka.prefix}.{name}"


def partitions_of(kafka: Kafka, name: TopicName) -> int:
    """How many partitions a topic has."""
    if name == "documents":
        return kafka.documents_partitions
    return kafka.mentions_partitions if name in ("mentions", "trend") else 1


def topics(kafka: Kafka) -> tuple[Topic, ...]:
    """All of them, as the settings want them."""
    return tuple(_topic(kafka, name) for name in TOPIC_NAMES)


def _topic(kafka: Kafka, name: TopicName) -> Topic:
    configs = {"min.insync.replicas": str(max(1, kafka.replication - 1)), "compression.type": "producer"}
    if name in COMPACTED:
        configs |= {
            "cleanup.policy": "compact",
            "segment.bytes": str(SEGMENT_BYTES),
            "max.compaction.lag.ms": str(24 * HOUR_MS),
        }
    else:
        hours = kafka.retention_h if name in ("documents", "mentions") else kafka.deadletters_retention_h
        configs |= {"cleanup.policy": "delete", "retention.ms": str(hours * HOUR_MS), "retention.bytes": "-1"}
    return Topic(topic_of(kafka, name), partitions_of(kafka, name), kafka.replication, tuple(sorted(configs.items())))


def partition_of(key: str, partitions: int) -> int:
    """Where the records of this key are.

    >>> partition_of("lumora", 4)
    3
    """
    return int.from_bytes(blake2b(key.encode("utf-8", "surrogatepass"), digest_size=4).digest(), "big") % partitions
