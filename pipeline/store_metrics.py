"""The numbers that only the whole store can tell: what is accounted for, how often it has alarmed, what has moved."""

from datetime import UTC, datetime, timedelta

import structlog

from opinionwatch.pipeline.archive import Archive
from opinionwatch.pipeline.contracts_trend import Delivery
from opinionwatch.pipeline.drifting import lately
from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.metrics import Metrics
from opinionwatch.pipeline.source_metrics import tell_pace
from opinionwatch.pipeline.web_health import Alarms, HealthReader

NEWEST = 200
"""Deliveries that are looked at: whole records, and often."""
PATIENCE = timedelta(minutes=1)
log = structlog.get_logger(__name__)


def told(archive: Archive, reader: HealthReader, metrics: Metrics, now: datetime, *, slow: bool) -> bool:
    """One round of counting, a `slow` one with what takes many reads; False when the store was away."""
    try:
        counted(archive, metrics, now)
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
    """Tell how far what people write has moved. Raises RetryableError when the store is away."""
    found = lately(archive)
    if found.verdict != "too few":
        metrics.set("opinionwatch_drift_label_psi", found.label_psi)
        metrics.set("opinionwatch_drift_confidence", found.confidence_now - found.confidence_before)
        metrics.set("opinionwatch_drift_unknown_words", found.unknown_now)


def counted(archive: Archive, metrics: Metrics, now: datetime) -> None:
    """Tell what is accounted for, how sources are, and how many alerts are late. Raises RetryableError when the store
    is away.
    """
    rows = archive.ledger()
    metrics.set("opinionwatch_conservation_gap", sum(abs(row.gap) for row in rows))
    tell_pace(metrics, rows, archive.health(), archive.now())
    metrics.set("opinionwatch_pending_records", sum(row.pending for row in rows))
    hours = [datetime.strptime(row.hour, "%Y-%m-%dT%HZ").replace(tzinfo=UTC) for row in rows if row.pending]
    oldest = max((now - hour - timedelta(hours=1) for hour in hours), default=timedelta(0))
    metrics.set("opinionwatch_oldest_pending_seconds", max(0.0, oldest.total_seconds()))
    late = sum(_is_late(one, now) for one in archive.deliveries(limit=NEWEST))
    metrics.set("opinionwatch_late_deliveries", late)


def _is_late(delivery: Delivery, now: datetime) -> bool:
    """Not what waits on purpose: for a quiet hour's end, for company, or whether somebody acknowledges."""
    waits = delivery.state == "pending" and not delivery.attempts
    return delivery.due_at + PATIENCE < now if waits else delivery.state in ("pending", "sending")
