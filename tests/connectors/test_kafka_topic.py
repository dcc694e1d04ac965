"""A topic of a real Kafka: restarts, retention, new partitions, envelopes."""

import json
from collections.abc import Iterator
from uuid import uuid4

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition

from opinionwatch.connectors import kafka_topic
from opinionwatch.connectors.cloudevents import unwrapped
from opinionwatch.connectors.kafka_topic import KafkaTopic
from opinionwatch.pipeline.errors import FatalError, RetryableError, SettingsError
from opinionwatch.pipeline.ports import Page
from tests.connectors.reading_services import bodies, ids
from tests.contract.source_suite import build, items


class Topic:
    """A topic of its own on the real broker."""

    def __init__(self, servers: str, partitions: int = 3) -> None:
        self.servers = servers
        self.name = f"posts-{uuid4().hex[:12]}"
        self.admin = KafkaAdminClient(bootstrap_servers=servers)
        self.admin.create_topics({self.name: {"num_partitions": partitions, "replication_factor": 1}})
        self.producer = KafkaProducer(bootstrap_servers=servers, metadata_max_age_ms=300)

    def send(self, numbers: range, partition: int | None = None) -> None:
        """Submissions by number."""
        for number in numbers:
            told = json.dumps({"native_id": str(number), "text": f"text {number}"}).encode()
            self.put(told, number % 3 if partition is None else partition)
        self.producer.flush()

    def put(
        self,
        value: bytes | None,
        partition: int = 0,
        headers: list[tuple[str, bytes]] | None = None,
        key: bytes | None = b"key",
    ) -> None:
        """Any record."""
        self.producer.send(self.name, value, key=key, partition=partition, headers=headers or []).get(20)

    def source(self, **given: object) -> KafkaTopic:
        """A source that reads it."""
        found = build("kafka", **{"servers": [self.servers], "topic": self.name, **given})
        assert isinstance(found, KafkaTopic)
        return found


@pytest.fixture
def topic(services: dict[str, str]) -> Iterator[Topic]:
    made = Topic(services["kafka"])
    yield made
    made.producer.close()
    made.admin.delete_topics([made.name])
    made.admin.close()


def until(source: KafkaTopic, cursor: str | None, count: int) -> list[Page]:
    """Pages until so many documents are there."""
    taken: list[Page] = []
    for page in source.fetch(cursor):
        taken.append(page)
        if len(items(taken)) >= count:
            break
    source.close()
    return taken


def test_every_cursor_gives_exactly_the_rest(topic: Topic) -> None:
    topic.send(range(1_300))
    pages = until(topic.source(), None, 1_300)
    assert sorted(map(int, ids(pages))) == list(range(1_300))
    done: set[str] = set()
    for page in pages[:-1]:
        done |= set(ids([page]))
        rest = ids(until(topic.source(), page.cursor, 1_300 - len(done)))
        assert set(rest) == {str(n) for n in range(1_300)} - done
        assert len(rest) == 1_300 - len(done)
    topic.send(range(1_300, 1_310))
    assert sorted(ids(until(topic.source(), pages[-1].cursor, 10))) == [str(n) for n in range(1_300, 1_310)]


def test_the_first_life_may_begin_at_the_end(topic: Topic) -> None:
    topic.send(range(10))
    source = topic.source(start="latest")
    pages = source.fetch(None)
    taken: list[Page] = []
    original = source._assign

    def assigned(*given: object) -> object:
        found = original(*given)  # type: ignore[arg-type]  # handed on as they are
        topic.send(range(10, 15))
        return found

    source._assign = assigned  # type: ignore[method-assign,assignment]  # the moment between assigning and reading
    for page in pages:
        taken.append(page)
        if len(items(taken)) >= 5:
            break
    assert sorted(ids(taken)) == [str(n) for n in range(10, 15)]


def test_what_retention_has_removed_is_recorded_as_a_gap_with_its_range(topic: Topic) -> None:
    topic.send(range(600), partition=1)
    first = next(topic.source().fetch(None))
    stands = json.loads(first.cursor)["next"]["1"]
    topic.send(range(600, 700), partition=1)
    topic.admin.delete_records({TopicPartition(topic.name, 1): 650})
    pages = until(topic.source(), first.cursor, 50)
    assert ids(pages) == [str(n) for n in range(650, 700)]
    [gap] = [gap for page in pages for gap in page.missed]
    assert (gap.detail, gap.count) == (f"partition 1: retention removed offsets {stands} to 649", 650 - stands)


