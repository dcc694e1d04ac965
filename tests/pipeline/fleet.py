"""The daemons' work without the daemons: any number of workers on logs in memory, cut, killed and moved by dice."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from opinionwatch.alerts.terminal import Terminal
from opinionwatch.pipeline import curves, failpoints, wiring
from opinionwatch.pipeline.contracts_trend import Alert
from opinionwatch.pipeline.cursors import Cursors
from opinionwatch.pipeline.ledger_sqlite import SqliteLedger
from opinionwatch.pipeline.log_intake import LogIntake
from opinionwatch.pipeline.log_memory import MemoryLog
from opinionwatch.pipeline.log_records import decode
from opinionwatch.pipeline.metrics import Metrics
from opinionwatch.pipeline.ports import ManualClock, Page, Scorer, StatefulStage
from opinionwatch.pipeline.settings_kafka import Kafka
from opinionwatch.pipeline.store_sqlite import SqliteStore
from opinionwatch.pipeline.topics import TopicName, partitions_of
from opinionwatch.pipeline.trend_partition import Adopted
from opinionwatch.pipeline.trend_store import TrendStore
from opinionwatch.pipeline.trials import Trials
from opinionwatch.pipeline.work import Delivered, Work
from opinionwatch.pipeline.work_score import ScoreWork
from opinionwatch.pipeline.work_trend import TrendWork
from tests.pipeline.rig import TODAY, Feed, Words, settings


class Fleet:
    """Logs, offsets and a store that outlive every worker."""

    def __init__(self, folder: Path, dice: random.Random, *, live: bool = False, **kafka: int) -> None:
        self.dice, self.live = dice, live
        self.kafka = Kafka.model_validate({"documents_partitions": 3, "mentions_partitions": 2, **kafka})
        self.settings = settings(folder, kafka=self.kafka)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pseudonym.key").write_bytes(b"the same authors in every folder")
        self.store = SqliteStore(self.settings.store_path)
        self.ledger = SqliteLedger(self.store)
        self.log = MemoryLog()
        self.clock = ManualClock(TODAY)
        self.committed: dict[tuple[TopicName, int], int] = {}
        self.feed = Feed(replays=not live)
        self.replaying = [] if live else [self.feed.name]
        self.told = {"terminal": Terminal("terminal", Terminal.Settings())}
        self.replays = 0
        self.intake = self.new_intake()

    def new_intake(self) -> LogIntake:
        """Another life of the ingest daemon."""
        cursors = Cursors("ingest", self.log.owned("ingest"), self.log)
        accept = wiring.ingest_hop(self.settings)
        self.intake = LogIntake(
            self.kafka, self.log, cursors, accept, self.clock, replaying=lambda: self.replaying, live=self.live
        )
        return self.intake

    def scorer(self, words: Scorer | None = None) -> ScoreWork:
        """Another score worker."""
        hop = wiring.score_hop(self.settings, words or Words())
        trials = Trials(self.log, self.log)
        limits = self.settings.limits
        return ScoreWork(self.kafka, limits, hop, self.ledger, self.log, trials, self.clock, Metrics())

    def trend(self) -> TrendWork:
        """Another trend worker."""
        store = TrendStore(lambda partition: self.log.owned(f"trend.{partition}"), self.log)

        def make(told: Sequence[Adopted]) -> StatefulStage:
            return wiring.trend_stage(self.settings, None, curves.adopted(told))()

        watched = wiring.watched(self.settings)

        def committed(partition: int) -> int:
            return self.committed.get(("mentions", partition), 0)

        return TrendWork(
            self.kafka, make, self.ledger, self.log, self.log, store, self.clock, Metrics(), 60, watched, committed
        )

    def step(self, work: Work, partitions: Sequence[int], most: int) -> bool:
        """Give a worker what comes next in these partitions, and commit when it is done. False: there was nothing."""
        batch = []
        for number in partitions:
            start = self.committed.get((work.reads, number), 0)
            stored = list(self.log.stretch(work.reads, number, start, start + most))
            batch += [Delivered(number, record.offset, record.value or b"") for record in stored]
        if not batch:
            return False
        work.take(batch)
        for entry in batch:
            self.committed[work.reads, entry.partition] = entry.offset + 1
        return True

    def drain(self) -> None:
        """Fresh workers take everything that is left."""
        for work in (self.scorer(), self.trend()):
            while self.step(work, range(partitions_of(self.kafka, work.reads)), 1000):
                pass
            work.finish()

    def alerts(self) -> dict[str, Alert]:
        """What was raised, each once."""
        records = [record for entry in self.log.stretch("alerts", 0) for record in decode(entry.value or b"")]
        return {record.id: record for record in records if isinstance(record, Alert)}


class Storm:
    """Everything that may happen to a fleet, in any order: the log must come to the same in the end."""

    def __init__(self, fleet: Fleet, pages: Sequence[Page]) -> None:
        self.fleet, self.pages, self.dice = fleet, pages, fleet.dice
        self.next = 0
        self.crashes = 0
        self.scorers: list[Work] = [fleet.scorer(), fleet.scorer()]
        self.trends: list[Work] = [fleet.trend(), fleet.trend()]
        self.owner: dict[str, list[int]] = {"documents": [0] * 3, "mentions": [0] * 2}

    def run(self) -> None:
        """Until every page is in the log."""
        while self.next < len(self.pages):
            self.dice.choice((self.submit, self.submit, self.beat, self.score, self.score, self.judge, self.move))()
        self.fleet.replaying = []
        self.fleet.intake.beat()
        self.fleet.drain()

    def crash(self, error: Exception) -> None:
        """Count it; whoever calls throws its worker away."""
        del error
        self.crashes += 1

    def submit(self) -> None:
        """The next page, if the ingest daemon does not die on it."""
        try:
            self.fleet.intake.submit(self.fleet.feed, self.pages[self.next])
        except Exception as error:  # noqa: BLE001 - a failpoint's; the next life goes on from the cursor
            self.crash(error)
            cursor = self.fleet.new_intake().cursor(self.fleet.feed)
            ends = [page.cursor for page in self.pages]
            self.next = 0 if cursor is None else ends.index(cursor) + 1
        else:
            self.next += 1

    def beat(self) -> None:
        """A mark of progress."""
        try:
            self.fleet.intake.beat()
        except Exception as error:  # noqa: BLE001 - as above
            self.crash(error)
            self.fleet.new_intake()

    def score(self) -> None:
        """One of the score workers goes on."""
        self.work(self.scorers, self.fleet.scorer)

    def judge(self) -> None:
        """One of the trend workers goes on."""
        self.work(self.trends, self.fleet.trend)

    def work(self, workers: list[Work], new: Callable[[], Work]) -> None:
        """One worker takes a batch of any size from the partitions it owns, or dies on it and a new one comes."""
        number = self.dice.randrange(len(workers))
        worker = workers[number]
        mine = [partition for partition, owner in enumerate(self.owner[worker.reads]) if owner == number]
        try:
            self.fleet.step(worker, mine, self.dice.randint(1, 40))
        except Exception as error:  # noqa: BLE001 - as above
            self.crash(error)
            workers[number] = new()

    def move(self) -> None:
        """A partition moves to the other worker, which may be told goodbye properly or not."""
        topic = self.dice.choice(("documents", "mentions"))
        owners = self.owner[topic]
        owners[self.dice.randrange(len(owners))] ^= 1


def arm(wish: str) -> None:
    """Arm failpoints in this process."""
    failpoints._armed = failpoints._Armed(wish)
