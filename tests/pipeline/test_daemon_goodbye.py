"""A worker that is told to stop in the middle of its work says the whole of its goodbye to Kafka: on real services."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from opinionwatch.pipeline.kafka_log import KafkaLog
from opinionwatch.pipeline.log import Entry
from opinionwatch.pipeline.log_records import encode
from tests.pipeline.daemons import Daemons
from tests.pipeline.sample import document


@pytest.fixture
def daemons(tmp_path: Path, services: Mapping[str, str]) -> Iterator[Daemons]:
    """Daemons whose log has more entries than a worker fetches while it does a batch."""
    found = Daemons(tmp_path / "cluster", services, watchlists=[{"id": "lumora", "name": "Lumora"}])
    found.prepared()
    with closing(KafkaLog(found.settings.kafka)) as log:
        log.append([Entry("documents", number % 3, encode(document(number))) for number in range(600)])
    try:
        yield found
    finally:
        found.kill()


def test_a_worker_told_to_stop_with_entries_in_its_hands_leaves_no_thread_behind(daemons: Daemons) -> None:
    told = daemons.start("score", OPINIONWATCH_FAILPOINT="score.admitted=term:2")
    assert told.wait(60) == 0, daemons.said()
    said = daemons.said()
    assert "failpoint score.admitted: term" in said
    assert "Exception in thread" not in said
    assert "is closed" not in said
