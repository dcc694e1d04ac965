"""Everything the dashboards ask for, asked of a real Elasticsearch that holds the demo."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import orjson
import pytest

from opinionwatch.connectors.demo_story import CRISIS
from opinionwatch.connectors.pulling import Health
from opinionwatch.pipeline import wiring
from opinionwatch.pipeline.archive_elastic import ElasticArchive
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.contracts_trend import Message
from opinionwatch.pipeline.demo_run import prepared
from opinionwatch.pipeline.engine import Engine
from opinionwatch.pipeline.kibana_objects import ndjson, saved_objects
from opinionwatch.pipeline.score import Mentions
from opinionwatch.pipeline.store_elastic import ElasticStore
from tests.pipeline.elastic import Cluster, cluster
from tests.pipeline.kibana_asks import hits, rows
from tests.pipeline.kibana_boards import boards
from tests.pipeline.sample import dead, drop, silence

OBJECTS = [orjson.loads(line) for line in ndjson(saved_objects(boards(), "opinionwatch", "en")).splitlines()]
CHARTS = [each for each in OBJECTS if each["type"] in ("lens", "search")]
VIEWS = {each["id"]: each["attributes"]["title"] for each in OBJECTS if each["type"] == "index-pattern"}
SINCE, UNTIL = datetime(2025, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)


class Quiet:
    """A channel that takes everything.

    Delivery: to nobody.
    """

    name = "quiet"

    def notify(self, message: Message) -> None:
        """Take it."""


@dataclass(frozen=True)
class Filled:
    """A cluster with the demo in it."""

    cluster: Cluster

    def index(self, chart: dict[str, Any]) -> str:
        """What the chart's data view covers, here."""
        [data] = [each["id"] for each in chart["references"] if each["type"] == "index-pattern"]
        return str(VIEWS[data]).replace("opinionwatch", self.cluster.settings.prefix, 1)


