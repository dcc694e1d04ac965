"""Topics are made on purpose, by `opinionwatch topics create`, and compared with the settings by `topics check`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType

from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.kafka_client import admitted, speaking
from opinionwatch.pipeline.settings_kafka import Kafka
from opinionwatch.pipeline.topics import Topic, topics


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as it is, beside what it should be."""

    wanted: Topic
    found: bool
    """Whether the broker has it."""
    differences: tuple[str, ...]
    """What is not as it should be, in words, each with its cure."""

    @property
    def right(self) -> bool:
        """There, and as it should be."""
        return self.found and not self.differences


@contextmanager
def admin(kafka: Kafka) -> Iterator[KafkaAdminClient]:
    """A connection for administration. Raises RetryableError when the broker does not answer in time."""
    wait_ms = int(kafka.connect_s * 1000)
    with speaking(kafka, "topics"):
        client = KafkaAdminClient(
            **admitted(kafka), bootstrap_timeout_ms=wait_ms, request_timeout_ms=max(wait_ms, 5000)
        )
        try:
            yield client
        finally:
            client.close()


def create(kafka: Kafka) -> list[str]:
    """Make the topics that are not there; returns their names. What is there stays as it is.

    Raises RetryableError when the broker does not answer within `kafka.connect_s`.
    """
    with admin(kafka) as client:
        there = set(client.list_topics())
        missing = [topic for topic in topics(kafka) if topic.name not in there]
        if missing:
            try:
                client.create_topics({topic.name: _options(topic) for topic in missing}, wait_for_metadata=True)
            except kafka_errors.TopicAlreadyExistsError as error:
                raise RetryableError("somebody else makes the topics at this moment: try again", after_s=1) from error
    return [topic.name for topic in missing]


def _options(topic: Topic) -> dict[str, object]:
    return {
        "num_partitions": topic.partitions,
        "replication_factor": topic.replication,
        "configs": dict(topic.configs),
    }


def check(kafka: Kafka) -> list[TopicState]:
    """Compare every topic with the settings. Raises RetryableError when the broker does not answer in time."""
    wanted = topics(kafka)
    with admin(kafka) as client:
        there = set(client.list_topics())
        present = [topic for topic in wanted if topic.name in there]
        described = {entry["name"]: entry for entry in client.describe_topics([topic.name for topic in present])}
        resources = [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in present]
        configs = client.describe_configs(resources, config_filter="all") if present else {}
    return [_state(topic, described.get(topic.name), _values(configs, topic.name)) for topic in wanted]


def _values(configs: Any, name: str) -> dict[str, str]:  # noqa: ANN401 - the client's own nested dictionaries
    of_topic = configs.get("topic", {}).get(name, {})
    return {key: str(entry["value"]) for key, entry in of_topic.items()}


def _state(topic: Topic, described: Any, values: dict[str, str]) -> TopicState:  # noqa: ANN401 - as above
    if described is None:
        return TopicState(topic, False, ("not there: `opinionwatch topics create` makes it",))
    partitions = len(described["partitions"])
    differences = []
    if partitions != topic.partitions:
        differences.append(
            f"{partitions} partitions, the settings say {topic.partitions}: write {partitions} into the settings, or "
            "start anew under another kafka.prefix; a key must stay in its partition"
        )
    copies = min((len(part["replica_nodes"]) for part in described["partitions"]), default=0)
    if copies < topic.replication:
        differences.append(f"{copies} copies, the settings say {topic.replication}: reassign its partitions")
    differences += [
        f"{key} is {values[key]}, should be {value}: alter the topic's configuration"
        for key, value in topic.configs
        if key in values and values[key] != value
    ]
    return TopicState(topic, True, tuple(differences))
