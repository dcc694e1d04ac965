"""Erasure from the logs: a broker only ever deletes whole segments, so what stays is written again and the rest is cut.

Everything in the logs has been read by those it is for (that is checked), so only the saved states matter: the trend
hop's and the outbox's, which are written again without what is erased. Then each partition gets a new segment, and
everything before it is deleted. The brokers free the files by themselves at their next look (`log.retention.check.
interval.ms`, five minutes by default, and `file.delete.delay.ms` after it).

Compaction is off until they have let go of the compacted ones: it melts small segments together, and a new one that
was melted into an old one, beside a successor that is not closed yet, kept the old records for a day.

A crash at any place leaves every log complete, or cut after what it needs was written: do it again.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Event
from time import monotonic
from typing import Any

from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.structs import OffsetAndMetadata

from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.kafka_admin import admin
from opinionwatch.pipeline.kafka_disk import held, wait_until_deleted
from opinionwatch.pipeline.kafka_read import KafkaReader
from opinionwatch.pipeline.log import Appender, Entry
from opinionwatch.pipeline.log_records import Mark, decode
from opinionwatch.pipeline.settings_kafka import Kafka
from opinionwatch.pipeline.topics import COMPACTED, TopicName, partitions_of, topic_of, topics

READ: dict[TopicName, str] = {
    "documents": "documents",
    "mentions": "mentions",
    "alerts": "notify",
    "redrives": "redrives",
}
"""The consumer group that reads a log, without the prefix. Every ingest daemon is in that of the redrives."""
FILLER = b"\n"
"""An entry without a record: it is in a segment of its own, before which everything is cut."""
APPLIED_S = 5.0
"""How long brokers may take to follow a topic's new configuration; the client cannot ask each of them."""
DELETED_S = 180.0
"""How long brokers may take to delete the old segments of compacted topics (`log.cleaner.backoff.ms`: 15 s)."""
NEVER_MS = 2**63 - 1
Place = tuple[TopicName, int]
"""Topic and partition."""


def at_rest(kafka: Kafka) -> Mapping[Place, int | None]:
    """See that no daemon runs and that every record was read (marks of progress are written again by themselves).
    Returns how far each log was read. Raises FatalError when it is not so.
    """
    groups = {topic: f"{kafka.prefix}.{group}" for topic, group in READ.items()}
    busy, committed = _groups(kafka, list(groups.values()))
    if busy:
        raise FatalError(f"daemons are running (groups {', '.join(sorted(busy))}): stop all of them, then erase")
    reader, reached = KafkaReader(kafka), dict[Place, int | None]()
    for topic, group in groups.items():
        for partition in range(partitions_of(kafka, topic)):
            at = committed.get(group, {}).get(_place(kafka, (topic, partition)))
            first = reader.ends(topic, partition)[0]
            # What was cut by an earlier erasure had been read.
            reached[topic, partition] = None if at is None or at.offset < 0 else max(at.offset, first)
            behind = reader.stretch(topic, partition, reached[topic, partition])
            records = (record for entry in behind for record in decode(entry.value or b""))
            unread = sum(not isinstance(record, Mark) for record in records)
            if unread:
                raise FatalError(
                    f"{unread} records of {topic_of(kafka, topic)} have not been read: start the daemons but `ingest`, "
                    "let them finish, stop them, then erase"
                )
    return reached


def _groups(kafka: Kafka, names: list[str]) -> tuple[list[str], Mapping[str, Mapping[TopicPartition, Any]]]:
    """Those that have members, and what each has committed."""
    end = monotonic() + kafka.connect_s
    while True:
        try:
            with admin(kafka) as client:
                told = client.describe_groups(names)
                busy = [name for name, group in told.items() if group.get("members")]
                return busy, client.list_group_offsets(dict.fromkeys(names))
        except RetryableError:  # a broker that has never seen a group looks for a coordinator first
            if monotonic() > end:
                raise
            Event().wait(0.5)


@contextmanager
def cutting(kafka: Kafka, names: Sequence[TopicName]) -> Iterator[Mapping[Place, int]]:
    """Whatever is appended within begins new segments, at the offsets that are given; when the block has ended well,
    everything before them is deleted.

    Raises RetryableError when the brokers keep it: do it again.
    """
    places = [(topic, partition) for topic in names for partition in range(partitions_of(kafka, topic))]
    melting = [_place(kafka, place) for place in places if place[0] in COMPACTED]
    _configure(kafka, names, rolled=True)
    try:
        Event().wait(APPLIED_S)
        reader = KafkaReader(kafka)
        begins = {place: reader.ends(*place)[1] for place in places}
        old = held(kafka, melting)
        yield begins
        appended_to = held(kafka, melting)
        with admin(kafka) as client:
            client.delete_records({_place(kafka, place): at for place, at in begins.items()})
            for topic, group in READ.items():
                # So that nobody looks for what is not there any more.
                found = {_place(kafka, each): at for each, at in begins.items() if each[0] == topic}
                if found:
                    moved = {place: OffsetAndMetadata(at, "", -1) for place, at in found.items()}
                    client.alter_group_offsets(f"{kafka.prefix}.{group}", moved)
        wait_until_deleted(kafka, old, appended_to, DELETED_S)
    finally:
        _configure(kafka, names, rolled=False)


def _place(kafka: Kafka, place: Place) -> TopicPartition:
    return TopicPartition(topic_of(kafka, place[0]), place[1])


def fill(log: Appender, kafka: Kafka, names: Sequence[TopicName]) -> None:
    """A filler at the end of every partition."""
    log.append([Entry(topic, part, FILLER) for topic in names for part in range(partitions_of(kafka, topic))])


def _configure(kafka: Kafka, names: Sequence[TopicName], *, rolled: bool) -> None:
    standing = {topic.name: dict(topic.configs) for topic in topics(kafka)}
    resources = []
    for name in names:
        values = {"segment.ms": "1"}
        if name in COMPACTED:
            # A broker deletes records of such topics only where the policy allows it; and it compacts none whose dirty
            # part cannot exceed the ratio.
            values |= {"cleanup.policy": "compact,delete", "retention.ms": "-1"}
            values |= {"min.cleanable.dirty.ratio": "1", "max.compaction.lag.ms": str(NEVER_MS)}
        usual = standing[topic_of(kafka, name)]
        back = {key: ("SET", usual[key]) if key in usual else ("DELETE", None) for key in values}
        told: dict[str, object] = {key: ("SET", value) for key, value in values.items()} if rolled else {**back}
        resources.append(ConfigResource(ConfigResourceType.TOPIC, topic_of(kafka, name), configs=told))
    with admin(kafka) as client:
        client.alter_configs(resources)