@pytest.fixture(scope="module")
def filled(services: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """The demo, run embedded and written as the daemons write it, with what a demo does not have."""
    settings = prepared(tmp_path_factory.mktemp("kibana") / "demo", scorer="lexicon", port=0, language="en")
    Engine(settings, "http://page.example", {"quiet": Quiet()}).run(Event(), until_exhausted=True)
    with cluster(services["elasticsearch"]) as given:
        _fill(given, SqliteArchive(settings.store_path), Mentions(wiring.watchlists(settings)))
        given.refresh()
        yield Filled(given)


def _fill(given: Cluster, archive: SqliteArchive, mentions: Mentions) -> None:
    store = ElasticStore(given.client, given.settings)
    found = list(archive.every_document())
    now = archive.now()
    assert now is not None
    for start in range(0, len(found), 1000):
        batch = found[start : start + 1000]
        store.admit([scored.document for scored in batch])
        assert store.write(mentions(batch, now)) == []
    store.admit([found[0].document])
    edited = found[2].document
    edit = {"text": f"{edited.text}!", "edited_at": now}
    store.admit([edited.model_copy(update=edit)])  # a later version, with lines of its own in the ledger
    letter = dead(1)
    store.admit([letter])
    windows = [window for each in ("lumora", "skyfare", "kumobean") for window in archive.windows(each, SINCE, UNTIL)]
    assert store.write([*windows, *archive.episodes(), *archive.deliveries(), letter, drop(found[1].document)]) == []
    store.save_progress(now)
    health = Health("demo", "demo", "backing off", last_success=now, last_error="HTTP 503", last_error_at=now, errors=3)
    store.report([health], now)
    store.report_worker("score", {"lag": 3, "records": 250, "latency_s": 1.5, "batch_s": 0.4, "retries": 0}, now)
    ElasticArchive(given.client, given.settings).add_silence(silence(1))
    store.close()


@pytest.mark.parametrize("chart", CHARTS, ids=[str(each["id"]) for each in CHARTS])
def test_what_a_panel_asks_for_is_answered_with_rows(chart: dict[str, Any], filled: Filled) -> None:
    client, index = filled.cluster.client, filled.index(chart)
    if chart["type"] == "search":
        answered = hits(client, index, chart, SINCE, UNTIL)
        assert answered
        wanted = set(chart["attributes"]["columns"]) - {"url.full", "event.end"}
        assert wanted <= {name for each in answered for name in each}, "each column has something in some row"
        return
    found = rows(client, index, chart, SINCE, UNTIL)
    assert found
    for name in found[0].values:
        assert any(row.values[name] is not None for row in found), f"{name} is empty in every row"


@pytest.mark.parametrize(
    "name", ["overview-interval", "overview-interval-in-time", "aspects-share", "episode-aspects", "episode-sources"]
)
def test_the_interval_lies_around_the_share_in_every_row(name: str, filled: Filled) -> None:
    chart = next(each for each in CHARTS if each["id"] == f"opinionwatch-{name}")
    [layer] = chart["attributes"]["state"]["datasourceStates"]["formBased"]["layers"].values()
    labels = {body["label"]: column for column, body in layer["columns"].items()}
    found = rows(filled.cluster.client, filled.index(chart), chart, SINCE, UNTIL)
    told = 0
    for row in found:
        low, share, high = (row.values[labels[label]] for label in ("from", "Negative share", "to"))
        if share is not None:
            assert low is not None
            assert high is not None
            assert -1e-9 <= low <= share + 1e-9
            assert share - 1e-9 <= high <= 1 + 1e-9
            told += 1
    assert told


def value(filled: Filled, name: str) -> float | None:
    """The number that a panel of one number shows."""
    chart = next(each for each in CHARTS if each["id"] == f"opinionwatch-{name}")
    [row] = rows(filled.cluster.client, filled.index(chart), chart, SINCE, UNTIL)
    return row.values["value0"]


def test_the_sums_on_the_dashboards_are_those_of_the_audit(filled: Filled) -> None:
    cluster = filled.cluster
    told = ElasticArchive(cluster.client, cluster.settings).ledger()
    assert value(filled, "pipeline-accepted") == sum(row.accepted for row in told) > 0
    assert value(filled, "pipeline-dropped") == sum(row.dropped for row in told) > 0
    [sources] = [each for each in CHARTS if each["id"] == "opinionwatch-sources-accepted"]
    found = rows(cluster.client, filled.index(sources), sources, SINCE, UNTIL)
    assert sum(row.values["value0"] or 0 for row in found) == sum(row.accepted for row in told)
    [outcome] = [each for each in CHARTS if each["id"] == "opinionwatch-sources-outcome"]
    shown = {row.keys for row in rows(cluster.client, filled.index(outcome), outcome, SINCE, UNTIL)}
    assert shown == {("accepted",), ("dropped",)}, "and not the ledger's own lines of a later version"


def test_the_dashboard_that_an_alert_leads_to_shows_the_crisis_and_its_aspect_first(filled: Filled) -> None:
    chart = next(each for each in CHARTS if each["id"] == "opinionwatch-episode-aspects")
    query = chart["attributes"]["state"]["query"]
    about = {"language": "kuery", "query": f'watchlist.id : "{CRISIS.watchlist}"'}
    chart = orjson.loads(orjson.dumps(chart).replace(orjson.dumps(query), orjson.dumps(about)))
    found = rows(filled.cluster.client, filled.index(chart), chart, CRISIS.onset, CRISIS.until + timedelta(hours=1))
    first = max((row for row in found if row.keys != ("general",)), key=lambda row: row.values["value0"] or 0)
    assert first.keys == (CRISIS.aspect,)


def test_what_people_choose_from_has_values(filled: Filled) -> None:
    for board in boards():
        for control in board.controls:
            index = str(VIEWS[f"opinionwatch-data-{control.data}"])
            index = index.replace("opinionwatch", filled.cluster.settings.prefix, 1)
            answer = filled.cluster.client.search(index=index, size=0, aggs={"a": {"terms": {"field": control.field}}})
            assert answer["aggregations"]["a"]["buckets"], f"{board.id}.{control.id}"


def test_the_shipped_files_are_the_ones_that_are_tested() -> None:
    shipped = {file.stem for file in (Path(__file__).parents[2] / "compose" / "kibana").glob("*.yaml")}
    assert shipped == {board.id for board in boards()}
