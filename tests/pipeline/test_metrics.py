"""What Prometheus is told has one list of names, and the page that tells it says how the daemon is."""

import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.metrics import HISTOGRAMS, LABELS, MetricName, Metrics
from opinionwatch.pipeline.monitor import monitor
from opinionwatch.pipeline.store_metrics import counted, realised, told
from opinionwatch.pipeline.store_sqlite import SqliteStore
from opinionwatch.pipeline.web_health import Alarms, HealthReader
from tests.pipeline.sample import NOON, delivery


def exported(metrics: Metrics) -> set[str]:
    """The names in the text, as they are listed."""
    families = text_string_to_metric_families(metrics.text().decode())
    return {family.name + ("_total" if family.type == "counter" else "") for family in families}


def test_exactly_the_listed_names_are_exported() -> None:
    assert exported(Metrics()) == set(get_args(MetricName))
    assert {*LABELS, *HISTOGRAMS} <= set(get_args(MetricName))


def test_numbers_arrive_under_their_labels() -> None:
    metrics = Metrics()
    metrics.count("opinionwatch_dead_letters_total", 2, "malformed_json")
    metrics.set("opinionwatch_lag_entries", 7, "3")
    metrics.observe("opinionwatch_batch_seconds", 0.2)
    text = metrics.text().decode()
    assert 'opinionwatch_dead_letters_total{reason="malformed_json"} 2.0' in text
    assert 'opinionwatch_lag_entries{partition="3"} 7.0' in text
    assert "opinionwatch_batch_seconds_count 1.0" in text


@pytest.mark.parametrize(("weeks", "rates"), [(20.0, (0.2, 0.05, 0.1)), (0.0, (0.0, 0.0, 0.0))])
def test_the_realised_rate_of_alarms_stands_beside_the_budget(weeks: float, rates: tuple[float, ...]) -> None:
    metrics = Metrics()
    realised(
        Alarms(opened=4, watchlist_weeks=weeks, per_week=None, real=1, not_crisis=2, budget=0.1),
        metrics,
    )
    text = metrics.text().decode()
    for kind, rate in zip(("all", "real", "not_crisis"), rates, strict=True):
        assert f'opinionwatch_alarms_per_watchlist_week{{kind="{kind}"}} {rate}' in text
    assert "opinionwatch_false_alarm_budget 0.1" in text


def test_what_takes_many_reads_is_counted_in_slow_rounds_only(tmp_path: Path) -> None:
    path, metrics = tmp_path / "store.db", Metrics()
    SqliteStore(path).close()
    archive = SqliteArchive(path)
    reader = HealthReader(archive, None, 1, 0.1)
    assert told(archive, reader, metrics, datetime.now(UTC), slow=False)
    assert "opinionwatch_false_alarm_budget 0.0" in metrics.text().decode()
    assert told(archive, reader, metrics, datetime.now(UTC), slow=True)
    assert "opinionwatch_false_alarm_budget 0.1" in metrics.text().decode()


def test_alerts_that_are_late_are_counted_and_those_that_wait_on_purpose_are_not(tmp_path: Path) -> None:
    path, metrics = tmp_path / "store.db", Metrics()
    tried = {"attempts": 3, "due_at": NOON + timedelta(hours=1)}
    waiting = [
        delivery(1, due_at=NOON - timedelta(minutes=20)),
        delivery(2).model_copy(update=tried),
        delivery(3).model_copy(update={"state": "sending", **tried}),
    ]
    fine = [
        delivery(4, due_at=NOON - timedelta(seconds=5)),
        delivery(5, due_at=NOON + timedelta(hours=1)),
        delivery(6, state="sent", due_at=NOON - timedelta(hours=1)),
    ]
    with closing(SqliteStore(path)) as store, store.transaction():
        store.write([*waiting, *fine])
    counted(SqliteArchive(path), metrics, NOON)
    assert metrics.total("opinionwatch_late_deliveries") == len(waiting)


def test_a_wedged_daemon_is_neither_alive_nor_ready_and_one_without_work_only_alive() -> None:
    state = {"alive": True, "ready": False}
    client = TestClient(monitor(Metrics(), lambda: state["alive"], lambda: state["ready"]))

    def answers() -> list[int]:
        return [client.get(path).status_code for path in ("/healthz", "/readyz")]

    assert answers() == [200, 503]
    state["ready"] = True
    assert answers() == [200, 200]
    state["alive"] = False
    assert answers() == [503, 503]
    assert b"opinionwatch_lag_entries" in client.get("/metrics").content


def test_time_counts_under_the_innermost_step_only(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics, passed = Metrics(), iter([0.0, 1.0, 10.0, 14.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(passed))
    with metrics.step("stages"), metrics.step("scorer"):
        pass
    text = metrics.text().decode()
    assert 'opinionwatch_step_seconds_total{step="stages"} 5.0' in text, "one before, four after"
    assert 'opinionwatch_step_seconds_total{step="scorer"} 9.0' in text
    assert 'opinionwatch_step_cpu_seconds_total{step="scorer"}' in text
