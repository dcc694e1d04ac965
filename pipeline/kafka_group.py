"""What the broker knows of a group, whatever its members believe: one that slept does not know that it was replaced."""

from kafka import TopicPartition

from opinionwatch.pipeline.kafka_admin import admin
from opinionwatch.pipeline.settings_kafka import Kafka
from opinionwatch.pipeline.topics import TopicName, topic_of


def is_member(kafka: Kafka, group: str, member: str) -> bool:
    """Whether the group counts a member in. Raises RetryableError when no broker answers."""
    with admin(kafka) as client:
        return any(each["member_id"] == member for each in client.describe_groups([group])[group]["members"])


def committed(kafka: Kafka, topic: TopicName, partition: int) -> int:
    """How far the workers that read a topic are done with a partition; their group has the topic's name.

    Raises RetryableError when no broker answers.
    """
    name = topic_of(kafka, topic)
    place = TopicPartition(name, partition)
    with admin(kafka) as client:
        return max(0, int(client.list_group_offsets({name: [place]})[name][place].offset))
