"""What a trend worker leaves behind for the next owner of its partitions."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from opinionwatch.pipeline.contracts import Mention
from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.log import Entry, FencedError, Stored
from opinionwatch.pipeline.log_memory import MemoryLog
from opinionwatch.pipeline.log_records import Mark, decode, encode
from opinionwatch.pipeline.metrics import Metrics
from opinionwatch.pipeline.topics import TopicName
from opinionwatch.pipeline.trend_store import last_saved
from opinionwatch.pipeline.work import Delivered
from tests.pipeline.fleet import Fleet, arm
from tests.pipeline.rig import TABLES, pages, rows, story
from tests.pipeline.sample import NOON


class Forgetful(MemoryLog):
    """A log that keeps no mentions before offset `begins`, as a broker does after `kafka.retention_h`."""

    begins = 0

    def stretch(
        self, topic: TopicName, partition: int, start: int | None = None, end: int | None = None
    ) -> Iterator[Stored]:
        """As `Reader` says."""
        if topic == "mentions" and (start or 0) < self.begins:
            raise FatalError(f"offset {start} is needed and {self.begins} is the oldest there is")
        return super().stretch(topic, partition, start, end)


def marks(up_to: datetime) -> list[Entry]:
    """One entry: nobody has said anything about what is watched, in any of the fleet's partitions."""
    lanes = [Mark(ingest="ingest", partition=number, up_to=up_to) for number in range(3)]
    return [Entry("mentions", 0, b"\n".join(encode(mark) for mark in lanes))]


def test_a_partition_without_a_mention_may_move_after_its_log_was_cut(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, random.Random(1))
    log = fleet.log = Forgetful()
    worker = fleet.trend()
    for hour in range(30):
        log.append(marks(NOON + timedelta(hours=hour)))
        fleet.clock.now += timedelta(hours=1)
        assert fleet.step(worker, [0], 1)
    log.begins = 28
    log.append(marks(NOON + timedelta(hours=30)))
    assert fleet.step(fleet.trend(), [0], 1), "another process goes on, though the first one never said goodbye"
    assert fleet.committed["mentions", 0] == 31
    fleet.store.close()


def test_what_was_saved_an_hour_ago_is_saved_again_and_no_sooner_without_a_mention(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, random.Random(1))
    worker = fleet.trend()
    saved = list[int]()
    for minutes in range(0, 130, 10):
        fleet.log.append(marks(NOON))
        assert fleet.step(worker, [0], 1)
        fleet.clock.now += timedelta(minutes=10)
        now = last_saved(fleet.log, 0)
        saved += [minutes] if now is not None and now.offset == fleet.committed["mentions", 0] else []
    assert saved == [60, 120]
    fleet.store.close()


def test_a_silent_lane_is_told_once_and_counted_as_long_as_it_is_silent(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, random.Random(1), mentions_partitions=1)
    worker, metrics = fleet.trend(), Metrics()
    worker._metrics = metrics
    fleet.log.append(marks(NOON))
    counted = list[float]()
    with capture_logs() as said:
        for minutes in range(0, 60, 3):
            up_to = NOON + timedelta(minutes=minutes)
            loud = [Mark(ingest="ingest", partition=number, up_to=up_to) for number in range(2)]
            fleet.log.append([Entry("mentions", 0, b"\n".join(encode(mark) for mark in loud))])
            while fleet.step(worker, [0], 1):
                counted.append(metrics.total("opinionwatch_silent_lanes"))
            fleet.clock.now += timedelta(minutes=3)
    assert [each["lane"] for each in said if "silent" in each["event"]] == ["ingest/2"]
    assert sorted(counted) == counted
    assert set(counted) == {0, 1}
    fleet.store.close()


def test_a_damaged_state_is_made_anew_from_the_log(tmp_path: Path) -> None:
    fleets = [Fleet(tmp_path / name, random.Random(1)) for name in ("whole", "damaged")]
    for fleet in fleets:
        worker = fleet.trend()
        for number, page in enumerate(pages(story(), [90] * 100)):
            fleet.intake.submit(fleet.feed, page).result(timeout=0)
            while fleet.step(fleet.scorer(), range(3), 1000):
                pass
            while fleet.step(worker, range(2), 1000):
                pass
            if number == 2 and fleet is fleets[1]:
                worker.finish()
                fleet.log.append([Entry("trend", part, b"torn", b"piece/0") for part in range(2)])
                worker = fleet.trend()
        fleet.replaying = []
        fleet.intake.beat()
        fleet.drain()
    whole, damaged = ([rows(fleet.settings.store_path, TABLES[table]) for table in ("windows", "episodes")]
                      for fleet in fleets)  # fmt: skip
    assert whole == damaged
    assert fleets[0].alerts() == fleets[1].alerts()
    assert fleets[0].alerts()
    for fleet in fleets:
        fleet.store.close()


def scored(folder: Path) -> Fleet:
    """A fleet with a story in the mentions log that nobody has folded yet."""
    fleet = Fleet(folder, random.Random(1))
    scorer = fleet.scorer()
    for page in pages(story(), [20] * 100):
        fleet.intake.submit(fleet.feed, page)
        fleet.intake.beat()
        while fleet.step(scorer, range(3), 1000):
            pass
    return fleet


def test_one_that_was_replaced_while_its_world_was_not_ready_takes_nothing_back(tmp_path: Path) -> None:
    fleet, same = scored(tmp_path / "fleet"), scored(tmp_path / "same")
    same.drain()
    number = next(number for number in range(2) if _says(fleet, number))
    for _ in range(4):
        sleeper, owner = fleet.trend(), fleet.trend()
        assert fleet.step(sleeper, [number], 5)
        begin = fleet.committed["mentions", number]
        stale = [
            Delivered(number, record.offset, record.value or b"")
            for record in fleet.log.stretch("mentions", number, begin, begin + 4)
        ]
        arm("trend.decided=raise")
        with pytest.raises(RetryableError):
            sleeper.take(stale)
        arm("")
        assert fleet.step(owner, [number], 12)
        with pytest.raises(FencedError, match="others have gone on"):
            sleeper.take(stale)
        assert fleet.step(owner, [number], 1), "the owner is not shut out by it"
    fleet.drain()
    for table in ("windows", "episodes"):
        assert rows(fleet.settings.store_path, TABLES[table]) == rows(same.settings.store_path, TABLES[table])
    assert fleet.alerts() == same.alerts()


def _says(fleet: Fleet, number: int) -> bool:
    """Whether somebody is spoken of in a partition."""
    found = [each for record in fleet.log.stretch("mentions", number) for each in decode(record.value or b"")]
    return any(isinstance(each, Mention) for each in found)
