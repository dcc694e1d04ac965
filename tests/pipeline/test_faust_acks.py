"""What is acknowledged is what was done: also when the worker ends in the middle of a batch, with more behind it."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from threading import Event
from uuid import uuid4

import pytest
from kafka import KafkaAdminClient

from opinionwatch.pipeline import kafka_admin
from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.faust_app import BATCH, FaustRuntime
from opinionwatch.pipeline.kafka_log import KafkaLog
from opinionwatch.pipeline.log import Entry
from opinionwatch.pipeline.metrics import Metrics
from opinionwatch.pipeline.settings_kafka import Kafka
from opinionwatch.pipeline.topics import TopicName
from opinionwatch.pipeline.watchdog import Watchdog
from opinionwatch.pipeline.work import Delivered

ENTRIES = 20 * BATCH


class Breaking:
    """Work whose second batch fails, or waits for the world until the worker is told to stop."""

    reads: TopicName = "documents"

    def __init__(self, error: Exception, stop: Event) -> None:
        self.done, self._error, self._stop = 0, error, stop

    def take(self, batch: Sequence[Delivered]) -> None:
        if self.done:
            if isinstance(self._error, RetryableError):
                self._stop.set()
            raise self._error
        self.done = batch[-1].offset + 1

    def finish(self) -> None:
        """Nothing."""


@pytest.mark.parametrize(
    "error", [FatalError("it is over"), RetryableError("not now", after_s=60)], ids=["fails", "told to stop"]
)
def test_nothing_is_acknowledged_that_was_not_done(services: Mapping[str, str], error: Exception) -> None:
    kafka = Kafka(servers=(services["kafka"],), prefix=f"t{uuid4().hex[:8]}", documents_partitions=1)
    kafka_admin.create(kafka)
    with closing(KafkaLog(kafka)) as log:
        for number in range(ENTRIES):
            log.append([Entry("documents", 0, str(number).encode())])
    stop = Event()
    work = Breaking(error, stop)
    runtime = FaustRuntime(kafka, work, Watchdog(60), Metrics(), Event())
    if isinstance(error, FatalError):
        with pytest.raises(FatalError):
            runtime.run(stop)
    else:
        runtime.run(stop)
    assert 0 < work.done < ENTRIES
    with closing(KafkaAdminClient(bootstrap_servers=services["kafka"])) as admin:
        [group] = admin.list_group_offsets(f"{kafka.prefix}.documents").values()
        [committed] = group.values()
    assert committed.offset <= work.done
