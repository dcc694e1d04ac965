"""What has to be so before logs are cut, and what is left of them."""

from collections.abc import Mapping
from threading import Event
from uuid import uuid4

import pytest
from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType

from opinionwatch.pipeline import kafka_admin
from opinionwatch.pipeline.errors import FatalError
from opinionwatch.pipeline.kafka_alerts import AlertFeed
from opinionwatch.pipeline.kafka_disk import held
from opinionwatch.pipeline.kafka_erasing import FILLER, at_rest, cutting, fill
from opinionwatch.pipeline.kafka_log import KafkaLog
from opinionwatch.pipeline.kafka_read import KafkaReader
from opinionwatch.pipeline.log import Entry
from opinionwatch.pipeline.log_records import Mark, encode
from opinionwatch.pipeline.settings_kafka import Kafka
from opinionwatch.pipeline.topics import topic_of
from tests.pipeline.sample import NOON, document


@pytest.fixture
def kafka(services: Mapping[str, str]) -> Kafka:
    """Settings with topics."""
    made = Kafka(servers=(services["kafka"],), prefix=f"t{uuid4().hex[:10]}", mentions_partitions=1)
    kafka_admin.create(made)
    return made


def test_marks_may_be_unread_and_records_may_not(kafka: Kafka) -> None:
    log = KafkaLog(kafka)
    log.append([Entry("documents", 0, encode(Mark(ingest="one", partition=0, up_to=NOON)))])
    assert at_rest(kafka)["documents", 0] is None
    log.append([Entry("documents", 0, encode(document(1)))])
    with pytest.raises(FatalError, match=rf"1 records of {kafka.prefix}.documents have not been read"):
        at_rest(kafka)
    log.close()


def test_a_daemon_that_runs_is_named(kafka: Kafka) -> None:
    owned: list[bool] = []
    with AlertFeed(kafka, lambda: owned.append(True), owned.clear) as feed:
        while not owned:
            feed.poll()
        with pytest.raises(FatalError, match=rf"{kafka.prefix}.notify\): stop all of them"):
            at_rest(kafka)
    at_rest(kafka)


def test_what_stood_before_the_cut_is_gone_and_what_was_written_within_stays(kafka: Kafka) -> None:
    log, reader = KafkaLog(kafka), KafkaReader(kafka)
    log.append([Entry("documents", 0, b"old"), Entry("outbox", 0, b"old", b"key")])
    with cutting(kafka, ("documents", "outbox")) as begins:
        log.append([Entry("outbox", 0, b"new", b"key")])
        fill(log, kafka, ("documents",))
    assert (begins["documents", 0], begins["outbox", 0]) == (1, 1)
    assert [each.value for each in reader.stretch("documents", 0)] == [FILLER]
    assert [each.value for each in reader.stretch("outbox", 0)] == [b"new"]
    assert all(state.right for state in kafka_admin.check(kafka))
    assert at_rest(kafka)["documents", 0] == 1, "who reads it goes on behind the cut"
    log.close()


def test_a_block_that_fails_cuts_nothing(kafka: Kafka) -> None:
    log = KafkaLog(kafka)
    log.append([Entry("documents", 0, b"old")])
    with pytest.raises(FatalError, match="half-way"), cutting(kafka, ("documents", "trend")):
        raise FatalError("half-way")
    assert [each.value for each in KafkaReader(kafka).stretch("documents", 0)] == [b"old"]
    assert all(state.right for state in kafka_admin.check(kafka))
    log.close()


def compacted(kafka: Kafka, log: KafkaLog) -> None:
    """Returns when the broker has compacted a topic beside: whatever else it would compact, it has."""
    eager = {"segment.ms": ("SET", "1"), "min.cleanable.dirty.ratio": ("SET", "0")}
    with kafka_admin.admin(kafka) as client:
        client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic_of(kafka, "cursors"), configs=eager)])
    place, most, pause = TopicPartition(topic_of(kafka, "cursors"), 0), 0, Event()
    while (size := sum(held(kafka, [place]).values())) >= most:
        most = size
        log.append([Entry("cursors", 0, b"x" * 1000, b"the same")])
        pause.wait(0.1)


def test_a_compaction_while_a_log_is_cut_keeps_nothing_of_what_stood_before(kafka: Kafka) -> None:
    """It once melted the first new entry into the old segment, which then was no longer before the cut."""
    log = KafkaLog(kafka)
    keys = [f"key{number}".encode() for number in range(20)]
    log.append([Entry("outbox", 0, b"old" * 1000, key) for key in keys])
    with cutting(kafka, ("outbox",)):
        for value in (b"{}", b"[]"):  # the first of two segments is closed and may be compacted
            log.append([Entry("outbox", 0, value, b"-")])
        compacted(kafka, log)
        log.append([Entry("outbox", 0, b"new", key) for key in keys])
    assert 0 < sum(held(kafka, [TopicPartition(topic_of(kafka, "outbox"), 0)]).values()) < 3000
    log.close()
