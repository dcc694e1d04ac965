"""The embedded engine: store, runtime, sources, notifier and page, started and stopped together."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event, Thread

import structlog

from opinionwatch.alerts.outbox import Deliverer
from opinionwatch.connectors.schedule import Schedule
from opinionwatch.pipeline import wiring
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.embedded import Embedded
from opinionwatch.pipeline.errors import FatalError, OpinionwatchError
from opinionwatch.pipeline.intake import QueueIntake
from opinionwatch.pipeline.outbox_sqlite import SqliteOutbox
from opinionwatch.pipeline.ports import Channel, Scorer
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.store_lock import held
from opinionwatch.pipeline.store_sqlite import SqliteStore

STOP_S = 25.0
log = structlog.get_logger(__name__)


def wall_clock() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)


@dataclass
class Engine:
    """One process that does everything. `run` returns when `stop` is set, or when all sources are exhausted and
    `until_exhausted` was asked for; by then everything read is decided, written and told.
    """

    settings: Settings
    public_url: str
    more_channels: dict[str, Channel]
    scorer: Callable[[Settings], Scorer] = wiring.scorer

    def run(self, stop: Event, *, until_exhausted: bool = False) -> None:
        """Run. Raises FatalError when the store is damaged or in use, or a source can never work."""
        with held(self.settings.data_dir):
            store = SqliteStore(self.settings.store_path)
            outbox = SqliteOutbox(self.settings.store_path)
            try:
                self._run(store, outbox, stop, until_exhausted)
            finally:
                outbox.close()
                store.close()

    def _run(
        self,
        store: SqliteStore,
        outbox: SqliteOutbox,
        stop: Event,
        until_exhausted: bool,
    ) -> None:
        archive = SqliteArchive(self.settings.store_path)
        channels = {**wiring.channels(self.settings), **self.more_channels}
        sources = wiring.sources(self.settings)
        intake = QueueIntake(self.settings.limits.queue_pages)
        schedule = Schedule(sources, intake, lambda source: archive.cursor(source.name))
        runtime = Embedded(
            store,
            wiring.hops(self.settings, self.scorer(self.settings), tuple(channels)),
            intake,
            wall_clock,
            self.settings.limits,
            replaying=schedule.replaying,
            live=any(not source.replays for source in sources) or not sources,
        )
        deliverer = Deliverer(outbox, channels, wiring.renderer(self.settings, self.public_url, archive), wall_clock)
        told = Event()
        notifier = Thread(target=deliverer.run, args=(told,), name="notifier", daemon=True)
        failure: list[BaseException] = []
        ended = Event()
        worker = Thread(target=_guarded, args=(runtime, ended, failure), name="runtime", daemon=True)
        worker.start()
        notifier.start()
        schedule.start()
        try:
            while not stop.wait(0.1) and not failure:
                if schedule.done() and until_exhausted:
                    break
        finally:
            schedule.stop(STOP_S / 2)
            ended.set()
            worker.join(STOP_S)
            if not failure and until_exhausted and schedule.done():
                runtime.drain()
            told.set()
            notifier.join(STOP_S)
            if not failure and until_exhausted:
                deliverer.deliver_due()
        if failure:
            raise failure[0]
        broken = [health for health in schedule.health() if health.state == "failed"]
        if until_exhausted and broken:
            raise FatalError("; ".join(f"source {health.name}: {health.last_error}" for health in broken))


def _guarded(runtime: Embedded, ended: Event, failure: list[BaseException]) -> None:
    try:
        runtime.run(ended)
    except BaseException as error:  # handed to the thread that waits for us, and raised there
        if not isinstance(error, OpinionwatchError):
            log.exception("the runtime failed")
        failure.append(error)
