"""`opinionwatch ingest`: sources → accepted, masked documents in the log, and marks of how far time has come."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from threading import Event, Thread
from time import monotonic

import structlog
from starlette.applications import Starlette

from opinionwatch.connectors.backfills import Backfills
from opinionwatch.connectors.pulling import Health
from opinionwatch.connectors.schedule import Schedule
from opinionwatch.pipeline import wiring
from opinionwatch.pipeline.backfill_log import BackfillLog
from opinionwatch.pipeline.cursors import Cursors
from opinionwatch.pipeline.daemon_life import Life, wall_clock
from opinionwatch.pipeline.deadletters import again
from opinionwatch.pipeline.errors import FatalError, OpinionwatchError, RetryableError
from opinionwatch.pipeline.kafka_log import KafkaLog
from opinionwatch.pipeline.kafka_read import KafkaReader
from opinionwatch.pipeline.kafka_redrives import Redrives
from opinionwatch.pipeline.log_intake import LogIntake
from opinionwatch.pipeline.settings import Settings, Web
from opinionwatch.pipeline.source_metrics import SourceMetrics
from opinionwatch.pipeline.steady import SteadyClock
from opinionwatch.pipeline.web_serve import started

STOP_S = 12.0
LOOK_S = 5.0
"""Seconds between two looks for backfills that somebody asks for, at least: each is a connection."""
log = structlog.get_logger(__name__)


class Ingest:
    """The ingest daemon. Push sources put their routes into a page with `intake`; the rest starts and stops with `run`.

    Delivery: at least once into the log; a document is known by its id, so what comes twice counts once.
    """

    def __init__(self, settings: Settings, life: Life) -> None:
        """Connect and read where it stood. Raises RetryableError when the broker is away, SettingsError when a source
        cannot work.
        """
        self._settings, self._kafka = settings, settings.kafka
        self._life = life
        self._asked = BackfillLog(KafkaReader(settings.kafka))
        self._looked_at = -LOOK_S
        self._numbers = SourceMetrics(life.metrics)
        self.sources = wiring.sources(settings)
        self._log = KafkaLog(settings.kafka)
        kafka = settings.kafka
        owned = KafkaLog(kafka, owner=f"{kafka.prefix}.ingest.{kafka.ingest}")
        self._cursors = Cursors(kafka.ingest, owned, KafkaReader(kafka))
        self._schedule: Schedule | None = None
        self.intake = LogIntake(
            settings.kafka,
            self._log,
            self._cursors,
            wiring.ingest_hop(settings),
            SteadyClock(wall_clock),
            replaying=self._replaying,
            live=not self.sources or not all(source.replays for source in self.sources),
        )

    def health(self) -> Mapping[str, Health]:
        """How each source is doing, by name."""
        return {} if self._schedule is None else {health.name: health for health in self._schedule.health()}

    def run(self, *, until_exhausted: bool = False) -> None:
        """Run until told to stop, or until every source is exhausted if that was asked for.

        Raises FatalError when another daemon has taken over or a source of a replay never works.
        """
        schedule = self._schedule = Schedule(self.sources, self.intake, self.intake.cursor)
        backfills = Backfills(schedule, lambda name: wiring.source(self._settings, name), self.intake.cursor_of)
        ended, failure = Event(), list[BaseException]()
        beating = Thread(target=self._beat, args=(ended, failure, None if until_exhausted else backfills), daemon=True)
        schedule.start()
        beating.start()
        self._life.ready.set()
        try:
            while not self._life.stop.wait(0.1) and not failure:
                if until_exhausted and schedule.done():
                    break
        finally:
            schedule.stop(STOP_S)
            ended.set()
            beating.join(STOP_S)
            if not failure and until_exhausted and schedule.done():
                self.intake.beat()
            self._cursors.close()
            self._log.close()
        if failure:
            raise failure[0]
        broken = [f"source {each.name}: {each.last_error}" for each in schedule.health() if each.state == "failed"]
        if until_exhausted and broken:
            raise FatalError("; ".join(broken))

    def _replaying(self) -> list[str]:
        """Before the schedule stands, every replay is at its beginning."""
        if self._schedule is None:
            return [source.name for source in self.sources if source.replays]
        return self._schedule.replaying()

    def _beat(self, ended: Event, failure: list[BaseException], backfills: Backfills | None) -> None:
        oldest: int | None = None
        try:
            with Redrives(self._kafka) as redrives:
                while not ended.wait(self._kafka.heartbeat_s):
                    before, oldest = oldest, self.intake.oldest()
                    if oldest is None or oldest != before:  # else a page stands still, and the watchdog waits for it
                        self._life.watchdog.alive(waiting=True)
                    self._once(redrives, backfills)
                    self._report()
        except OpinionwatchError as error:
            failure.append(error)
        except BaseException as error:
            log.exception("the heartbeat failed")
            failure.append(error)
            raise

    def _report(self) -> None:
        self._numbers.tell(self.health().values(), self.intake.behind)

    def _once(self, redrives: Redrives, backfills: Backfills | None) -> None:
        try:
            self.intake.beat()
            redrives.take(partial(self.intake.retry, record=again))
            if backfills is not None and monotonic() - self._looked_at >= LOOK_S:
                self._asked.look()
                backfills.take_up(self._asked.wishes(), [source.name for source in self.sources])
                self._looked_at = monotonic()
        except RetryableError as error:
            log.warning("no heartbeat", reason=str(error))


@contextmanager
def hooks(settings: Settings, daemon: Ingest) -> Iterator[str | None]:
    """Listen for what is pushed while the block runs; yields the address, None when no source is pushed to.

    Raises SettingsError when the address of `hooks:` cannot be used.
    """
    routes = wiring.routes(daemon.sources, daemon.intake)
    if not routes:
        yield None
        return
    address = Web(host=settings.hooks.host, port=settings.hooks.port)
    with started(Starlette(routes=routes), address, what="hooks.port") as serving:
        yield serving.url
