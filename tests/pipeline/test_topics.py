"""The topics: what is kept, what is compacted, and where a key lies."""

from collections import Counter

from opinionwatch.pipeline.settings_kafka import Kafka
from opinionwatch.pipeline.topics import COMPACTED, TOPIC_NAMES, partition_of, partitions_of, topics


def test_only_state_is_compacted_and_everything_else_ends_by_time() -> None:
    for name, topic in zip(TOPIC_NAMES, topics(Kafka(retention_h=48, deadletters_retention_h=99)), strict=True):
        configs = dict(topic.configs)
        assert topic.name == f"opinionwatch.{name}"
        assert configs["cleanup.policy"] == ("compact" if name in COMPACTED else "delete")
        if name in ("documents", "mentions"):
            assert configs["retention.ms"] == str(48 * 3_600_000)
        elif name not in COMPACTED:
            assert configs["retention.ms"] == str(99 * 3_600_000)


def test_the_state_of_a_trend_partition_lies_in_the_partition_of_the_same_number() -> None:
    kafka = Kafka(documents_partitions=6, mentions_partitions=3)
    assert [partitions_of(kafka, name) for name in ("documents", "mentions", "trend", "alerts")] == [6, 3, 3, 1]


def test_one_copy_may_be_away_without_stopping_writers() -> None:
    assert {dict(topic.configs)["min.insync.replicas"] for topic in topics(Kafka(replication=3))} == {"2"}
    assert {dict(topic.configs)["min.insync.replicas"] for topic in topics(Kafka())} == {"1"}


def test_keys_spread_evenly_and_a_key_never_moves() -> None:
    spread = Counter(partition_of(f"{number:032x}", 8) for number in range(8000))
    assert set(spread) == set(range(8))
    assert max(spread.values()) < 1.15 * min(spread.values())
    # Written down: another program and another version must find the same.
    assert [partition_of(key, 8) for key in ("lumora", "流墨", "")] == [7, 7, 5]
