"""The trend hop on the log: mentions in; windows and episodes to the index, alerts to the log.

The state of a partition is a function of its log and of whom the settings name, so it may move to another process at
any moment: the successor takes the last saved state and the log behind it, exactly as far as the offset that it is
given first. Outputs are confirmed before an offset is committed, and are the same when they are made again.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import groupby

import structlog

from opinionwatch.pipeline.contracts_trend import Alert, Episode, Window
from opinionwatch.pipeline.errors import FatalError
from opinionwatch.pipeline.failpoints import failpoint
from opinionwatch.pipeline.lanes import Lane, Lanes
from opinionwatch.pipeline.log import Appender, Entry, FencedError, Reader
from opinionwatch.pipeline.log_records import Mark, encode
from opinionwatch.pipeline.memory import give_back
from opinionwatch.pipeline.metrics import Metrics
from opinionwatch.pipeline.ports import Clock
from opinionwatch.pipeline.settings_kafka import Kafka
from opinionwatch.pipeline.ticks import Watched, tick_of
from opinionwatch.pipeline.topics import TopicName, topic_of
from opinionwatch.pipeline.trend_partition import Make, TrendPartition
from opinionwatch.pipeline.trend_store import DamagedError, Saved, TrendStore
from opinionwatch.pipeline.work import DaemonLedger, Delivered

SAVE_EVERY = 5_000
"""Mentions between two saves: what a successor has to read again, at most."""
SAVE_AFTER = timedelta(seconds=60)
MENTIONS_A_MB = 1_000
"""A state is saved at most once in so many mentions for each MB that it has: then writing states costs no more than
reading the log, however large they grow, and a successor reads again at most twice what it takes to load one.
"""
SAVE_AT_LATEST = timedelta(hours=1)
"""A partition that brings few mentions or none is saved, too: its marks are deleted after `kafka.retention_h`, and a
successor could not read them again.
"""
log = structlog.get_logger(__name__)


class TrendWork:
    """One trend worker's work: any number of partitions."""

    reads: TopicName = "mentions"

    def __init__(
        self,
        kafka: Kafka,
        make: Make,
        ledger: DaemonLedger,
        appender: Appender,
        reader: Reader,
        store: TrendStore,
        clock: Clock,
        metrics: Metrics,
        save_every: int = SAVE_EVERY,
        watched: Watched | None = None,
        committed: Callable[[int], int] = lambda _: 0,
    ) -> None:
        """`make` makes an empty trend stage; `appender` writes what any process may write, `store` what only the
        owner of a partition may; `save_every` so many mentions the state is saved; `watched` is whom the settings name;
        `committed` says how far the group has come in a partition, whoever is its owner.
        """
        self._kafka, self._make, self._ledger = kafka, make, ledger
        self._log, self._reader, self._store, self._clock = appender, reader, store, clock
        self._save_every, self._metrics = save_every, metrics
        self._watched, self._committed = watched, committed
        self._partitions: dict[int, TrendPartition] = {}
        self._saved_at: dict[int, datetime] = {}
        self._saved_mb: dict[int, int] = {}
        self._shown: dict[int, int] = {}
        """The tick up to which each partition's progress was told to people."""
        self._silent_lanes: dict[int, list[Lane]] = {}
        """What was left out the last time: each silence is told once."""

    def take(self, entries: Sequence[Delivered]) -> None:
        """Fold these entries, partition by partition."""
        by_partition = sorted(entries, key=lambda entry: (entry.partition, entry.offset))
        for number, group in groupby(by_partition, key=lambda entry: entry.partition):
            held: TrendPartition | None = None
            try:
                held = self._take(number, list(group))
            finally:
                # Half a batch in memory is nobody's state: the next attempt starts from what is saved.
                if held is None:
                    self._partitions.pop(number, None)
                else:
                    self._partitions[number] = held

    def finish(self) -> None:
        """Save what is in memory, so that a successor reads nothing twice."""
        for number, partition in self._partitions.items():
            self._save(number, partition)
        self._store.close()

    def _take(self, number: int, entries: Sequence[Delivered]) -> TrendPartition:
        now = self._clock()
        partition = self._partitions.get(number)
        if partition is None or partition.offset != entries[0].offset:
            partition = self._restored(number, entries[0].offset)
        failpoint("trend.begin")
        found: list[object] = []
        for entry in entries:
            found += partition.take(entry.offset, entry.value, now, self._watched)
        failpoint("trend.decided")
        self._tell(number, partition, found, now)
        failpoint("trend.told")
        if self._is_to_be_saved(number, partition, now):
            self._save(number, partition)
        self._log.append([Entry("mentions", number, encode(mark)) for mark in self._silent(number, partition, now)])
        return partition

    def _is_to_be_saved(self, number: int, partition: TrendPartition, now: datetime) -> bool:
        age = now - self._saved_at.setdefault(number, now)
        if age >= SAVE_AT_LATEST:
            return True
        enough = MENTIONS_A_MB * self._saved_mb.get(number, 0)
        return partition.taken > enough and (age >= SAVE_AFTER or partition.taken >= self._save_every)

    def _tell(self, number: int, partition: TrendPartition, found: Sequence[object], now: datetime) -> None:
        alerts = [Entry("alerts", 0, encode(record)) for record in found if isinstance(record, Alert)]
        written = [record for record in found if isinstance(record, Window | Episode)]
        if alerts or written:
            # First as the owner: one that has been replaced is shut out before it writes over newer windows.
            self._store.append(number, [Entry("trend", number, b"{}", b"owner")])
        if written:
            self._ledger.write(written)
        failpoint("trend.written")
        self._store.append(number, alerts)
        place = f"{topic_of(self._kafka, self.reads)}/{number}"
        self._log.append([Entry("deadletters", 0, encode(line.letter(place, now))) for line in partition.unreadable])
        partition.unreadable.clear()
        for what, count in (("alert", len(alerts)), ("window or episode", len(written))):
            self._metrics.count("opinionwatch_records_total", count, what)
        up_to = partition.lanes.up_to()
        if up_to is not None and self._shown.get(number) != tick_of(up_to):
            self._ledger.save_progress(up_to, f"trend-{number}")
            self._shown[number] = tick_of(up_to)
        if up_to is not None:
            self._metrics.set("opinionwatch_progress_timestamp_seconds", up_to.timestamp(), str(number))

    def _restored(self, number: int, offset: int) -> TrendPartition:
        """The partition as it stands before `offset`, or behind it, where a save had come further than the commit.

        Raises FencedError when another worker has done what begins there.
        """
        # Taking over shuts out the owner. One that slept, or had lost its broker, does not know that it is the owner no
        # more; from an offset that others have passed it would write over what they have found since.
        if self._committed(number) > offset:
            raise FencedError(f"{self.reads}, partition {number}: others have gone on; this worker slept for too long")
        now = self._clock()
        partition = self._saved(number) or TrendPartition(self._make, Lanes(self._kafka.documents_partitions))
        behind = self._reader.stretch(self.reads, number, partition.offset, max(offset, partition.offset))
        partition.replay(((record.offset, record.value or b"") for record in behind), now)
        self._saved_at[number] = now
        failpoint("trend.restored")
        return partition

    def _saved(self, number: int) -> TrendPartition | None:
        """The partition as it was saved last; None when it has to be made from the whole log."""
        try:
            saved = self._store.take_over(number)
        except DamagedError as error:
            log.warning("the trend state is rebuilt from the whole log", partition=number, reason=str(error))
            saved = None
        failpoint("trend.owned")
        if saved is None:
            return None
        try:
            return TrendPartition.of(self._make, self._kafka.documents_partitions, saved.offset, saved.state)
        except FatalError as error:
            log.warning("the trend state is rebuilt from the whole log", partition=number, reason=str(error))
            return None

    def _save(self, number: int, partition: TrendPartition) -> None:
        failpoint("trend.before_save")
        state = partition.save()
        self._store.save(number, Saved(partition.offset, state))
        self._saved_mb[number] = len(state) >> 20
        self._saved_at[number] = self._clock()
        del state
        give_back()  # what a state takes while it is written would else stay with the process
        failpoint("trend.saved")

    def _silent(self, number: int, partition: TrendPartition, now: datetime) -> list[Mark]:
        after = timedelta(seconds=self._kafka.silent_after_s)
        silent = partition.lanes.left_out(now, after)
        self._metrics.set("opinionwatch_silent_lanes", len(silent), str(number))
        for lane in silent:
            if lane not in self._silent_lanes.get(number, ()):
                name = "/".join(str(part) for part in lane)
                log.warning("a lane is silent; the others go on", partition=number, lane=name)
        self._silent_lanes[number] = silent
        return partition.lanes.silent(now, after)
