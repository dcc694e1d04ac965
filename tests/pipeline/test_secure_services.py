"""A broker that asks who is there, for real: ours get in with a password, and nobody without."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from opinionwatch.connectors.demo import watchlists
from opinionwatch.pipeline import kafka_admin
from opinionwatch.pipeline.archives import archive_of
from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.kafka_client import admitted
from opinionwatch.pipeline.kafka_log import KafkaLog
from opinionwatch.pipeline.kafka_read import KafkaReader
from opinionwatch.pipeline.log import Entry
from opinionwatch.pipeline.settings_kafka import Kafka, Mechanism
from tests.pipeline.daemons import Daemons
from tests.services.secure import CERTIFICATE, PASSWORD, USER, SecureKafka

Broker = Callable[..., Kafka]
ROLES = ("ingest", "score", "trend", "notify")
WRONG = "hunter2 of the tests"


@pytest.fixture
def broker(secure_kafka: SecureKafka, tmp_path: Path) -> Broker:
    """Settings for it."""

    def settings(
        mechanism: Mechanism = "SCRAM-SHA-512", password: str = PASSWORD, ca: Path | None = CERTIFICATE
    ) -> Kafka:
        secret = tmp_path / "secret"
        secret.write_text(password)
        return Kafka(
            servers=(secure_kafka.address,), prefix=f"t{uuid4().hex[:10]}", security="SASL_SSL", mechanism=mechanism,
            username=USER, password_file=secret, ca_file=ca, connect_s=2, delivery_s=5,
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
    admitted(chosen)


def _clients(kafka: Kafka) -> dict[str, Callable[[], object]]:
    """All that speak to the broker, each with a question."""
    return {
        "administration": lambda: kafka_admin.check(kafka),
        "producer": lambda: KafkaLog(kafka).append([Entry("documents", 0, b"one")]),
        "owner": lambda: KafkaLog(kafka, "owner").open(),
        "reader": lambda: list(KafkaReader(kafka).stretch("documents", 0)),
        "worker": lambda: admitted(kafka),
    }


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_a_wrong_password_is_an_end_that_says_what_to_do(broker: Broker, mechanism: Mechanism) -> None:
    chosen = broker(mechanism, password=WRONG)
    for name, ask in _clients(chosen).items():
        began = time.monotonic()
        with pytest.raises(FatalError, match=r"refuses us.*password_file") as refused:
            ask()
        assert WRONG not in str(refused.value), name
        assert time.monotonic() - began < 5, name


def test_a_mechanism_that_the_broker_does_not_have_is_named(broker: Broker) -> None:
    with pytest.raises(FatalError, match=r"UnsupportedSaslMechanismError.*mechanism"):
        kafka_admin.check(broker("SCRAM-SHA-256"))


def test_a_broker_whose_certificate_nobody_vouches_for_is_not_told_the_password(
    broker: Broker, secure_kafka: SecureKafka
) -> None:
    for name, ask in _clients(broker(ca=None)).items():
        with pytest.raises(FatalError, match=r"self-signed certificate.*told nothing.*ca_file") as refused:
            ask()
        assert PASSWORD not in str(refused.value), name
    elsewhere = broker().model_copy(update={"servers": (secure_kafka.address.replace("localhost", "127.1"),)})
    with pytest.raises(FatalError, match=r"(?i)certificate that we do not trust \(.*mismatch"):
        kafka_admin.check(elsewhere)


def test_a_broker_that_is_spoken_to_in_the_wrong_way_is_told_from_one_that_is_away(secure_kafka: SecureKafka) -> None:
    plain = Kafka(servers=(secure_kafka.address,), connect_s=0.5)
    with pytest.raises(RetryableError, match=r"no answer from the broker .* look at security"):
        admitted(plain)
    with pytest.raises(RetryableError, match=r"no answer from the broker at localhost:1 \(ConnectionRefusedError\)$"):
        admitted(plain.model_copy(update={"servers": ("localhost:1",)}))


def _cluster(folder: Path, kafka: Kafka, count: int) -> Daemons:
    """Daemons behind the broker, with a store of one machine and a feed of so many documents."""
    feed = folder / "feed.jsonl"
    feed.write_text(
        "".join(json.dumps({"native_id": str(n), "text": f"Lumora is slow {n}"}) + "\n" for n in range(count))
    )
    return Daemons(
        folder / uuid4().hex, {"kafka": kafka.servers[0], "elasticsearch": "http://127.0.0.1:1"},
        watchlists=list(watchlists()), store="sqlite", kafka=kafka.model_dump(mode="json", exclude_defaults=True),
        sources=[{"name": "feed", "kind": "jsonl", "path": str(feed)}],
        channels=[{"name": "here", "kind": "terminal"}],
    )  # fmt: skip


def test_a_faust_worker_scores_what_ingest_brings_and_no_daemon_starts_that_is_refused(
    broker: Broker, tmp_path: Path
) -> None:
    strangers = _cluster(tmp_path, broker(ca=None), 3)
    daemons = _cluster(tmp_path, broker(), 3)
    try:
        assert daemons.command("topics", "create").returncode == 0
        daemons.start("score")
        read = daemons.command("ingest", "--once")
        assert read.returncode == 0, read.stderr
        daemons.until(lambda: len(list(archive_of(daemons.settings).every_document())) == 3, 60)
        daemons.end()
        (tmp_path / "secret").write_text(WRONG)
        refused = [daemons.start(role) for role in ROLES]
        assert [life.wait(90) for life in refused] == [1] * len(ROLES), daemons.said()
        for role in ROLES:
            assert "refuses us (SaslAuthenticationFailed): look at" in (daemons.folder / f"{role}.err").read_text()
        assert strangers.start("score").wait(60) == 1, strangers.said()
        assert "certificate that we do not trust" in (strangers.folder / "score.err").read_text()
        for said in (daemons.everything(), strangers.everything()):
            assert "Traceback" not in said
            assert PASSWORD not in said
            assert WRONG not in said
    finally:
        daemons.kill()
        strangers.kill()
