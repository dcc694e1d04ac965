"""Kafka: a topic of any producer, as JSON or in CloudEvents envelopes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Literal, Self

import orjson
from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from opinionwatch.connectors.backfill import passed
from opinionwatch.connectors.cloudevents import unwrapped
from opinionwatch.connectors.cursor import Cursor
from opinionwatch.connectors.named import Named
from opinionwatch.connectors.renames import Renames
from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.kafka_client import admitted, connection, speaking
from opinionwatch.pipeline.ports import Item, Missed, Page
from opinionwatch.pipeline.settings_kafka import Kafka, Mechanism, Security

PAGE_ITEMS = 500
PAGE_BYTES = 4 * 2**20
DISCOVER_S = 60.0
"""How often it looks for new partitions."""
_POLL_MS = 500


class KafkaTopic(Named):
    """Read the records of a Kafka topic, from any producer.

    A value is one `Submission` (`opinionwatch source schema` prints its JSON Schema), foreign JSON with `fields`, or a
    CloudEvents 1.0 event, structured or binary, whose `data` is one of these. What is no JSON becomes a dead letter.
    Partitions are assigned by this source alone, without a consumer group; the cursor is the next offset of each.
    Offsets that retention has removed are recorded as a gap with their range; new partitions are found within a minute.
    The brokers are yours, and asked as the settings say.

    A record without a value (a tombstone) deletes the text whose `native_id` is its key; without a key it says nothing.

    Delivery: at least once, and exactly the rest from every cursor. Only committed transactions are read.
    """

    kind = "kafka"

    class Settings(BaseModel):
        """Settings of a `kafka` source."""

        model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

        servers: tuple[str, ...] = Field(min_length=1, max_length=50, description="Brokers, each host:port.")
        topic: str = Field(min_length=1, max_length=249, pattern=r"^[\w.-]+$", description="Name of the topic.")
        fields: Renames = {}
        start: Literal["earliest", "latest"] = Field(default="earliest", description="Where the first life begins.")
        security: Security = Field(default="PLAINTEXT", description="How the brokers are spoken to.")
        allow_plaintext: bool = Field(
            default=False, description="Speak unencrypted to brokers that are not on this machine. Better: TLS."
        )
        ca_file: Path | None = Field(default=None, description="CA that signed the brokers; the system's if not given.")
        cert_file: Path | None = Field(default=None, description="Our own certificate, where the brokers ask for one.")
        key_file: Path | None = Field(default=None, description="Its key, readable by this user only.")
        mechanism: Mechanism = Field(default="SCRAM-SHA-512", description="SASL mechanism.")
        username: str | None = Field(default=None, max_length=200, description="SASL user.")
        password_file: Path | None = Field(default=None, description="File with the SASL password.")
        connect_s: float = Field(default=5.0, gt=0, le=60, description="Seconds to reach the brokers.")

        @property
        def brokers(self) -> Kafka:
            """Where the brokers are and how they are reached."""
            return Kafka.model_validate(self.model_dump(exclude={"topic", "fields", "start"}))

        @model_validator(mode="after")
        def _is_safe(self) -> Self:
            try:
                _ = self.brokers
            except ValidationError as error:
                raise ValueError("; ".join(str(mistake["msg"]) for mistake in error.errors())) from None
            return self

    def __init__(self, name: str, settings: Settings) -> None:
        super().__init__(name, settings.topic)
        self._given = settings
        self._brokers = settings.brokers
        connection(self._brokers)  # its files must be there
        self._fields = tuple(settings.fields.items())

    def fetch(self, cursor: str | None) -> Iterator[Page]:
        """Records as they come, until the brokers are away (RetryableError) or the source is closed."""
        offsets = _Offsets.read(cursor)
        if offsets is None or offsets.topic != self._given.topic:
            offsets = _Offsets(topic=self._given.topic)
        with self._consumer() as consumer:
            offsets, missed = self._assign(consumer, offsets)
            looked_at = monotonic()
            while not self._closing.is_set():
                if monotonic() - looked_at > DISCOVER_S:
                    looked_at = monotonic()
                    offsets, missed = self._assign(consumer, offsets)
                if missed:
                    yield Page([], offsets.model_dump_json(), missed)
                    missed = []
                for page, after in self._polled(consumer, offsets):
                    yield page
                    offsets = after

    def backfill(self, since: datetime, cursor: str | None) -> Iterator[Page]:
        """Records whose time is `since` or later, up to where the topic ends when it is first asked."""
        offsets = _Offsets.read(cursor)
        with self._consumer() as consumer:
            if offsets is None or offsets.topic != self._given.topic:
                offsets = self._course(consumer, since)
            offsets, missed = self._assign(consumer, offsets)
            if missed:
                yield Page([], offsets.model_dump_json(), missed)
            left = [number for number, end in offsets.until.items() if offsets.next[number] < end]
            places = [TopicPartition(self._given.topic, number) for number in left]
            consumer.assign(places)
            for place in places:
                consumer.seek(place, offsets.next[place.partition])
            first, last = sum(offsets.begun.values()), sum(offsets.until.values())
            # Transactions leave marks that are no records: the position passes them, an offset of a record does not.
            while any(consumer.position(place) < offsets.until[place.partition] for place in places):
                if self._closing.is_set():
                    return
                for page, after in self._polled(consumer, offsets):
                    yield replace(page, share=passed(first, last, sum(after.next[number] for number in after.until)))
                    offsets = after

    def _item(self, record: ConsumerRecord) -> Item:
        if record.value is not None:
            headers = tuple((name, text or b"") for name, text in record.headers)
            return Item(unwrapped(record.value, record.headers), fields=self._fields, headers=headers)
        native_id = record.key.decode("utf-8", "backslashreplace")
        return Item(orjson.dumps({"native_id": native_id, "deleted": True}))

    def check(self) -> str:
        """Whether the topic is there and may be read, and how many records it holds."""
        with self._consumer() as consumer:
            places = self._places(consumer)
            first, last = consumer.beginning_offsets(places), consumer.end_offsets(places)
            count = sum(last[place] - first[place] for place in places)
        return f"{self._given.topic} may be read; {len(places)} partitions, about {count:,} records"

    def _polled(self, consumer: KafkaConsumer, offsets: "_Offsets") -> "Iterator[tuple[Page, _Offsets]]":
        """Pages of what one question brings, each with the offsets after it."""
        found = consumer.poll(timeout_ms=_POLL_MS, max_records=PAGE_ITEMS)
        records = [record for part in found.values() for record in part]
        held: list[Item] = []
        size = 0
        for number, record in enumerate(records, 1):
            wanted = record.offset < offsets.until.get(record.partition, record.offset + 1)
            if wanted and (record.value is not None or record.key):
                held.append(self._item(record))
                size += len(held[-1].body)
            offsets = offsets.after(record.partition, record.offset + 1)
            if size >= PAGE_BYTES or number == len(records):
                if self._closing.is_set():
                    return
                yield Page(held, offsets.model_dump_json()), offsets
                held, size = [], 0

    def _course(self, consumer: KafkaConsumer, since: datetime) -> "_Offsets":
        """From the first records of that time to the ends of now."""
        places = self._places(consumer)
        last = consumer.end_offsets(places)
        at = consumer.offsets_for_times(dict.fromkeys(places, int(since.timestamp() * 1000)))
        starts = {place.partition: last[place] if at[place] is None else at[place].offset for place in places}
        until = {place.partition: last[place] for place in places}
        return _Offsets(topic=self._given.topic, next=starts, until=until, begun=starts)

    def _assign(self, consumer: KafkaConsumer, offsets: "_Offsets") -> "tuple[_Offsets, list[Missed]]":
        """Take every partition from where it stands. The offsets then, and what is no longer there."""
        missed: list[Missed] = []
        places = self._places(consumer)
        first, last = consumer.beginning_offsets(places), consumer.end_offsets(places)
        consumer.assign(places)
        fresh = not offsets.next
        for place in places:
            wanted = offsets.next.get(place.partition)
            if wanted is None:
                # A partition that was added later is read from its start, whatever the first life began with.
                wanted = last[place] if fresh and self._given.start == "latest" else first[place]
            elif not first[place] <= wanted <= last[place]:
                missed.append(_removed(place.partition, wanted, first[place], last[place]))
                wanted = first[place]
            consumer.seek(place, wanted)
            offsets = offsets.after(place.partition, wanted)
        return offsets, missed

    def _places(self, consumer: KafkaConsumer) -> list[TopicPartition]:
        found = consumer.partitions_for_topic(self._given.topic)
        if not found:
            raise RetryableError(f"no topic {self._given.topic} at {', '.join(self._given.servers)}", 5)
        return [TopicPartition(self._given.topic, number) for number in sorted(found)]

    @contextmanager
    def _consumer(self) -> Iterator[KafkaConsumer]:
        with speaking(self._brokers, self._given.topic):
            consumer = KafkaConsumer(
                **admitted(self._brokers),
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="none",
                isolation_level="read_committed",
                allow_auto_create_topics=False,
                bootstrap_timeout_ms=int(self._given.connect_s * 1000),
                fetch_max_bytes=2 * PAGE_BYTES,
                metrics_enabled=False,
            )
            try:
                yield consumer
            finally:
                consumer.close()


def _removed(partition: int, wanted: int, first: int, last: int) -> Missed:
    """What Kafka no longer has of a partition. It knows offsets and no times."""
    if wanted > last:
        return Missed(None, None, f"partition {partition}: it was made anew, or cut at {last} below {wanted}")
    return Missed(
        None, None, f"partition {partition}: retention removed offsets {wanted} to {first - 1}", first - wanted
    )


class _Offsets(Cursor):
    """The cursor."""

    whose = "Kafka"
    topic: str
    next: dict[int, int] = Field(default={})
    """The next offset of each partition."""
    until: dict[int, int] = Field(default={})
    """Where a backfill ends in each partition."""
    begun: dict[int, int] = Field(default={})
    """Where it began."""

    def after(self, partition: int, offset: int) -> "_Offsets":
        """With a partition read up to an offset."""
        return self.model_copy(update={"next": {**self.next, partition: offset}})
