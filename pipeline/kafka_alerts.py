"""The alerts topic as the notifier reads it: one owner at a time, and what was polled is committed when it is done."""

from collections.abc import Callable
from types import TracebackType

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition

from opinionwatch.pipeline.kafka_client import RECONNECT_MS, admitted, speaking
from opinionwatch.pipeline.kafka_group import is_member
from opinionwatch.pipeline.log import Stored
from opinionwatch.pipeline.settings_kafka import Kafka
from opinionwatch.pipeline.topics import topic_of

POLL_MS = 500
LEAVE_MS = 120_000
"""How long the owner may take to finish what it is doing before the topic is given away over its head."""


class AlertFeed:
    """Membership in the group of notifiers. `gained` and `lost` are called from `poll`; `lost` must end all sending."""

    def __init__(self, kafka: Kafka, gained: Callable[[], None], lost: Callable[[], None]) -> None:
        self._kafka, self._gained, self._lost = kafka, gained, lost
        self._group = f"{kafka.prefix}.notify"
        self._place = TopicPartition(topic_of(kafka, "alerts"), 0)
        self._wait_ms = int(kafka.connect_s * 1000)
        self._owns = self._behind = False
        with speaking(kafka, self._place.topic):
            self._consumer = KafkaConsumer(
                **admitted(kafka),
                group_id=self._group,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                isolation_level="read_committed",
                allow_auto_create_topics=False,
                bootstrap_timeout_ms=self._wait_ms,
                session_timeout_ms=int(kafka.session_s * 1000),
                max_poll_interval_ms=LEAVE_MS,
                reconnect_backoff_max_ms=RECONNECT_MS,
                metrics_enabled=False,
            )
            self._consumer.subscribe([self._place.topic], listener=_Told(self._left))

    @property
    def owns(self) -> bool:
        """Whether the topic is ours."""
        return self._owns

    def counts(self) -> bool:
        """Whether the broker still counts us in, which who slept, or was cut off from it, cannot know. From any thread.

        Raises RetryableError when no broker answers.
        """
        return is_member(self._kafka, self._group, self._consumer.group_metadata().member_id)

    def poll(self) -> list[Stored]:
        """What has come; nothing while another process owns the topic. RetryableError: no broker."""
        with speaking(self._kafka, self._place.topic):
            self._catch_up()
            found = self._consumer.poll(timeout_ms=POLL_MS, max_records=100).get(self._place, [])
            if not self._owns and self._place in self._consumer.assignment():
                self._gained()
                self._owns = True  # not before: whoever could not take over tries again
            return [Stored(record.offset, record.key, record.value) for record in found]

    def commit(self) -> None:
        """What was polled is done."""
        with speaking(self._kafka, self._place.topic):
            self._consumer.commit(timeout_ms=self._wait_ms)

    def rewind(self) -> None:
        """What was polled is not done: it comes again, with the next poll that the broker answers."""
        self._behind = True

    def _catch_up(self) -> None:
        if self._behind and self._place in self._consumer.assignment():
            committed = self._consumer.committed(self._place, timeout_ms=self._wait_ms)
            self._consumer.seek(self._place, committed if committed is not None else 0)
        self._behind = False

    def _left(self) -> None:
        if self._owns:
            self._owns = False
            self._lost()

    def __enter__(self) -> "AlertFeed":
        """It is a member already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave, so that another takes over at once."""
        self._left()
        self._consumer.close(autocommit=False)


class _Told(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python is not typed
    def __init__(self, left: Callable[[], None]) -> None:
        self._left = left

    def on_partitions_revoked(self, revoked: object) -> None:
        """Before another can own it."""
        del revoked
        self._left()

    def on_partitions_assigned(self, assigned: object) -> None:
        """Seen by the next poll."""
        del assigned
