"""How sources are, as numbers for Prometheus: what an ingest daemon knows, and what only the whole ledger can tell."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime

from opinionwatch.connectors.pulling import Health
from opinionwatch.pipeline.archive import LedgerRow, SourceHealth
from opinionwatch.pipeline.metrics import Metrics
from opinionwatch.pipeline.usual import usual_by_source

DOWN = ("failed", "backing off", "circuit open")


class SourceMetrics:
    """Tells one daemon's metrics what its sources have done since they were last asked."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._told: Counter[tuple[str, ...]] = Counter()

    def tell(self, sources: Iterable[Health], behind: Mapping[str, float]) -> None:
        """`behind`: how old the newest document of a source's last page was, in seconds, by name."""
        for health in sources:
            name = health.name
            self._metrics.set("opinionwatch_source_up", health.state not in DOWN, name)
            if health.last_success is not None:
                at = health.last_success.timestamp()
                self._metrics.set("opinionwatch_source_last_success_timestamp_seconds", at, name)
            if name in behind:
                self._metrics.set("opinionwatch_source_behind_seconds", behind[name], name)
            if health.quota is not None:
                self._metrics.set("opinionwatch_source_quota_remaining", health.quota.remaining, name)
            new = self._since((name,), health.items)
            self._metrics.count("opinionwatch_source_documents_total", new, name)
            for kind, errors in health.kinds:
                self._metrics.count("opinionwatch_source_errors_total", self._since((name, kind), errors), name, kind)

    def _since(self, what: tuple[str, ...], now: int) -> int:
        """How many more than when it was last told. One that begins anew begins with nothing."""
        before, self._told[what] = self._told[what], now
        return now - before if now >= before else now


def tell_pace(
    metrics: Metrics, ledger: Iterable[LedgerRow], sources: Iterable[SourceHealth], now: datetime | None
) -> None:
    """Each source's last whole hour beside what that hour of the week usually brings, and whether it is silent; `now`
    is pipeline time.
    """
    if now is None:
        return
    usual = usual_by_source([(row.source, row.hour, row.accepted) for row in ledger], now)
    for source in sources:
        own = usual.get(source.source)
        if own is None:
            continue
        metrics.set("opinionwatch_source_hour_documents", own.last_hour(), source.source)
        expected = own.usual_last_hour()
        if expected is not None:
            metrics.set("opinionwatch_source_hour_usual", expected, source.source)
        metrics.set("opinionwatch_source_silent", own.is_silent(source.last_accepted_at), source.source)
