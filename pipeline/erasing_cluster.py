"""Erasure in the cluster: corrections, saved states, logs, index, in this order, with every daemon at rest.

It is seen that no daemon runs and that everything written was read; then whoever may still run is shut out (ingest,
trend and notify own what they write). The states that outlive the logs are written again without what is erased, the
logs are cut, and the index is cleared. The documents go last, since they say what is to be erased: after a crash
anywhere the same command does what is left.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from pydantic import ValidationError

from opinionwatch.pipeline.contracts_trend import Delivery
from opinionwatch.pipeline.corrections import Corrections
from opinionwatch.pipeline.elastic_client import connect
from opinionwatch.pipeline.elastic_erasing import Doomed, ElasticErasing
from opinionwatch.pipeline.errors import FatalError
from opinionwatch.pipeline.kafka_erasing import Place, at_rest, cutting, fill
from opinionwatch.pipeline.kafka_log import KafkaLog
from opinionwatch.pipeline.kafka_read import KafkaReader
from opinionwatch.pipeline.lanes import Lanes
from opinionwatch.pipeline.log import Entry
from opinionwatch.pipeline.scrub import scrubbed_delivery
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.settings_kafka import Kafka
from opinionwatch.pipeline.topics import TopicName
from opinionwatch.pipeline.trend_partition import Make, TrendPartition
from opinionwatch.pipeline.trend_store import Saved, TrendStore

CUT: tuple[TopicName, ...] = ("documents", "mentions", "alerts", "deadletters", "redrives")
MERGE_S = 600.0
"""How long Elasticsearch may take to free what was deleted."""
AT_ONCE = 200
"""Deliveries in one transaction."""
NOTE = b"note/"
"""How keys of the outbox begin that hold no delivery."""


def kinds(settings: Settings) -> list[str]:
    """Kinds of sources that documents in the index came from."""
    with connect(settings.elasticsearch) as client:
        index = ElasticErasing(client, settings.elasticsearch)
        try:
            return index.kinds()
        finally:
            index.close()


def erase(settings: Settings, authors: Sequence[str], documents: Sequence[str], make: Make) -> int:
    """Erase authors (pseudonyms) and documents (ids, or what their sources call them). Returns how many documents and
    dead letters were found. Raises FatalError when a daemon runs or has left something unread.
    """
    kafka = settings.kafka
    with connect(settings.elasticsearch) as client:
        index = ElasticErasing(client, settings.elasticsearch)
        try:
            if kafka.servers:
                at_rest(kafka)
            index.remember(authors, datetime.now(UTC))
            doomed = index.find(authors, [id_ for name in documents for id_ in (name, *index.named(name))])
            Corrections(settings.data_dir).forget({*documents, *doomed.ids}, set(authors))
            if kafka.servers:
                _erase_from_the_logs(kafka, doomed, make)
            index.take_away(doomed)
            index.expunge(MERGE_S)
        finally:
            index.close()
    return len(doomed)


def _erase_from_the_logs(kafka: Kafka, doomed: Doomed, make: Make) -> None:
    reader = KafkaReader(kafka)
    ingest = KafkaLog(kafka, owner=f"{kafka.prefix}.ingest.{kafka.ingest}")
    outbox = KafkaLog(kafka, owner=f"{kafka.prefix}.notify")
    store = TrendStore(lambda partition: KafkaLog(kafka, owner=f"{kafka.prefix}.trend.{partition}"), reader)
    plain = KafkaLog(kafka)
    try:
        ingest.open()
        outbox.open()
        reached = at_rest(kafka)
        numbers = range(kafka.mentions_partitions)
        found = [_partition(kafka, number, store, reader, make, reached) for number in numbers]
        with cutting(kafka, (*CUT, "trend", "outbox")) as begins:
            for number, partition in zip(numbers, found, strict=True):
                partition.forget(doomed.mentions, doomed.authors)
                store.save(number, Saved(begins["mentions", number], partition.save()))
            kept = [
                Entry("outbox", 0, _scrubbed(key, body, doomed), key) for key, body in reader.latest("outbox").items()
            ]
            outbox.append([Entry("outbox", 0, b"{}", b"-")])  # so that there is a new segment, whatever there was
            for start in range(0, len(kept), AT_ONCE):
                outbox.append(kept[start : start + AT_ONCE])
            fill(plain, kafka, CUT)
    finally:
        for log in (ingest, outbox, plain):
            log.close()
        store.close()


def _partition(
    kafka: Kafka,
    number: int,
    store: TrendStore,
    reader: KafkaReader,
    make: Make,
    reached: Mapping[Place, int | None],
) -> TrendPartition:
    """A trend partition as it stood when its worker was stopped."""
    saved = store.take_over(number)
    lanes, offset = kafka.documents_partitions, reached["mentions", number]
    partition = (
        TrendPartition(make, Lanes(lanes))
        if saved is None
        else TrendPartition.of(make, lanes, saved.offset, saved.state)
    )
    if offset is not None and offset > partition.offset:
        behind = reader.stretch("mentions", number, None if saved is None else partition.offset, offset)
        partition.replay(((record.offset, record.value or b"") for record in behind), datetime.now(UTC))
    return partition


def _scrubbed(key: bytes, body: bytes, doomed: Doomed) -> bytes:
    if key.startswith(NOTE) or body == b"{}":
        return body
    try:
        delivery = Delivery.model_validate_json(body)
    except ValidationError as error:
        raise FatalError("a delivery in the outbox topic cannot be read: two versions of opinionwatch?") from error
    kept = scrubbed_delivery(delivery, doomed.texts)
    return body if kept is delivery else kept.model_dump_json(exclude_defaults=True).encode()
