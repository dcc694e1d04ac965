"""What only the whole index can tell is told to Prometheus by the daemon that serves the page."""

from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from opinionwatch.pipeline.daemon_web import alarmed
from opinionwatch.pipeline.metrics import Metrics
from opinionwatch.pipeline.web_health import NEGATIVE_KINDS
from tests.pipeline.web_sample import WATCHLISTS, fill


def told(metrics: Metrics, name: str) -> float:
    """The value of a figure without labels."""
    families = text_string_to_metric_families(metrics.text().decode())
    return float(next(family.samples[0].value for family in families if family.name == name))


def test_the_rate_of_alarms_stands_beside_the_budget_it_was_given(tmp_path: Path) -> None:
    archive, metrics = fill(tmp_path / "store.db"), Metrics()
    alarmed(archive, metrics, len(WATCHLISTS), 0.25)
    span = archive.span()
    assert span is not None
    opened = sum(episode.kind in NEGATIVE_KINDS for episode in archive.episodes())
    weeks = len(WATCHLISTS) * ((span[1] - span[0]) / timedelta(weeks=1))
    assert opened > 0
    assert told(metrics, "opinionwatch_alarms_per_watchlist_week") == pytest.approx(opened / weeks)
    assert told(metrics, "opinionwatch_false_alarm_budget_per_watchlist_week") == 0.25
