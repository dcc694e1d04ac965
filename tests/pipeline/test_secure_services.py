"""Brokers and clusters that ask who is there, for real: ours get in with a password, and nobody without."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from opinionwatch.pipeline import kafka_admin
from opinionwatch.pipeline.kafka_log import KafkaLog
from opinionwatch.pipeline.kafka_read import KafkaReader
from opinionwatch.pipeline.log import Entry
from opinionwatch.pipeline.settings_kafka import Kafka, Mechanism
from tests.services.secure import CERTIFICATE, PASSWORD, USER, SecureKafka

Broker = Callable[..., Kafka]


@pytest.fixture(scope="module")
def kafka() -> Iterator[SecureKafka]:
    server = SecureKafka()
    try:
        server.start()
        server.wait()
        yield server
    finally:
        server.remove()


@pytest.fixture
def broker(kafka: SecureKafka, tmp_path: Path) -> Broker:
    """Settings for it."""

    def settings(
        mechanism: Mechanism = "SCRAM-SHA-512", password: str = PASSWORD, ca: Path | None = CERTIFICATE
    ) -> Kafka:
        secret = tmp_path / "secret"
        secret.write_text(password)
        return Kafka(
            servers=(kafka.address,), prefix=f"t{uuid4().hex[:10]}", security="SASL_SSL", mechanism=mechanism,
            username=USER, password_file=secret, ca_file=ca, connect_s=5, delivery_s=5,
        )  # fmt: skip

    return settings


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_topics_producer_and_reader_get_in(broker: Broker, mechanism: Mechanism) -> None:
    chosen = broker(mechanism)
    kafka_admin.create(chosen)
    for owner in (None, f"{chosen.prefix}.owner"):
        log = KafkaLog(chosen, owner)
        log.append([Entry("documents", 0, b"one")])
        log.close()
    assert [record.value for record in KafkaReader(chosen).stretch("documents", 0)] == [b"one", b"one"]
