"""`opinionwatch web`: the page and its API beside the daemons, and the numbers that only the whole index can tell."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol, runtime_checkable

import structlog

from opinionwatch.pipeline import web, wiring
from opinionwatch.pipeline.archive import Archive
from opinionwatch.pipeline.archives import archive_of, let_in
from opinionwatch.pipeline.corrections import Corrections
from opinionwatch.pipeline.daemon_life import Life, wall_clock
from opinionwatch.pipeline.drifting import lately
from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.metrics import Metrics
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.source_metrics import tell_pace
from opinionwatch.pipeline.web_health import Alarms, HealthReader, SourceStatus
from opinionwatch.pipeline.wiring_why import explainer

COUNT_S = 15.0
"""Seconds between two looks at the ledger."""
SLOW_ROUNDS = 40
"""Rounds of counting between two looks at what takes many reads (alarms, drift): ten minutes."""
log = structlog.get_logger(__name__)


@runtime_checkable
class ReportedArchive(Protocol):
    """An archive to which daemons report how their sources are doing."""

    def reports(self) -> Mapping[str, SourceStatus]:
        """By source."""
        ...


def page(settings: Settings, life: Life, ready: Callable[[str], None]) -> None:
    """Serve until told to stop. Raises SettingsError when strangers could reach the page without a token,
    FatalError when the index refuses us.
    """
    let_in(settings)
    archive = archive_of(settings)
    watched = [(watchlist.id, watchlist.name) for watchlist in wiring.watchlists(settings)]
    budget = wiring.trend_settings(settings).detector.false_alarms_per_week
    reader = HealthReader(archive, None, len(watched), budget)
    app = web.build(
        archive,
        watchlists=watched,
        settings=settings.web,
        lang=settings.language,
        status=archive.reports if isinstance(archive, ReportedArchive) else None,
        budget=budget,
        answers=wiring.answers(settings),
        explain=explainer(settings),
        corrections=Corrections(settings.data_dir),
    )
    with web.serve(app, settings.web, ready) as serving:
        life.ready.set()
        left = 0
        while True:
            if told(archive, reader, life.metrics, slow=left == 0):
                left = (left or SLOW_ROUNDS) - 1
            if life.stop.wait(COUNT_S):
                return
            if not serving.alive:
                raise FatalError("the page has stopped by itself")


def told(archive: Archive, reader: HealthReader, metrics: Metrics, *, slow: bool) -> bool:
    """One round of counting, a `slow` one with what takes many reads; False when the index was away."""
    try:
        counted(archive, metrics, wall_clock())
        if slow:
            realised(reader.alarms(), metrics)
            drifted(archive, metrics)
    except RetryableError as error:
        log.warning("the ledger cannot be counted now", reason=str(error))
        return False
    return True


def realised(alarms: Alarms, metrics: Metrics) -> None:
    """Tell how often it has alarmed, beside the budget."""
    counts = {"all": alarms.opened, "real": alarms.real, "not_crisis": alarms.not_crisis}
    for kind, count in counts.items():
        rate = count / alarms.watchlist_weeks if alarms.watchlist_weeks else 0.0
        metrics.set("opinionwatch_alarms_per_watchlist_week", rate, kind)
    metrics.set("opinionwatch_false_alarm_budget", alarms.budget or 0.0)


def drifted(archive: Archive, metrics: Metrics) -> None:
    """Tell how far what people write has moved. Raises RetryableError when the index is away."""
    found = lately(archive)
    if found.verdict != "too few":
        metrics.set("opinionwatch_drift_label_psi", found.label_psi)
        metrics.set("opinionwatch_drift_confidence", found.confidence_now - found.confidence_before)
        metrics.set("opinionwatch_drift_unknown_words", found.unknown_now)


def counted(archive: Archive, metrics: Metrics, now: datetime) -> None:
    """Tell what is accounted for, and how sources are. Raises RetryableError when the index is away."""
    rows = archive.ledger()
    metrics.set("opinionwatch_conservation_gap", sum(abs(row.gap) for row in rows))
    tell_pace(metrics, rows, archive.health(), archive.now())
    metrics.set("opinionwatch_pending_records", sum(row.pending for row in rows))
    hours = [datetime.strptime(row.hour, "%Y-%m-%dT%HZ").replace(tzinfo=UTC) for row in rows if row.pending]
    oldest = max((now - hour - timedelta(hours=1) for hour in hours), default=timedelta(0))
    metrics.set("opinionwatch_oldest_pending_seconds", max(0.0, oldest.total_seconds()))
