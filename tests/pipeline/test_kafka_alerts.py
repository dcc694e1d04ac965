"""The notifier's feed of alerts, when the world is not ready: while it takes over, and while the broker is away."""

from collections.abc import Callable, Iterator
from contextlib import closing
from uuid import uuid4

import pytest
from kafka.admin import MemberToRemove

from opinionwatch.pipeline import failpoints, kafka_admin
from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.kafka_alerts import AlertFeed
from opinionwatch.pipeline.kafka_log import KafkaLog
from opinionwatch.pipeline.log import Entry, FencedError, Stored
from opinionwatch.pipeline.settings_kafka import Kafka
from tests.services.kafka import Kafka as Broker
from tests.services.server import until, up


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    """One that may be killed."""
    with up(Broker()) as started:
        yield started


@pytest.fixture
def kafka(broker: Broker) -> Kafka:
    """Settings with topics, and one alert."""
    made = Kafka(servers=(broker.address,), prefix=f"t{uuid4().hex[:8]}", connect_s=2)
    kafka_admin.create(made)
    with closing(KafkaLog(made)) as log:
        log.append([Entry("alerts", 0, b"alert")])
    return made


def polled(feed: AlertFeed, tries: list[RetryableError]) -> Callable[[], list[Stored]]:
    """As the notifier polls: what does not work now is noted in `tries`, and tried again from where it stood."""

    def poll() -> list[Stored]:
        try:
            return feed.poll()
        except RetryableError as error:
            tries.append(error)
            feed.rewind()
            return []

    return poll


def test_whoever_could_not_take_over_tries_again_and_reads_what_came_with_the_first_try(kafka: Kafka) -> None:
    taken: list[str] = []

    def gained() -> None:
        taken.append("tried")
        if len(taken) == 1:
            raise RetryableError("the broker has just died")

    tries: list[RetryableError] = []
    with AlertFeed(kafka, gained, taken.clear) as feed:
        poll = polled(feed, tries)
        assert until(lambda: [each.value for each in poll()] == [b"alert"])
        assert feed.owns
        assert len(taken) == 2
    assert len(tries) == 1


def test_an_owner_that_lost_its_connection_takes_nothing_back_when_it_does_not_count_any_more(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, entry = f"{kafka.prefix}.notify", [Entry("outbox", 0, b"{}", b"key")]
    with (
        AlertFeed(kafka, lambda: None, lambda: None) as feed,
        closing(KafkaLog(kafka, owner=name, holds=feed.counts)) as sleeper,
        closing(KafkaLog(kafka, owner=name)) as owner,
    ):
        assert until(lambda: bool(feed.poll()) or feed.owns)
        sleeper.append(entry)
        with monkeypatch.context() as broken, pytest.raises(RetryableError):
            broken.setattr(failpoints, "_armed", failpoints._Armed("log.sent=raise"))
            sleeper.append(entry)
        sleeper.append(entry)  # it counts, and is let in again
        with kafka_admin.admin(kafka) as client:
            member = MemberToRemove(feed._consumer.group_metadata().member_id)
            client.remove_group_members(name, [member])  # as the broker does with one that it has not heard of
        owner.open()
        with monkeypatch.context() as broken, pytest.raises(RetryableError):
            broken.setattr(failpoints, "_armed", failpoints._Armed("log.sent=raise"))
            sleeper.append(entry)
        with pytest.raises(FencedError):
            sleeper.append(entry)
        owner.append(entry)


def test_what_was_polled_before_the_broker_died_and_not_done_comes_again_when_it_is_back(
    broker: Broker, kafka: Kafka
) -> None:
    tries: list[RetryableError] = []
    with AlertFeed(kafka, lambda: None, lambda: None) as feed:
        poll = polled(feed, tries)
        assert until(lambda: [each.value for each in poll()] == [b"alert"])
        broker.kill()
        with pytest.raises(RetryableError):
            feed.commit()
        feed.rewind()
        assert poll() == []
        broker.start()
        broker.wait()
        assert until(lambda: [each.value for each in poll()] == [b"alert"])
        assert feed.owns
