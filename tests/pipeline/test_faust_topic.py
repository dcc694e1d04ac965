"""A group is led by a worker that may not know the topic yet: then nobody has any work, until it does."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Event
from uuid import uuid4

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from opinionwatch.pipeline import kafka_admin
from opinionwatch.pipeline.faust_app import FaustRuntime
from opinionwatch.pipeline.kafka_log import KafkaLog
from opinionwatch.pipeline.log import Entry
from opinionwatch.pipeline.metrics import Metrics
from opinionwatch.pipeline.settings_kafka import Kafka
from opinionwatch.pipeline.topics import TopicName
from opinionwatch.pipeline.watchdog import Watchdog
from opinionwatch.pipeline.work import Delivered
from tests.services.server import until


class Noting:
    """Work that notes that it was given something."""

    reads: TopicName = "documents"

    def __init__(self) -> None:
        self.given = Event()

    def take(self, batch: Sequence[Delivered]) -> None:
        assert batch
        self.given.set()

    def finish(self) -> None:
        """Nothing."""


def _leads_without_work(admin: KafkaAdminClient, group: str) -> bool:
    try:
        found = admin.describe_groups([group])[group]
    except KafkaError:  # a broker that has only just begun has no groups yet
        return False
    return found["group_state"] == "Stable" and not any(
        topic["partitions"]
        for member in found["members"]
        for topic in member["member_assignment"]["assigned_partitions"]
    )


def test_a_worker_that_joined_without_knowing_its_topic_takes_it_up_when_it_is_there(
    services: Mapping[str, str],
) -> None:
    kafka = Kafka(servers=(services["kafka"],), prefix=f"t{uuid4().hex[:8]}", documents_partitions=1)
    stop, work = Event(), Noting()
    runtime = FaustRuntime(kafka, work, Watchdog(60), Metrics(), Event())
    with ThreadPoolExecutor(1) as aside, closing(KafkaAdminClient(bootstrap_servers=services["kafka"])) as admin:
        running = aside.submit(runtime.run, stop)
        try:
            # As after the return of a broker that has not said yet which topics it has.
            assert until(lambda: _leads_without_work(admin, f"{kafka.prefix}.documents"))
            kafka_admin.create(kafka)
            with closing(KafkaLog(kafka)) as log:
                log.append([Entry("documents", 0, b"{}")])
            assert work.given.wait(60)
        finally:
            stop.set()
            running.result(60)
