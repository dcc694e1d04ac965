"""How sources are, in numbers."""

from datetime import UTC, datetime, timedelta

from opinionwatch.connectors.pulling import Health
from opinionwatch.connectors.quota import Quota
from opinionwatch.pipeline.archive import LedgerRow, SourceHealth
from opinionwatch.pipeline.metrics import Metrics
from opinionwatch.pipeline.source_metrics import SourceMetrics, tell_pace

NOW = datetime(2026, 3, 12, 12, 30, tzinfo=UTC)


def lines(metrics: Metrics) -> set[str]:
    """What Prometheus reads about sources."""
    return {line for line in metrics.text().decode().splitlines() if line.startswith("opinionwatch_source_")}


def test_a_daemon_tells_how_each_of_its_sources_is() -> None:
    metrics = Metrics()
    numbers = SourceMetrics(metrics)
    blog = Health(
        "blog", "rss", "backing off", last_success=NOW, items=7, kinds=(("http 503", 2), ("no answer", 1)),
        quota=Quota(remaining=42),
    )  # fmt: skip
    numbers.tell([blog, Health("shop", "webhook", "running")], {"blog": 90.0})
    [success] = [line for line in lines(metrics) if "last_success" in line]
    assert float(success.rpartition(" ")[2]) == NOW.timestamp()
    assert lines(metrics) - {success} == {
        'opinionwatch_source_up{source="blog"} 0.0',
        'opinionwatch_source_up{source="shop"} 1.0',
        'opinionwatch_source_behind_seconds{source="blog"} 90.0',
        'opinionwatch_source_quota_remaining{source="blog"} 42.0',
        'opinionwatch_source_documents_total{source="blog"} 7.0',
        'opinionwatch_source_documents_total{source="shop"} 0.0',
        'opinionwatch_source_errors_total{kind="http 503",source="blog"} 2.0',
        'opinionwatch_source_errors_total{kind="no answer",source="blog"} 1.0',
    }


def test_what_was_told_is_not_told_again_and_a_new_life_begins_with_nothing() -> None:
    metrics = Metrics()
    numbers = SourceMetrics(metrics)
    for items in (7, 7, 10, 4):
        numbers.tell([Health("blog", "rss", items=items)], {})
    assert 'opinionwatch_source_documents_total{source="blog"} 14.0' in lines(metrics)


def test_the_page_tells_the_last_hour_beside_the_usual_and_who_is_silent() -> None:
    metrics = Metrics()
    hours = [NOW.replace(minute=0) - timedelta(hours=ago) for ago in range(1, 24 * 8)]
    rows = [
        LedgerRow(source, f"{hour:%Y-%m-%dT%HZ}", 60, 60, 0, 0, 0, 0)
        for hour in hours
        for source in ("loud", "gone")
        if source == "loud" or hour < NOW - timedelta(hours=5)
    ]
    last = {"loud": NOW - timedelta(minutes=1), "gone": NOW - timedelta(hours=5)}
    tell_pace(metrics, rows, [SourceHealth(name, 1, at, at) for name, at in last.items()], NOW)
    found = lines(metrics)
    assert {
        'opinionwatch_source_hour_documents{source="loud"} 60.0',
        'opinionwatch_source_hour_documents{source="gone"} 0.0',
        'opinionwatch_source_hour_usual{source="loud"} 60.0',
        'opinionwatch_source_silent{source="loud"} 0.0',
        'opinionwatch_source_silent{source="gone"} 1.0',
    } <= found
    tell_pace(Metrics(), rows, [], None)
