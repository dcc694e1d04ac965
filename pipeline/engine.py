"""The embedded engine: store, runtime, sources and notifier, started and stopped together."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from threading import Event, Thread

import structlog

from opinionwatch.alerts.dry import dry, shown
from opinionwatch.alerts.excuse import excuse
from opinionwatch.alerts.outbox import Deliverer
from opinionwatch.connectors.backfill import WISH, Wish, stored_as
from opinionwatch.connectors.backfills import Backfills
from opinionwatch.connectors.pulling import Health
from opinionwatch.connectors.schedule import Schedule
from opinionwatch.pipeline import digests, live_scorer, wiring
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.curves import adopt
from opinionwatch.pipeline.embedded import Embedded
from opinionwatch.pipeline.errors import FatalError
from opinionwatch.pipeline.intake import QueueIntake
from opinionwatch.pipeline.outbox_sqlite import SqliteOutbox
from opinionwatch.pipeline.ports import Channel, Scorer, Source, cursor_name
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.steady import SteadyClock
from opinionwatch.pipeline.store_lock import held
from opinionwatch.pipeline.store_sqlite import SqliteStore
from opinionwatch.pipeline.threads import guarded

STOP_S = 25.0
log = structlog.get_logger(__name__)


def wall_clock() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)


class Engine:
    """One process that does everything.

    Push sources put their routes into a page with `intake`; everything else starts and stops with `run`.
    """

    def __init__(
        self,
        settings: Settings,
        public_url: str,
        more_channels: Mapping[str, Channel] | None = None,
        scorer: Callable[[Settings], Scorer] = live_scorer.scorer,
        sources: Sequence[Source] | None = None,
        *,
        dry_run: bool = False,
    ) -> None:
        """Build sources and channels. Raises SettingsError when one of them cannot work.

        `public_url` is where the links in alerts lead; `more_channels` are told besides those of the settings;
        `sources` are read instead of those of the settings; a `dry_run` writes to the terminal what it would send.
        """
        self.settings = settings
        self.public_url = public_url
        self.intake = QueueIntake(settings.limits.queue_pages)
        self.sources = wiring.sources(settings) if sources is None else list(sources)
        self._channels = {**wiring.channels(settings), **(more_channels or {})}
        self._digests = digests.chosen(settings, self._channels)
        self._dry_run = dry_run
        self._scorer = scorer
        self._schedule: Schedule | None = None

    def health(self) -> dict[str, Health]:
        """How each source is doing, by name."""
        return {} if self._schedule is None else {health.name: health for health in self._schedule.health()}

    def run(self, stop: Event, *, until_exhausted: bool = False, alive: Callable[[], None] = lambda: None) -> None:
        """Run until `stop` is set, or until all sources are exhausted if that was asked for; by then everything read
        is decided, written and told. `alive` hears that the runtime goes on. Raises FatalError when the store is
        damaged or in use, or a source never works.
        """
        with held(self.settings.data_dir):
            store = SqliteStore(self.settings.store_path)
            outbox = SqliteOutbox(self.settings.store_path)
            try:
                self._run(store, outbox, stop, until_exhausted, alive)
            finally:
                outbox.close()
                store.close()

    def _run(
        self, store: SqliteStore, outbox: SqliteOutbox, stop: Event, until_exhausted: bool, alive: Callable[[], None]
    ) -> None:
        archive = SqliteArchive(self.settings.store_path)
        adopt(self.settings.data_dir, archive.now())
        schedule = self._schedule = Schedule(
            self.sources, self.intake, lambda source: archive.cursor(cursor_name(source))
        )
        runtime = Embedded(
            store,
            wiring.hops(self.settings, self._scorer(self.settings), self._channels),
            self.intake,
            SteadyClock(wall_clock),
            self.settings.limits,
            replaying=schedule.replaying,
            live=not self.sources or not all(source.replays for source in self.sources),
        )
        render = wiring.renderer(self.settings, self.public_url, archive)
        excuses = excuse(archive, wall_clock)
        if self._dry_run:
            deliverer = Deliverer(outbox, dry(self._channels), render, wall_clock, excuse=shown(excuses, render))
        else:
            deliverer = Deliverer(outbox, self._channels, render, wall_clock, excuse=excuses)
        regular = self._regular(outbox, archive)
        backfills = Backfills(schedule, lambda name: wiring.source(self.settings, name), archive.cursor)
        ended, told, failure = Event(), Event(), list[BaseException]()
        worker = Thread(
            target=guarded, args=(partial(runtime.run, alive=alive), ended, failure), name="runtime", daemon=True
        )
        notifier = Thread(target=guarded, args=(deliverer.run, told, failure), name="notifier", daemon=True)
        worker.start()
        notifier.start()
        regular.start()
        schedule.start()
        try:
            while not stop.wait(0.1) and not failure:
                if until_exhausted and schedule.done():
                    break
                if not until_exhausted:
                    backfills.take_up(wishes(archive), [source.name for source in self.sources])
        finally:
            schedule.stop(STOP_S / 2)
            ended.set()
            worker.join(STOP_S)
            finished = until_exhausted and schedule.done() and not failure
            if finished:
                runtime.drain()
            told.set()
            regular.stop()
            notifier.join(STOP_S)
            if finished:
                deliverer.deliver_due()
        if failure:
            raise failure[0]
        broken = [
            f"source {health.name}: {health.last_error}" for health in schedule.health() if health.state == "failed"
        ]
        if until_exhausted and broken:
            raise FatalError("; ".join(broken))

    def _regular(self, outbox: SqliteOutbox, archive: SqliteArchive) -> digests.Digests:
        maker = digests.Maker(self.settings, archive, lambda: self.public_url)
        due = () if self._dry_run else self._digests
        return digests.Digests(due, self._channels, maker, outbox, wall_clock, self.settings.zone)


def wishes(archive: SqliteArchive) -> dict[str, Wish]:
    """What `opinionwatch backfill` has asked for, by source."""
    begins = WISH + stored_as("")
    return {name.removeprefix(begins): Wish.read(text) for name, text in archive.cursors(begins).items()}
