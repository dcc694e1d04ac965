"""Daemons that were stalled for so long that another has taken over, and then go on: on real services.

What has been replaced in the middle of its work ends with an error, and its supervisor starts it again; nothing that it
still had in its hands is lost, doubled, or written over what was found since.
"""

import random
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from opinionwatch.pipeline import live_scorer
from opinionwatch.pipeline.archive import Archive
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.archives import archive_of
from opinionwatch.pipeline.contracts_trend import Alert, Episode
from opinionwatch.pipeline.kafka_group import committed
from opinionwatch.pipeline.kafka_log import KafkaLog
from opinionwatch.pipeline.kafka_read import KafkaReader
from opinionwatch.pipeline.log import Entry
from opinionwatch.pipeline.log_records import decode
from opinionwatch.pipeline.topics import TopicName, partitions_of
from tests.pipeline.daemons import Daemons
from tests.pipeline.fleet import Fleet
from tests.pipeline.rig import pages, story

EVER = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    """A story in logs in memory, and what an undisturbed run makes of it."""
    made = Fleet(tmp_path / "fleet", random.Random(1))
    scorer = made.scorer(live_scorer.scorer(made.settings))
    for page in pages(story(), [20] * 100):
        made.intake.submit(made.feed, page)
        made.intake.beat()
        made.step(scorer, range(3), 1000)
    made.replaying = []
    made.intake.beat()
    made.step(scorer, range(3), 1000)
    made.drain()
    made.store.close()
    return made


@pytest.fixture
def daemons(tmp_path: Path, services: Mapping[str, str], fleet: Fleet) -> Iterator[Daemons]:
    """Daemons that see the same; whatever is started is ended with the test, stalled or not."""
    watched = list(fleet.settings.watchlists)
    found = Daemons(tmp_path / "cluster", services, kafka={"session_s": 6}, watchlists=watched)
    found.prepared()
    try:
        yield found
    finally:
        found.kill()


def give(daemons: Daemons, fleet: Fleet, topic: TopicName, begin: float, end: float) -> None:
    """Put a share of the fleet's log into the daemons'."""
    with closing(KafkaLog(daemons.settings.kafka)) as log:
        for number in range(partitions_of(fleet.kafka, topic)):
            found = list(fleet.log.stretch(topic, number))
            for each in found[int(len(found) * begin) : int(len(found) * end)]:
                log.append([Entry(topic, number, each.value, each.key)])


def is_stalled(life: "subprocess.Popen[bytes]") -> bool:
    """Whether it stands still."""
    return Path(f"/proc/{life.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def done(daemons: Daemons, topic: TopicName) -> int:
    """How many entries the group is done with."""
    kafka = daemons.settings.kafka
    return sum(committed(kafka, topic, number) for number in range(partitions_of(kafka, topic)))


def count(fleet: Fleet, topic: TopicName, share: float = 1) -> int:
    """How many entries a share of the fleet's log has."""
    found = (list(fleet.log.stretch(topic, number)) for number in range(partitions_of(fleet.kafka, topic)))
    return sum(int(len(each) * share) for each in found)


def by_id(archive: Archive) -> dict[str, Episode]:
    """The episodes."""
    return {each.id: each for each in archive.episodes(limit=100)}


def assert_same(daemons: Daemons, fleet: Fleet) -> None:
    """Windows, episodes and alerts, whoever found them."""
    archive, same = archive_of(daemons.settings), SqliteArchive(fleet.settings.store_path)
    daemons.until(lambda: archive.windows("lumora", *EVER) == same.windows("lumora", *EVER), 60)
    # Indices become visible one after the other.
    daemons.until(lambda: by_id(archive) == by_id(same), 60)
    alerts = [
        record
        for entry in KafkaReader(daemons.settings.kafka).stretch("alerts", 0)
        for record in decode(entry.value or b"")
        if isinstance(record, Alert)
    ]
    assert {each.id: each for each in alerts} == fleet.alerts()
    assert len(alerts) == len(fleet.alerts()) > 0, "each was raised once"


def test_a_trend_worker_that_was_replaced_in_the_middle_of_a_batch_spoils_nothing(
    daemons: Daemons, fleet: Fleet
) -> None:
    # As it wakes up, its connections are gone: it does not hear that it is shut out, and would take over again.
    sleeper = daemons.start("trend", OPINIONWATCH_FAILPOINT="trend.begin=stall:3|trend.decided=raise:3")
    give(daemons, fleet, "mentions", 0, 0.4)
    daemons.until(lambda: is_stalled(sleeper))
    daemons.start("trend")
    give(daemons, fleet, "mentions", 0.4, 0.7)
    daemons.until(lambda: done(daemons, "mentions") >= count(fleet, "mentions", 0.7))
    daemons.lives.remove(sleeper)
    sleeper.send_signal(signal.SIGCONT)
    assert sleeper.wait(60) == 1, daemons.said()
    assert "others have gone on; this worker slept for too long" in daemons.said()
    daemons.start("trend")
    give(daemons, fleet, "mentions", 0.7, 1)
    assert_same(daemons, fleet)
    daemons.end()


def test_a_score_worker_that_was_replaced_in_the_middle_of_a_batch_loses_and_doubles_nothing(
    daemons: Daemons, fleet: Fleet
) -> None:
    sleeper = daemons.start("score", OPINIONWATCH_FAILPOINT="score.scored=stall:2")
    give(daemons, fleet, "documents", 0, 0.4)
    daemons.until(lambda: is_stalled(sleeper))
    daemons.start("score")
    give(daemons, fleet, "documents", 0.4, 0.7)
    daemons.until(lambda: done(daemons, "documents") >= count(fleet, "documents", 0.7))
    daemons.lives.remove(sleeper)
    sleeper.send_signal(signal.SIGCONT)
    daemons.lives.append(sleeper)
    daemons.start("trend")
    give(daemons, fleet, "documents", 0.7, 1)
    assert_same(daemons, fleet)
    archive, same = archive_of(daemons.settings), SqliteArchive(fleet.settings.store_path)
    assert sorted(archive.every_document(), key=str) == sorted(same.every_document(), key=str)
    daemons.end()
