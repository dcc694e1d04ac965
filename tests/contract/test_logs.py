"""The logs that ship pass the log suite."""

from collections.abc import Callable, Iterator, Mapping
from uuid import uuid4

import pytest

from opinionwatch.pipeline import kafka_admin
from opinionwatch.pipeline.kafka_log import KafkaLog
from opinionwatch.pipeline.kafka_read import KafkaReader
from opinionwatch.pipeline.log import OwnedAppender
from opinionwatch.pipeline.log_memory import MemoryLog
from opinionwatch.pipeline.settings_kafka import Kafka
from tests.contract.log_suite import LogSuite


class TestMemoryLog(LogSuite):
    """In one process."""

    @pytest.fixture
    def log(self) -> MemoryLog:
        """An empty log."""
        return MemoryLog()

    @pytest.fixture
    def reader(self, log: MemoryLog) -> MemoryLog:
        """The same."""
        return log

    @pytest.fixture
    def owned(self, log: MemoryLog) -> Callable[[str], OwnedAppender]:
        """Logs under names."""
        return log.owned


class TestKafkaLog(LogSuite):
    """On a real broker."""

    @pytest.fixture
    def kafka(self, services: Mapping[str, str]) -> Kafka:
        """Topics that nobody else has."""
        found = Kafka(
            servers=(services["kafka"],), prefix=f"t{uuid4().hex[:10]}", documents_partitions=2, mentions_partitions=1
        )
        kafka_admin.create(found)
        return found

    @pytest.fixture
    def log(self, kafka: Kafka) -> Iterator[KafkaLog]:
        """An empty log."""
        found = KafkaLog(kafka)
        yield found
        found.close()

    @pytest.fixture
    def reader(self, kafka: Kafka) -> KafkaReader:
        """Reads it."""
        return KafkaReader(kafka)

    @pytest.fixture
    def owned(self, kafka: Kafka) -> Callable[[str], OwnedAppender]:
        """Logs under names."""
        return lambda name: KafkaLog(kafka, owner=f"{kafka.prefix}.{name}")
