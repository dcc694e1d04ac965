"""`opinionwatch notify`: alerts from the log to the outbox, and from the outbox to the channels.

Any number may run; one owns the alerts topic and works, the others wait for it to fail. The owner has two proofs: the
group's partition, which is given up only after all sending has ended, and the outbox's fence, which holds even against
a process that was paused and does not know yet that it was replaced.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from threading import Event, Thread

import structlog

from opinionwatch.alerts.dry import dry, shown
from opinionwatch.alerts.excuse import excuse
from opinionwatch.alerts.outbox import Deliverer
from opinionwatch.pipeline import digests, stores, wiring
from opinionwatch.pipeline.archives import archive_of
from opinionwatch.pipeline.contracts_trend import Alert, Delivery, Episode
from opinionwatch.pipeline.daemon_life import Life, wall_clock
from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.failpoints import failpoint
from opinionwatch.pipeline.kafka_alerts import AlertFeed
from opinionwatch.pipeline.kafka_log import KafkaLog
from opinionwatch.pipeline.log import OwnedAppender
from opinionwatch.pipeline.log_records import decode
from opinionwatch.pipeline.outbox_fenced import FencedOutbox, NotingOutbox
from opinionwatch.pipeline.ports import Channel
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.threads import guarded

STOP_S = 15.0
log = structlog.get_logger(__name__)


class Notifier:
    """One notify daemon."""

    def __init__(
        self, settings: Settings, channels: Mapping[str, Channel], life: Life, *, dry_run: bool = False
    ) -> None:
        """A `dry_run` writes to the terminal what it would send."""
        self._settings, self._channels, self._life = settings, channels, life
        self._archive = archive_of(settings)
        self._render = wiring.renderer(settings, wiring.public_url(settings), self._archive)
        self._route = wiring.notify_hop(settings, channels)
        self._digests = () if dry_run else digests.chosen(settings, channels)
        self._dry_run = dry_run
        self._sending: _Sending | None = None

    def run(self) -> None:
        """Run until told to stop. When another notifier has taken over while this one slept, it waits for its turn."""
        with (
            stores.outbox(self._settings) as outbox,
            stores.ledger(self._settings, self._life.stop, self._life.waits) as ledger,
        ):
            while not self._life.stop.is_set():
                self._take_part(outbox, ledger.write)

    def _take_part(self, outbox: NotingOutbox, write: Callable[..., object]) -> None:
        """Be one of the group, as its owner or as one who waits, until told to stop or shut out."""
        with AlertFeed(self._settings.kafka, lambda: self._begin(outbox, feed.counts), self._end) as feed:
            self._work(feed, write)

    def _work(self, feed: AlertFeed, write: Callable[..., object]) -> None:
        while not self._life.stop.is_set():
            if self._sending is None or not self._sending.deliverer.hangs(self._settings.monitor.patience_s):
                self._life.watchdog.alive(waiting=True)
            # Looked at first: whoever is shut out says so before it fails by it.
            failures = [] if self._sending is None else list(self._sending.failures)
            if self._sending is not None and self._sending.outbox.fenced.is_set():
                log.warning("another notifier has taken over; this one was asleep for too long and waits for its turn")
                return
            if failures:
                raise failures[0]
            try:
                self._once(feed, write)
            except RetryableError as error:
                log.warning("alerts wait", reason=str(error))
                self._life.stop.wait(error.after_s or 1.0)
                feed.rewind()

    def _once(self, feed: AlertFeed, write: Callable[..., object]) -> None:
        entries = feed.poll()
        records = [record for entry in entries for record in decode(entry.value or b"")]
        alerts = [record for record in records if isinstance(record, Alert)]
        failpoint("notify.polled")
        if alerts:
            deliveries = self._route([*self._archive.silences(), *self._remembered(alerts), *alerts], wall_clock())
            failpoint("notify.routed")
            write(deliveries)
            for delivery in deliveries:
                decision = "suppress" if delivery.state == "suppressed" else "send"
                self._life.metrics.count("opinionwatch_deliveries_decided_total", label=decision)
        failpoint("notify.written")
        if entries:
            feed.commit()
        failpoint("notify.committed")

    def _remembered(self, alerts: Sequence[Alert]) -> list[Delivery | Episode]:
        """What routing has to know of before, as far as the index shows it by now."""
        since = wall_clock() - timedelta(days=1)
        recent = [one for one in self._archive.deliveries(limit=1000) if one.due_at >= since]
        for episode in {alert.episode.id for alert in alerts if alert.event == "resolved"}:
            recent += self._archive.deliveries(episode, limit=1000)
        return [*recent, *(one for one in self._archive.episodes(limit=1000) if one.resolved_at is None)]

    def _begin(self, outbox: NotingOutbox, counts: Callable[[], bool]) -> None:
        owner = KafkaLog(self._settings.kafka, owner=f"{self._settings.kafka.prefix}.notify", holds=counts)
        fenced = FencedOutbox(outbox, owner)
        excuses, channels = excuse(self._archive, wall_clock), self._channels
        if self._dry_run:
            excuses, channels = shown(excuses, self._render), dry(channels)
        deliverer = Deliverer(
            fenced, channels, self._render, wall_clock, excuse=excuses, told=self._count, patience_s=STOP_S
        )
        maker = digests.Maker(self._settings, self._archive, lambda: wiring.public_url(self._settings))
        regular = digests.Digests(self._digests, self._channels, maker, fenced, wall_clock, self._settings.zone)
        failpoint("notify.owned")
        self._sending = _Sending(fenced, deliverer, regular, owner)
        self._life.ready.set()

    def _count(self, delivery: Delivery) -> None:
        self._life.metrics.count("opinionwatch_attempts_total", 1, delivery.channel, delivery.state)

    def _end(self) -> None:
        if self._sending is not None:
            self._life.ready.clear()
            self._sending.stop()
            self._sending = None


class _Sending:
    """The deliverer and the digests, as long as the outbox is ours."""

    def __init__(
        self, outbox: FencedOutbox, deliverer: Deliverer, regular: digests.Digests, owner: OwnedAppender
    ) -> None:
        self.outbox = outbox
        self._regular, self._owner = regular, owner
        self._told = Event()
        self.deliverer = deliverer
        self.failures: list[BaseException] = []
        """What ended the sending, though nobody had told it to end."""
        work = (deliverer.run, self._told, self.failures)
        self._thread = Thread(target=guarded, args=work, name="notifier", daemon=True)
        self._thread.start()
        regular.start()

    def stop(self) -> None:
        """No more attempts; wait for those that have begun."""
        self._told.set()
        self._regular.stop()
        self._thread.join(STOP_S + 1)
        self._owner.close()
