"""Notifiers that take over from each other, on a real Kafka and a real Elasticsearch."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from opinionwatch.pipeline.archives import archive_of
from opinionwatch.pipeline.contracts_trend import Alert
from opinionwatch.pipeline.kafka_log import KafkaLog
from opinionwatch.pipeline.log import Entry
from opinionwatch.pipeline.log_records import encode
from tests.alerts.sample import crisis
from tests.alerts.slack_stub import SlackStub, slack_stub
from tests.pipeline.daemons import Daemons


@pytest.fixture
def slack() -> Iterator[SlackStub]:
    """A web hook on this machine."""
    with slack_stub() as stub:
        yield stub


@pytest.fixture
def daemons(tmp_path: Path, services: Mapping[str, str], slack: SlackStub) -> Iterator[Daemons]:
    """Daemons with one channel; whatever is started is ended with the test."""
    found = Daemons(
        tmp_path / "cluster",
        services,
        watchlists=[{"id": "lumora", "names": ["Lumora"]}],
        channels=[{"name": "team", "kind": "slack", "url": slack.url, "allow_loopback": True}],
    )
    found.prepared()
    try:
        yield found
    finally:
        found.kill()


def told(daemons: Daemons) -> set[str]:
    """The alerts that the channel has taken."""
    return {each.alert.id for each in archive_of(daemons.settings).deliveries() if each.state == "sent"}


def test_a_notifier_that_was_replaced_while_it_slept_goes_on_when_it_is_its_turn(
    daemons: Daemons, slack: SlackStub
) -> None:
    first = crisis()
    second = Alert(event=first.event, at=first.at, episode=first.episode.model_copy(update={"id": "later"}))
    kafka = daemons.settings.kafka
    daemons.start("notify")
    with closing(KafkaLog(kafka)) as log:
        log.append([Entry("alerts", 0, encode(first))])
        daemons.until(lambda: told(daemons) == {first.id})
        with closing(KafkaLog(kafka, owner=f"{kafka.prefix}.notify")) as rival:
            rival.open()
            log.append([Entry("alerts", 0, encode(second))])
            daemons.until(lambda: "waits for its turn" in daemons.said())
    daemons.until(lambda: told(daemons) == {first.id, second.id})
    assert len(slack.received) == 2, "each was told once"
    daemons.end()
