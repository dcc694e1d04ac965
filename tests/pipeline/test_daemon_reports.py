"""Daemons tell the dashboards how they and their sources are, and an index that is away holds nothing up."""

import time
from collections.abc import Mapping
from pathlib import Path

from opinionwatch.connectors.pulling import Health
from opinionwatch.pipeline.daemon_reports import Reports, WorkerReport
from opinionwatch.pipeline.elastic_mapping import index_of
from opinionwatch.pipeline.metrics import Metrics
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.store_elastic import ElasticStore
from tests.pipeline.elastic import cluster
from tests.pipeline.sample import NOON

FEED = Health("feed", "jsonl", state="waiting", items=7, pages=1)


def test_what_was_told_last_is_what_the_dashboards_see(services: Mapping[str, str], tmp_path: Path) -> None:
    with cluster(services["elasticsearch"]) as given:
        settings = Settings(data_dir=tmp_path, store="elasticsearch", elasticsearch=given.settings)
        with Reports(settings, lambda store: store.report([FEED], NOON), every_s=60):
            pass
        given.refresh()
        [hit] = given.client.search(index=index_of(given.settings.prefix, "health"))["hits"]["hits"]
        assert (hit["_source"]["event.provider"], hit["_source"]["health.items"]) == ("feed", 7)


def test_an_index_that_is_away_holds_nobody_up_and_another_store_is_told_nothing(tmp_path: Path) -> None:
    away = Settings.model_validate(
        {"data_dir": tmp_path, "store": "elasticsearch", "elasticsearch": {"hosts": ["http://127.0.0.1:1"]}}
    )

    def tell(store: ElasticStore) -> None:
        store.report([FEED], NOON)

    began = time.monotonic()
    with Reports(away, tell, every_s=0.01):
        pass
    with Reports(Settings(data_dir=tmp_path), tell, every_s=0.01):
        pass
    assert time.monotonic() - began < 5


def test_a_worker_tells_what_is_new_since_its_last_report(services: Mapping[str, str]) -> None:
    metrics = Metrics()
    tell = WorkerReport("score", metrics, lambda: NOON)
    with cluster(services["elasticsearch"]) as given:
        store = ElasticStore(given.client, given.settings)
        metrics.count("opinionwatch_records_total", 30, "indexed")
        tell(store)
        metrics.count("opinionwatch_records_total", 12, "indexed")
        for partition, lag in (("0", 4), ("1", 3)):
            metrics.set("opinionwatch_lag_entries", lag, partition)
        for waited in (1.0, 2.0):
            metrics.observe("opinionwatch_latency_seconds", waited)
        tell(store)
        store.close()
        given.refresh()
        name = index_of(given.settings.prefix, "workers", NOON)
        [hit] = given.client.search(index=name)["hits"][
            "hits"
        ]  # the second has the first one's moment, and replaces it
        told = {field: hit["_source"][f"worker.{field}"] for field in ("records", "lag", "latency_s")}
        assert told == {"records": 12, "lag": 7, "latency_s": 1.5}
        assert "worker.batch_s" not in hit["_source"]
