"""Reading a stretch of one partition by its offsets: for saved state and for catching up, not for a live stream."""

from collections.abc import Iterator

from kafka import KafkaConsumer, TopicPartition

from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.kafka_client import admitted, speaking
from opinionwatch.pipeline.log import Stored
from opinionwatch.pipeline.settings_kafka import Kafka
from opinionwatch.pipeline.topics import TopicName, topic_of

_SILENT_POLLS = 30
_POLL_MS = 500


class KafkaReader:
    """A `Reader` of the settings' broker. Each call opens a connection of its own."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka

    def stretch(
        self, topic: TopicName, partition: int, start: int | None = None, end: int | None = None
    ) -> Iterator[Stored]:
        """As `Reader` says; only committed transactions. Raises RetryableError when the broker is away."""
        kafka = self._kafka
        place = TopicPartition(topic_of(kafka, topic), partition)
        with speaking(kafka, place.topic):
            consumer = KafkaConsumer(
                **admitted(kafka),
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="none",
                isolation_level="read_committed",
                bootstrap_timeout_ms=int(kafka.connect_s * 1000),
                allow_auto_create_topics=False,
                max_partition_fetch_bytes=8_000_000,
                metrics_enabled=False,
            )
            try:
                consumer.assign([place])
                first = consumer.beginning_offsets([place])[place]
                last = consumer.end_offsets([place])[place] if end is None else end
                begin = first if start is None else start
                if begin < first and begin < last:
                    raise FatalError(
                        f"{place.topic}, partition {partition}: offset {begin} is needed and {first} is the oldest "
                        "there is: the log was kept too short; raise kafka.retention_h and restore the topic"
                    )
                yield from _between(consumer, place, begin, last)
            finally:
                consumer.close()

    def ends(self, topic: TopicName, partition: int) -> tuple[int, int]:
        """The offset of the oldest record there is, and that of the next one to come."""
        kafka, place = self._kafka, TopicPartition(topic_of(self._kafka, topic), partition)
        with speaking(kafka, place.topic):
            consumer = KafkaConsumer(
                **admitted(kafka),
                group_id=None,
                bootstrap_timeout_ms=int(kafka.connect_s * 1000),
                allow_auto_create_topics=False,
                metrics_enabled=False,
            )
            try:
                return int(consumer.beginning_offsets([place])[place]), int(consumer.end_offsets([place])[place])
            finally:
                consumer.close()

    def latest(self, topic: TopicName, partition: int = 0) -> dict[bytes, bytes]:
        """As `Reader` says, in the order of the values."""
        found: dict[bytes, bytes] = {}
        for record in self.stretch(topic, partition):
            if record.key is None:
                continue
            found.pop(record.key, None)
            if record.value is not None:
                found[record.key] = record.value
        return found


def _between(consumer: KafkaConsumer, place: TopicPartition, begin: int, last: int) -> Iterator[Stored]:
    silent = 0
    consumer.seek(place, begin)
    while (at := consumer.position(place)) < last:
        batch = consumer.poll(timeout_ms=_POLL_MS, max_records=500).get(place, [])
        for record in batch:
            if record.offset >= last:
                return
            yield Stored(record.offset, record.key, record.value)
        silent = 0 if batch or consumer.position(place) > at else silent + 1
        if silent >= _SILENT_POLLS:
            raise RetryableError(f"{place.topic}, partition {place.partition}: nothing comes from the broker", 1)
