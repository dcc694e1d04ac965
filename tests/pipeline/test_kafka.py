"""What speaks to Kafka, on a real broker and on none."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from uuid import uuid4

import pytest
import yaml

from opinionwatch.pipeline import kafka_admin
from opinionwatch.pipeline.contracts import DeadLetter
from opinionwatch.pipeline.doctor import Finding, examine
from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.kafka_log import KafkaLog
from opinionwatch.pipeline.kafka_read import KafkaReader
from opinionwatch.pipeline.kafka_redrives import Redrives
from opinionwatch.pipeline.log import Entry
from opinionwatch.pipeline.log_records import encode
from opinionwatch.pipeline.settings import load
from opinionwatch.pipeline.settings_kafka import Kafka
from opinionwatch.pipeline.topics import TOPIC_NAMES
from tests.pipeline.command import Command
from tests.pipeline.sample import dead

BIN = Path(sys.executable).parent


def until(done: Callable[[], object], seconds: float = 30) -> None:
    """Ask until it is so."""
    end = monotonic() + seconds
    while not done():
        assert monotonic() < end


@pytest.fixture
def kafka(services: Mapping[str, str]) -> Kafka:
    """Settings whose topics nobody has made yet."""
    return Kafka(servers=(services["kafka"],), prefix=f"t{uuid4().hex[:10]}", mentions_partitions=2)


def written(kafka: Kafka, folder: Path) -> Path:
    """A settings file."""
    path = folder / "opinionwatch.yaml"
    path.write_text(yaml.safe_dump({"kafka": kafka.model_dump(mode="json", exclude_defaults=True)}))
    return path


def test_topics_are_made_once_and_then_found_as_the_settings_want_them(
    kafka: Kafka, command: Command, tmp_path: Path
) -> None:
    path = written(kafka, tmp_path)
    missing = command("topics", "check", "-c", path)
    assert missing.code == 1
    assert "opinionwatch topics create" in missing.said
    made = command("topics", "create", "-c", path)
    assert made.code == 0
    assert all(f"{kafka.prefix}.{name} made" in made.out for name in TOPIC_NAMES)
    assert "all topics are there" in command("topics", "create", "-c", path).out
    assert command("topics", "check", "-c", path).code == 0


def test_the_doctor_looks_at_the_broker_and_its_topics(kafka: Kafka) -> None:
    chosen = load(None, {"kafka": kafka, "scorer": {"kind": "lexicon"}, "web": {"port": 0}})

    def finding() -> Finding:
        return next(each for each in examine(chosen) if each.what == "kafka")

    missing = finding()
    assert not missing.ok
    assert "opinionwatch topics create" in missing.detail
    kafka_admin.create(kafka)
    assert finding().ok


def test_a_topic_that_is_cut_otherwise_is_named_with_its_cure(kafka: Kafka) -> None:
    kafka_admin.create(kafka)
    other = kafka.model_copy(update={"mentions_partitions": 3, "retention_h": 24})
    states = {state.wanted.name.rpartition(".")[2]: state for state in kafka_admin.check(other)}
    assert [name for name, state in states.items() if not state.right] == ["documents", "mentions", "trend"]
    assert "2 partitions, the settings say 3" in states["mentions"].differences[0]
    assert "retention.ms" in states["documents"].differences[0]


def test_a_broker_that_is_away_is_said_within_seconds(tmp_path: Path) -> None:
    # In a process of its own: kafka-python leaves sockets open when it finds nobody, and warnings are errors here.
    path = written(Kafka(servers=("127.0.0.1:1",), connect_s=0.5), tmp_path)
    said = subprocess.run(
        [str(BIN / "opinionwatch"), "topics", "check", "-c", str(path)],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert said.returncode == 1
    assert "no answer from the broker at 127.0.0.1:1" in " ".join(said.stderr.split())
    assert "Traceback" not in said.stderr


def test_dead_letters_that_cannot_be_tried_again_now_come_again_and_are_not_passed_over(kafka: Kafka) -> None:
    kafka_admin.create(kafka)
    log, tried = KafkaLog(kafka), list[str]()
    log.append([Entry("redrives", 0, encode(dead(number))) for number in range(3)])
    away = [RetryableError("the broker is away")]

    def retry(letter: DeadLetter) -> None:
        if len(tried) == 1 and away:
            raise away.pop()
        tried.append(letter.id)

    with Redrives(kafka) as redrives:
        with pytest.raises(RetryableError, match="the broker is away"):
            until(lambda: redrives.take(retry))
        log.append([Entry("redrives", 0, encode(dead(3)))])
        until(lambda: redrives.take(retry) and len(set(tried)) == 4)
        assert set(tried) == {dead(number).id for number in range(4)}
    log.close()


def test_nothing_is_written_to_a_topic_that_nobody_has_made(kafka: Kafka) -> None:
    log = KafkaLog(kafka.model_copy(update={"connect_s": 1, "delivery_s": 2}))
    with pytest.raises(RetryableError):
        log.append([Entry("documents", 0, b"x")])
    log.close()


def test_a_record_that_the_broker_will_never_take_stops_the_writer(kafka: Kafka) -> None:
    kafka_admin.create(kafka)
    log = KafkaLog(kafka)
    with pytest.raises(FatalError, match="larger than the broker takes"):
        log.append([Entry("documents", 0, b"x" * 2_000_000)])
    log.append([Entry("documents", 0, b"small")])
    assert [record.value for record in KafkaReader(kafka).stretch("documents", 0)] == [b"small"]
    log.close()
