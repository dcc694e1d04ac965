"""Digests: by the calendar (APScheduler) to an e-mail channel, from whoever owns the outbox, and from nobody else.

How far each digest has been told is a note beside the outbox, written before and after every attempt. So a restart
neither sends one twice nor leaves one out, and a machine that was off tells the whole time at once.

Delivery: at least once. A crash between sending and noting it repeats the e-mail with the same Message-ID.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from threading import Lock

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from opinionwatch.alerts.digest import Material, belongs, digest, earlier, touches
from opinionwatch.alerts.digest_settings import DigestSettings
from opinionwatch.alerts.digest_times import LENGTH, after, begun, due, last_time, since, trigger
from opinionwatch.pipeline import wiring
from opinionwatch.pipeline.archive import Archive
from opinionwatch.pipeline.contracts_digest import NOTE, Digest, Told
from opinionwatch.pipeline.contracts_trend import Episode, Window
from opinionwatch.pipeline.errors import OpinionwatchError, SettingsError
from opinionwatch.pipeline.failpoints import failpoint
from opinionwatch.pipeline.log import FencedError
from opinionwatch.pipeline.ports import Channel, Clock, DigestChannel
from opinionwatch.pipeline.ports_outbox import Notes
from opinionwatch.pipeline.settings import Settings

LOOK_S = 20
"""Seconds between two looks for what waits to be tried again, and for a wall clock that has jumped."""
MOST_CHARTS = 20
READ = 1000
"""Most episodes, deliveries and answers that a digest looks at."""
log = structlog.get_logger(__name__)


def chosen(settings: Settings, channels: Mapping[str, Channel]) -> tuple[DigestSettings, ...]:
    """The digests of the settings. Raises SettingsError for one whose channel cannot take it."""
    found = wiring.notify_settings(settings).digests
    for one in found:
        if not isinstance(channels[one.channel], DigestChannel):
            able = sorted(name for name, channel in channels.items() if isinstance(channel, DigestChannel))
            raise SettingsError(
                f"notify.digests.{one.name}.channel: '{one.channel}' is no e-mail channel; "
                + (f"name {' or '.join(able)}" if able else "add one of kind `email` under `channels:`")
            )
    return found


class Maker:
    """Makes digests from an archive."""

    def __init__(self, settings: Settings, archive: Archive, public_url: Callable[[], str]) -> None:
        self._settings, self._archive, self._url = settings, archive, public_url
        self._names = {watchlist.id: watchlist.name for watchlist in wiring.watchlists(settings)}

    def made(self, one: DigestSettings, begin: datetime, end: datetime, *, repeat: bool = False) -> Digest:
        """The digest of a period. Raises RetryableError when the store does not answer."""
        names = {key: name for key, name in self._names.items() if not one.watchlists or key in one.watchlists}
        episodes = [e for e in self._archive.episodes(limit=READ) if e.watchlist in names and touches(e, begin, end)]
        deliveries = [
            each
            for each in self._archive.deliveries(limit=READ)
            if each.alert.episode.watchlist in names and belongs(each, begin, end)
        ]
        windows = {name: self._archive.windows(name, begin, end) for name in names}
        material = Material(
            since=begin,
            until=end,
            names=names,
            episodes=sorted(episodes, key=lambda each: (each.opened_at, each.id)),
            deliveries=deliveries,
            feedback=self._archive.feedback(limit=READ),
            windows=windows,
            before={name: self._archive.windows(name, *earlier(begin, end)) for name in names},
            charts=self._charts(names, windows, episodes),
        )
        return digest(
            material,
            name=one.name,
            every=one.every,
            lang=one.language or self._settings.language,
            zone=one.zone or self._settings.zone,
            public_url=self._url(),
            repeat=repeat,
        )

    def _charts(
        self, names: Mapping[str, str], windows: Mapping[str, Sequence[Window]], episodes: Sequence[Episode]
    ) -> dict[str, bytes]:
        from opinionwatch.alerts.chart_history import history_chart  # drawing takes long to load

        loud = {one.watchlist for one in episodes}
        first = sorted((name for name in names if windows[name]), key=lambda name: name not in loud)[:MOST_CHARTS]
        opened = {name: [one.opened_at for one in episodes if one.watchlist == name] for name in first}
        return {name: history_chart(windows[name], (), [opened[name]]) for name in first}


class Digests:
    """All digests of the settings, while it runs."""

    def __init__(
        self,
        digests: Sequence[DigestSettings],
        channels: Mapping[str, Channel],
        maker: Maker,
        notes: Notes,
        clock: Clock,
        zone: str = "UTC",
    ) -> None:
        """`zone` counts for those that name none."""
        self._digests = {one.name: one for one in digests}
        self._channels, self._maker, self._notes, self._clock = channels, maker, notes, clock
        self._times = {one.name: trigger(one, zone) for one in digests}
        self._lock = Lock()
        self._scheduler = BackgroundScheduler(timezone=UTC)

    def start(self) -> None:
        """Look at once, at every time in the calendar, and between them for what has to be tried again."""
        for name, times in self._times.items():
            self._scheduler.add_job(self.look, times, [name], misfire_grace_time=None, coalesce=True)
            again = IntervalTrigger(seconds=LOOK_S, timezone=UTC)
            now = datetime.now(UTC)
            self._scheduler.add_job(self.look, again, [name], misfire_grace_time=None, next_run_time=now)
        self._scheduler.start()

    def stop(self) -> None:
        """Wait for an attempt that is being made; make no other."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)

    def look(self, name: str) -> None:
        """Send the digest if it is due. What goes wrong is logged and noted, and tried again."""
        with self._lock:
            try:
                self._look(self._digests[name])
            except FencedError:
                log.warning("another notifier has taken over; no digest is sent", digest=name)
            except OpinionwatchError as error:
                log.warning("the digest waits", digest=name, error=str(error))

    def told(self, name: str) -> Told:
        """How far the digest has been told."""
        one = self._digests[name]
        kept = self._notes.note(_note(name))
        if kept is not None:
            return Told.model_validate_json(kept)
        return begun(self._times[name], self._clock(), LENGTH[one.every])

    def _look(self, one: DigestSettings) -> None:
        told = self.told(one.name)
        trying = due(told, self._times[one.name], self._clock(), LENGTH[one.every])
        if trying is None:
            if told.state == "waiting" and self._notes.note(_note(one.name)) is None:
                self._keep(one.name, told)  # what has been told counts from the first look on
            return
        channel = self._channels[one.channel]
        if trying.until is None or not isinstance(channel, DigestChannel):
            raise SettingsError(f"notify.digests.{one.name}: cannot be sent")
        made = self._maker.made(one, since(trying), trying.until, repeat=trying.uncertain)
        self._keep(one.name, trying)
        failpoint("digest.before_send")
        failed: Exception | None = None
        try:
            channel.digest(made)
        except Exception as error:  # noqa: BLE001 - a channel is somebody's code; its defect must not end the digests
            failed = error
        failpoint("digest.after_send")
        done = after(trying, made.id, failed, self._clock())
        if failed is not None:
            log.warning("digest not sent", digest=one.name, attempts=trying.attempts, detail=done.detail)
        self._keep(one.name, done)

    def _keep(self, name: str, told: Told) -> None:
        self._notes.keep(_note(name), told.model_dump_json())


def last_period(one: DigestSettings, zone: str, now: datetime) -> tuple[datetime, datetime]:
    """The last whole period in the calendar."""
    times, length = trigger(one, zone), LENGTH[one.every]
    end = last_time(times, now, length)
    return end - length, end


def _note(name: str) -> str:
    return f"{NOTE}{name}"