def test_a_partition_that_is_added_is_read_from_its_start(topic: Topic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_topic, "DISCOVER_S", 0.2)
    topic.send(range(3))
    pages = until(topic.source(), None, 3)
    topic.admin.create_partitions({topic.name: 4})
    while len(topic.producer.partitions_for(topic.name)) < 4:
        topic.put(None, key=b"")
    topic.send(range(3, 8), partition=3)
    assert sorted(ids(until(topic.source(), pages[-1].cursor, 5))) == [str(n) for n in range(3, 8)]


def test_envelopes_are_opened_tombstones_delete_what_their_key_names_and_nonsense_goes_on_to_be_a_dead_letter(
    topic: Topic,
) -> None:
    event = {"specversion": "1.0", "id": "7", "source": "/shop", "type": "t", "time": "2026-03-01T08:00:00Z"}
    topic.put(json.dumps({**event, "data": {"text": "structured"}}).encode())
    topic.put(None)
    topic.put(None, key=b"")
    headers = [("ce_specversion", b"1.0"), ("ce_id", b"8"), ("ce_source", b"/shop"), ("ce_type", b"t")]
    topic.put(b'{"text": "binary"}', headers=headers)
    topic.put(b"\xff nonsense", headers=[("trace", b"7f"), ("empty", b"")])
    taken = items(until(topic.source(), None, 4))
    assert [item.headers for item in taken] == [(), (), tuple(headers), (("trace", b"7f"), ("empty", b""))]
    found = [item.body for item in taken]
    assert json.loads(found.pop(1)) == {"native_id": "key", "deleted": True}
    assert json.loads(found[0]) == {"native_id": "/shop#7", "published_at": event["time"], "text": "structured"}
    assert json.loads(found[1]) == {"native_id": "/shop#8", "text": "binary"}
    assert found[2] == b"\xff nonsense"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b'{"specversion": "1.0", "id": "1", "source": "s", "data_base64": "eyJ0ZXh0IjogIngifQ=="}', "x"),
        (b'{"specversion": "1.0", "id": "1", "source": "s", "data": {"native_id": "n", "text": "y"}}', "y"),
        (rb'{"specversion": "1.0", "id": "1", "source": "s", "data": {"text": "great \ud83d"}}', "great \ufffd"),
        (b'{"specversion": 5, "text": "mine"}', "mine"),
    ],
)
def test_an_envelope_of_any_spelling_is_opened_and_what_is_none_is_left_as_it_is(value: bytes, text: str) -> None:
    assert json.loads(unwrapped(value))["text"] == text


@pytest.mark.parametrize(
    "value",
    [b"", b"[1]", b"null", b'{"specversion": "1.0", "id": "1", "source": "s", "data": 5}', b"[" * 10_000],
)
def test_what_holds_no_document_stays_as_it_is(value: bytes) -> None:
    assert unwrapped(value) == value


def test_a_topic_that_is_not_there_is_waited_for(services: dict[str, str]) -> None:
    with pytest.raises(RetryableError, match="no topic"):
        next(build("kafka", servers=[services["kafka"]], topic="nowhere").fetch(None))


def test_a_broker_that_is_away_is_waited_for() -> None:
    with pytest.raises(RetryableError, match="no answer from the broker"):
        next(build("kafka", servers=["127.0.0.1:9"], topic="x", connect_s=0.5).fetch(None))


def test_check_says_what_is_there(topic: Topic) -> None:
    topic.send(range(9))
    assert topic.source().check() == f"{topic.name} may be read; 3 partitions, about 9 records"


def test_fields_are_those_of_the_settings(topic: Topic) -> None:
    topic.put(b'{"id": 5, "body": "x"}')
    (page,) = until(topic.source(fields={"text": "body", "native_id": "id"}), None, 1)
    assert page.items[0].fields == (("text", "body"), ("native_id", "id"))
    assert bodies([page]) == [{"id": 5, "body": "x"}]


def test_large_records_make_small_pages(topic: Topic) -> None:
    for number in range(12):
        topic.put(json.dumps({"native_id": str(number), "text": "x" * 900_000}).encode())
    pages = until(topic.source(), None, 12)
    assert max(sum(len(item.body) for item in page.items) for page in pages) < 6_000_000
    assert len(ids(pages)) == 12


def test_settings_and_cursors_that_cannot_work_are_refused() -> None:
    with pytest.raises(SettingsError, match="needs `username`"):
        build("kafka", servers=["127.0.0.1:9"], topic="x", security="SASL_SSL")
    with pytest.raises(SettingsError, match="allow_plaintext"):
        build("kafka", servers=["kafka.example:9092"], topic="x")
    with pytest.raises(FatalError, match="cursor"):
        next(build("kafka", servers=["127.0.0.1:9"], topic="x").fetch('{"offset": 3}'))
