"""`opinionwatch web`: the page and its API beside the daemons, and the numbers that only the whole index can tell."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from opinionwatch.pipeline import web, wiring
from opinionwatch.pipeline.archive import Archive
from opinionwatch.pipeline.archives import archive_of
from opinionwatch.pipeline.daemon_life import Life, wall_clock
from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.metrics import Metrics
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.web_health import alarms_of

COUNT_S = 15.0
"""Seconds between two looks at the ledger."""
log = structlog.get_logger(__name__)


def page(settings: Settings, life: Life, ready: Callable[[str], None]) -> None:
    """Serve until told to stop. Raises SettingsError when strangers could reach the page without a token."""
    archive = archive_of(settings)
    watchlists = wiring.watchlists(settings)
    budget = wiring.trend_settings(settings).detector.false_alarms_per_week
    app = web.build(
        archive,
        watchlists=[(watchlist.id, watchlist.name) for watchlist in watchlists],
        settings=settings.web,
        lang=settings.language,
        budget=budget,
        answers=wiring.answers(settings),
    )
    with web.serve(app, settings.web, ready):
        life.ready.set()
        while True:
            try:
                counted(archive, life.metrics, wall_clock())
                alarmed(archive, life.metrics, len(watchlists), budget)
            except RetryableError as error:
                log.warning("the ledger cannot be counted now", reason=str(error))
            if life.stop.wait(COUNT_S):
                return


def counted(archive: Archive, metrics: Metrics, now: datetime) -> None:
    """Tell what is accounted for. Raises RetryableError when the index is away."""
    rows = archive.ledger()
    metrics.set("opinionwatch_conservation_gap", sum(abs(row.gap) for row in rows))
    metrics.set("opinionwatch_pending_records", sum(row.pending for row in rows))
    hours = [datetime.strptime(row.hour, "%Y-%m-%dT%HZ").replace(tzinfo=UTC) for row in rows if row.pending]
    oldest = max((now - hour - timedelta(hours=1) for hour in hours), default=timedelta(0))
    metrics.set("opinionwatch_oldest_pending_seconds", max(0.0, oldest.total_seconds()))


def alarmed(archive: Archive, metrics: Metrics, watchlists: int, budget: float) -> None:
    """Tell how often it has really alarmed, beside the budget. Raises RetryableError when the index is away."""
    found = alarms_of(archive, watchlists, budget)
    metrics.set("opinionwatch_false_alarm_budget_per_watchlist_week", budget)
    if found.per_week is not None:
        metrics.set("opinionwatch_alarms_per_watchlist_week", found.per_week)
