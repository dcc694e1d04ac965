"""Dead letters that people want tried again, as the ingest daemon takes them from their topic."""

from collections.abc import Callable
from types import TracebackType

from kafka import KafkaConsumer, TopicPartition

from opinionwatch.pipeline.contracts import DeadLetter
from opinionwatch.pipeline.kafka_client import RECONNECT_MS, admitted, speaking
from opinionwatch.pipeline.log_records import decode
from opinionwatch.pipeline.settings_kafka import Kafka
from opinionwatch.pipeline.topics import topic_of


class Redrives:
    """The redrives topic, read by whichever ingest daemon has its partition."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka
        self._place = TopicPartition(topic_of(kafka, "redrives"), 0)
        self._consumer: KafkaConsumer | None = None

    def take(self, retry: Callable[[DeadLetter], None]) -> int:
        """Give what has come to `retry`, and commit what it took. Returns how many. Raises RetryableError when the
        broker is away: the same letters come again.
        """
        with speaking(self._kafka, self._place.topic):
            if self._consumer is None:
                self._consumer = KafkaConsumer(
                    **admitted(self._kafka),
                    group_id=f"{self._kafka.prefix}.redrives",
                    enable_auto_commit=False,
                    auto_offset_reset="earliest",
                    allow_auto_create_topics=False,
                    bootstrap_timeout_ms=int(self._kafka.connect_s * 1000),
                    session_timeout_ms=int(self._kafka.session_s * 1000),
                    reconnect_backoff_max_ms=RECONNECT_MS,
                    metrics_enabled=False,
                )
                self._consumer.subscribe([self._place.topic])
            taken = 0
            entries = self._consumer.poll(timeout_ms=50, max_records=100).get(self._place, [])
            try:
                for entry in entries:
                    for letter in decode(entry.value or b""):
                        if isinstance(letter, DeadLetter):
                            retry(letter)
                            taken += 1
            except BaseException:  # else the consumer would go on behind them, and the next commit forget them
                self._consumer.seek(self._place, entries[0].offset)
                raise
            if taken:
                self._consumer.commit(timeout_ms=int(self._kafka.connect_s * 1000))
            return taken

    def __enter__(self) -> "Redrives":
        """Nothing yet: it connects when it is asked."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the group."""
        if self._consumer is not None:
            self._consumer.close(autocommit=False)
            self._consumer = None
