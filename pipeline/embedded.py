"""The plan in one process on one SQLite file: read → stages → write and commit, one transaction a batch.

Everything a batch causes (ledger, documents, mentions, windows, episodes, outbox rows, cursors, progress) is committed
together, so a kill at any moment leaves the state of some whole number of batches. What is in memory besides (the
trend hop's state) is rebuilt from its last snapshot and the mentions log: the stage is pure, so it comes back bit for
bit. The log has the last version of a text only, so a batch that replaces or deletes one saves the state with it, and
again once the tick is closed in which the trend hop forgets the old words. Nor does it have our own absences, so the
first batch after one saves the state, too.

Delivery: a page is acknowledged only after its commit; a source that repeats a page after a crash meets the ledger.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from threading import Event

import structlog

from opinionwatch.pipeline.accept import Arrival
from opinionwatch.pipeline.advance import BEGINNING, advance, arrived, not_before, paused
from opinionwatch.pipeline.attempts import waited
from opinionwatch.pipeline.contracts import DeadLetter, Document, Mention
from opinionwatch.pipeline.contracts_changes import Deletion, Engaged, Withdrawal
from opinionwatch.pipeline.contracts_trend import Alert, Delivery, Episode, Window
from opinionwatch.pipeline.deadletters import again, tried
from opinionwatch.pipeline.erasing import carry_out, restored
from opinionwatch.pipeline.errors import FatalError, OpinionwatchError, RetryableError
from opinionwatch.pipeline.failpoints import failpoint
from opinionwatch.pipeline.hops import Hops
from opinionwatch.pipeline.intake import QueueIntake, Submitted, gaps_of
from opinionwatch.pipeline.ports import Clock, StatefulStage, cursor_name
from opinionwatch.pipeline.revisions import latest, withdrawals
from opinionwatch.pipeline.settings import Limits
from opinionwatch.pipeline.store_sqlite import SqliteStore
from opinionwatch.pipeline.ticks import Away, Progress, tick_of

log = structlog.get_logger(__name__)

SNAPSHOT_EVERY = 5_000
"""Mentions between two snapshots of the trend state: what a restart has to read again, at most."""


MEMORY = timedelta(days=1)
"""How far back routing remembers what was told."""


class Embedded:
    """Executes the plan on a `SqliteStore`. One thread; sources and the notifier run beside it."""

    def __init__(
        self,
        store: SqliteStore,
        hops: Hops,
        intake: QueueIntake,
        clock: Clock,
        limits: Limits,
        *,
        replaying: Callable[[], Iterable[str]] = tuple,
        live: bool = True,
    ) -> None:
        """`replaying` names the sources that still bring their own (simulated) time; the slowest one sets progress.
        `live` says whether there are others, for which the wall clock counts.
        """
        self._store = store
        self._hops = hops
        self._intake = intake
        self._clock = clock
        self._limits = limits
        self._replaying = replaying
        self._live = live
        self._reached: Mapping[str, datetime] = {}
        self._trend = self._restored()
        self._since_snapshot = 0
        self._outdated_in = -1
        """The last tick in which something was replaced or deleted whose old words the saved trend state still has."""
        self._unclean = True
        """The write-ahead log may still hold something that was erased, perhaps in an earlier life."""

    def run(self, stop: Event, alive: Callable[[], None] = lambda: None) -> None:
        """Take pages until `stop` is set; `alive` hears of every attempt. Raises FatalError when going on would falsify
        something.
        """
        try:
            while not stop.is_set():
                taken = self._intake.take(self._limits.batch_documents, wait_s=0.25)
                self._until_done(taken, stop, alive)
            self.save()
        except OpinionwatchError as error:
            self._intake.close(error)
            raise
        self._intake.close(RetryableError("the pipeline has stopped"))

    def drain(self) -> None:
        """Take what waits in the intake, then close the last tick of a replay: everything read so far is decided."""
        while taken := self._intake.take(self._limits.batch_documents, wait_s=0):
            self._until_done(taken, Event())
        self._until_done([], Event())
        self.save()

    def save(self) -> None:
        """Save the trend state, so that the next start reads nothing twice."""
        progress = self._store.progress()
        if progress is not None:
            with self._store.transaction():
                self._store.save_snapshot("trend", self._trend.snapshot(), progress)
        self._since_snapshot = 0

    def _until_done(self, taken: Sequence[Submitted], stop: Event, alive: Callable[[], None] = lambda: None) -> None:
        """One batch, again and again until it is committed or `stop` is set."""
        wait_s = 0.5
        while True:
            alive()
            try:
                self._step(taken)
            except RetryableError as error:
                self._trend = self._restored()
                log.warning("batch postponed", reason=str(error))
                if waited(error.after_s or wait_s, stop, alive):
                    for submitted in taken:
                        submitted.durable.set_exception(error)
                    return
                wait_s = min(60, wait_s * 2)
            except BaseException as error:
                for submitted in taken:
                    submitted.durable.set_exception(error)
                raise
            else:
                for submitted in taken:
                    submitted.durable.set_result(None)
                return

    def _step(self, taken: Sequence[Submitted]) -> None:
        if self._unclean:
            self._unclean = not self._store.erasures.clean(patience_s=0.1)
        now = self._now()
        floor = self._store.progress() or BEGINNING
        arrivals = [
            Arrival(submitted.source.name, submitted.source.kind, submitted.source.instance, not_before(floor, item))
            for submitted in taken
            for item in submitted.page.items
        ]
        reached = self._arrived(taken)
        up_to = self._advance(reached, now)
        erasing = self._store.erasures.waiting()
        if not taken and not self._tick_ended(up_to) and not self._store.redrives() and not erasing:
            return
        failpoint("batch.begin")
        with self._store.transaction():
            if erasing:
                erased = carry_out(self._store, self._trend, now)
                log.warning("erased", documents=erased.documents, deadletters=erased.deadletters)
            letters = {letter.id: letter for letter in self._store.claim_redrives()}
            retried = [again(letter, up_to) for letter in letters.values()]
            arrivals += [record for record in retried if isinstance(record, Arrival)]
            admitted = self._store.admit(
                [*self._hops.ingest(arrivals, now), *(record for record in retried if not isinstance(record, Arrival))]
            )
            failpoint("batch.admitted")
            scored = self._hops.score([record for record in admitted if isinstance(record, Document)], now)
            failpoint("batch.scored")
            dead = [record for record in (*admitted, *scored) if isinstance(record, DeadLetter)]
            stand = latest([*scored, *(record for record in admitted if isinstance(record, DeadLetter))])
            self._store.write([record for record in stand if not isinstance(record, DeadLetter)])
            self._store.write(tried(record, letters) for record in stand if isinstance(record, DeadLetter))
            withdrawn = withdrawals(admitted, scored)
            mentions = [record for record in scored if isinstance(record, Mention)]
            away = paused(floor, up_to, replaying=set(self._replaying()), live=self._live)
            self._decide([*mentions, *withdrawn, *away], up_to, now)
            # After the alerts that still quoted what is taken back.
            self._store.write(record for record in admitted if isinstance(record, Deletion | Engaged))
            failpoint("batch.decided")
            self._store.write(gap for submitted in taken for gap in gaps_of(submitted.source, submitted.page, now))
            for submitted in taken:
                self._store.save_cursor(cursor_name(submitted.source), submitted.page.cursor)
            if dead:
                self._refuse_a_flood(up_to)
            self._save_if_outdated(withdrawn, up_to, away=bool(away))
            failpoint("batch.before_commit")
        self._reached = reached
        self._unclean = self._unclean or erasing
        failpoint("batch.committed")
        if self._since_snapshot >= SNAPSHOT_EVERY:
            self.save()

    def _save_if_outdated(self, withdrawn: Sequence[Withdrawal], up_to: datetime, *, away: bool) -> None:
        """Save the trend state with a batch that has changed the log behind it or knows what the log does not, and once
        that tick is closed.
        """
        over = 0 <= self._outdated_in < tick_of(up_to)
        if withdrawn:
            self._outdated_in = max(self._outdated_in, *(tick_of(each.at) for each in withdrawn))
        elif over:
            self._outdated_in = -1
        if withdrawn or over or away:
            self._store.save_snapshot("trend", self._trend.snapshot(), up_to)

    def _decide(self, said: Sequence[Mention | Withdrawal | Away], up_to: datetime, now: datetime) -> None:
        """The trend and notify hops."""
        self._since_snapshot += len(said)
        found = self._trend([self._hops.watched, *said, Progress(up_to)], now)
        alerts = [record for record in found if isinstance(record, Alert)]
        told = self._routed(alerts, [record for record in found if isinstance(record, Episode)])
        self._store.write([record for record in [*found, *told] if isinstance(record, Window | Episode | Delivery)])
        self._store.save_progress(up_to)

    def _routed(self, alerts: Sequence[Alert], episodes: Sequence[Episode]) -> Sequence[Delivery]:
        """The notify hop, with its memory. Due by the wall clock, which is the notifier's; a replay's `now` may lie in
        the future.
        """
        if not alerts:
            return []
        now = self._clock()
        ended = [alert.episode.id for alert in alerts if alert.event == "resolved"]
        before = self._store.remembered(now - MEMORY, ended)
        return self._hops.notify([*self._store.silences(), *before, *episodes, *alerts], now)

    def _restored(self) -> StatefulStage:
        """The trend hop as it stood at the last commit: its snapshot, then the log after it, outputs already known."""
        trend = restored(self._store, self._hops.trend)
        self._since_snapshot = 0
        return trend

    def _now(self) -> datetime:
        """The wall clock, never behind what was stamped before."""
        return max(self._clock().astimezone(UTC), self._store.progress() or BEGINNING)

    def _arrived(self, taken: Sequence[Submitted]) -> Mapping[str, datetime]:
        """How far each replay will have come with these pages."""
        reached = self._reached
        for submitted in taken:
            reached = arrived(reached, submitted.source.name, submitted.page.items)
        return reached

    def _advance(self, reached: Mapping[str, datetime], now: datetime) -> datetime:
        return advance(
            self._store.progress() or BEGINNING,
            now,
            reached=reached,
            replaying=set(self._replaying()),
            live=self._live,
            last_accepted=None if reached else self._store.last_accepted(),
        )

    def _tick_ended(self, up_to: datetime) -> bool:
        return tick_of(up_to) > tick_of(self._store.progress() or BEGINNING)

    def _refuse_a_flood(self, now: datetime) -> None:
        dead = self._store.dead_since(now - timedelta(hours=1))
        if dead > self._limits.deadletters_per_hour:
            raise FatalError(
                f"{dead} dead letters within an hour, more than limits.deadletters_per_hour: something upstream is "
                "broken. Nothing of this batch was taken. Look at `opinionwatch deadletters list`, mend the source, "
                "start again."
            )
