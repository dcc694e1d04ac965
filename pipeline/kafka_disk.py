"""What the brokers hold of a partition on their disks, and waiting until they have deleted what was cut off.

It is asked for (DescribeLogDirs) and not believed: records before a log's start cannot be read any more, whether their
segments are deleted or not, and a compaction in between may melt them into a segment that stays.
"""

from collections.abc import Mapping, Sequence
from threading import Event
from time import monotonic

from kafka import TopicPartition
from kafka.protocol.consumer import IsolationLevel, OffsetSpec

from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.kafka_admin import admin
from opinionwatch.pipeline.settings_kafka import Kafka

Sizes = Mapping[tuple[int, TopicPartition], int]
"""Bytes of a partition's segments, by broker."""
ENDED_S = 30.0
"""How long the brokers may take to mark the end of a transaction that was confirmed."""


def held(kafka: Kafka, places: Sequence[TopicPartition]) -> Sizes:
    """How much every replica holds now, once every transaction has its mark.

    Raises FatalError when the brokers do not tell, RetryableError when transactions do not end.
    """
    latest = dict.fromkeys(places, OffsetSpec.LATEST)
    end = monotonic() + ENDED_S
    with admin(kafka) as client:
        while places:
            committed = client.list_partition_offsets(latest, isolation_level=IsolationLevel.READ_COMMITTED)
            if all(committed[place].offset == at.offset for place, at in client.list_partition_offsets(latest).items()):
                break
            if monotonic() > end:
                raise RetryableError("a transaction has not ended yet: is a daemon still running? Try again")
            Event().wait(0.1)
        brokers = client.describe_log_dirs(sorted({place.topic for place in places})) if places else []
    found = {
        (broker["broker"], TopicPartition(topic["name"], part["partition_index"])): int(part["partition_size"])
        for broker in brokers
        for folder in broker["log_dirs"]
        for topic in folder["topics"]
        for part in topic["partitions"]
        if not part["is_future_key"]
    }
    untold = set(places) - {place for _, place in found}
    if untold:
        raise FatalError(
            f"the brokers do not say how much they hold of {', '.join(sorted({place.topic for place in untold}))}: "
            "let this user DESCRIBE the CLUSTER"
        )
    return {key: size for key, size in found.items() if key[1] in set(places)}


def wait_until_deleted(kafka: Kafka, before: Sizes, appended_to: Sizes, patience_s: float) -> None:
    """Wait until nothing is held but what was appended between these two looks, compaction being off.

    Raises RetryableError when it is still held after `patience_s`.
    """
    places = sorted({place for _, place in before})
    end = monotonic() + patience_s
    while left := [
        place
        for (broker, place), size in held(kafka, places).items()
        if size > appended_to.get((broker, place), 0) - before.get((broker, place), 0)
    ]:
        if monotonic() > end:
            raise RetryableError(
                f"the brokers still hold what was cut from {', '.join(sorted({place.topic for place in left}))} after "
                f"{patience_s:g} s: is log.cleaner.backoff.ms longer, or a broker away? Run it again"
            )
        Event().wait(0.5)
