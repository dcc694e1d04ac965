"""The broker's settings refuse what would be unsafe, and say what to write instead."""

import threading
from pathlib import Path

import pytest
from kafka import errors
from pydantic import ValidationError

from opinionwatch.pipeline.errors import RetryableError, SettingsError
from opinionwatch.pipeline.kafka_client import connection, speaking
from opinionwatch.pipeline.kafka_log import KafkaLog
from opinionwatch.pipeline.kafka_read import KafkaReader
from opinionwatch.pipeline.log import FencedError
from opinionwatch.pipeline.settings import load
from opinionwatch.pipeline.settings_kafka import Kafka, Security


@pytest.mark.parametrize("server", ["localhost:9092", "127.0.0.1:9092", "127.9.9.9:1", "[::1]:9092"])
def test_a_broker_on_this_machine_may_be_spoken_to_without_encryption(server: str) -> None:
    assert connection(Kafka(servers=(server,)))["security_protocol"] == "PLAINTEXT"


@pytest.mark.parametrize("server", ["kafka.example:9092", "10.0.0.1:9092", "[2001:db8::1]:9092", "localhost.evil:9092"])
@pytest.mark.parametrize("security", ["PLAINTEXT", "SASL_PLAINTEXT"])
def test_a_broker_elsewhere_needs_encryption_or_an_explicit_word(server: str, security: str, tmp_path: Path) -> None:
    given = {
        "servers": ["localhost:1", server],
        "security": security,
        "username": "ow",
        "password_file": tmp_path / "secret",
    }
    with pytest.raises(ValidationError, match="allow_plaintext"):
        Kafka.model_validate(given)
    assert Kafka.model_validate({**given, "allow_plaintext": True}).security == security
    assert Kafka.model_validate({**given, "security": "SASL_SSL"}).servers[1] == server


def test_sasl_brings_user_and_password_and_tls_always_checks_the_certificate(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(" s3cret\n")
    kafka = Kafka(
        servers=("kafka.example:9093",), security="SASL_SSL", username="ow", password_file=tmp_path / "secret"
    )
    found = connection(kafka)
    assert (found["sasl_plain_username"], found["sasl_plain_password"]) == ("ow", "s3cret")
    assert found["sasl_mechanism"] == "SCRAM-SHA-512"
    assert found["ssl_context"].check_hostname
    assert found["ssl_context"].verify_mode.name == "CERT_REQUIRED"


def test_what_cannot_work_is_refused_with_the_name_of_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="password_file"):
        Kafka(servers=("a:1",), security="SASL_SSL", username="ow")
    with pytest.raises(ValidationError, match="cert_file"):
        Kafka(security="SSL", cert_file=tmp_path / "cert")
    with pytest.raises(SettingsError, match=r"kafka\.servers|servers:"):
        connection(Kafka())
    missing = Kafka(servers=("a:1",), security="SASL_SSL", username="ow", password_file=tmp_path / "missing")
    with pytest.raises(SettingsError, match=r"kafka\.password_file"):
        connection(missing)
    with pytest.raises(SettingsError, match=r"kafka\.ca_file"):
        connection(Kafka(servers=("a:1",), security="SSL", ca_file=tmp_path / "missing"))


def test_a_fenced_producer_is_known_however_its_client_says_so() -> None:
    wrapped = errors.KafkaError("Cannot perform send because a request has failed", errors.ProducerFencedError())
    for error in (errors.ProducerFencedError(), wrapped, errors.KafkaError((wrapped.args[0], wrapped.args[1]))):
        with pytest.raises(FencedError), speaking(Kafka(), "log"):
            raise error
    with pytest.raises(RetryableError), speaking(Kafka(), "log"):
        raise errors.KafkaTimeoutError("away")


@pytest.mark.parametrize("security", ["SASL_SSL", "SSL", "PLAINTEXT"])
def test_a_broker_that_is_away_is_waited_for_and_leaves_no_thread_and_no_socket(
    security: Security, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("hunter2")
    kafka = Kafka(
        servers=("localhost:1",), security=security, username="ow", password_file=tmp_path / "secret", connect_s=0.1
    )
    threads, files = set(threading.enumerate()), len(list(Path("/proc/self/fd").iterdir()))
    for ask in (lambda: KafkaReader(kafka).ends("documents", 0), lambda: KafkaLog(kafka).open()):
        with pytest.raises(RetryableError, match="no answer from the broker at localhost:1") as away:
            ask()
        assert "hunter2" not in str(away.value)
    # What an earlier test left may end meanwhile.
    assert not set(threading.enumerate()) - threads
    assert len(list(Path("/proc/self/fd").iterdir())) <= files


def test_the_one_settings_file_carries_the_section(tmp_path: Path) -> None:
    path = tmp_path / "opinionwatch.yaml"
    path.write_text("kafka: {servers: ['127.0.0.1:9092'], prefix: brand, mentions_partitions: 2}\n")
    assert load(path).kafka == Kafka(servers=("127.0.0.1:9092",), prefix="brand", mentions_partitions=2)
