"""Every outbox against the one suite."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from opinionwatch.pipeline.contracts_trend import Delivery
from opinionwatch.pipeline.elastic_client import connect
from opinionwatch.pipeline.elastic_mapping import index_of
from opinionwatch.pipeline.elastic_records import delivery_source
from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.outbox_elastic import ElasticOutbox
from opinionwatch.pipeline.outbox_sqlite import SqliteOutbox
from opinionwatch.pipeline.settings_elastic import Elastic
from tests.contract.outbox_suite import LATER, OutboxSuite
from tests.pipeline.elastic import Cluster, cluster
from tests.pipeline.sample import NOON, delivery

NEWER = {"schema_version": 2}


class InSqlite:
    """A file, and every outbox that was opened on it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: list[SqliteOutbox] = []

    def outbox(self) -> SqliteOutbox:
        """One more connection."""
        self._opened.append(SqliteOutbox(self._path))
        return self._opened[-1]

    def settle(self) -> None:
        """What was committed is seen."""

    def spoil(self, told: Delivery) -> None:
        """Its body says less than it must."""
        with closing(sqlite3.connect(self._path)) as db, db:
            db.execute("UPDATE deliveries SET body = ? WHERE id = ?", (b'{"schema_version": 2}', told.id))

    @contextmanager
    def away(self) -> Iterator[SqliteOutbox]:
        """While somebody else writes."""
        outbox = self.outbox()
        outbox._db.execute("PRAGMA busy_timeout = 0")
        with closing(sqlite3.connect(self._path, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            yield outbox
            db.execute("ROLLBACK")

    def close(self) -> None:
        """Close them all."""
        for outbox in self._opened:
            outbox.close()


class TestSqlite(OutboxSuite):
    """SQLite."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> Iterator[InSqlite]:
        """A file of its own."""
        made = InSqlite(tmp_path / "opinionwatch.db")
        yield made
        made.close()


class InElastic:
    """Indices of a cluster; searches see what was written only when they are told to."""

    def __init__(self, given: Cluster) -> None:
        self._given = given
        self._index = index_of(given.settings.prefix, "deliveries")

    def empty(self) -> None:
        """Delete what the test before wrote, and let no second that passes make anything visible."""
        client, state = self._given.client, index_of(self._given.settings.prefix, "state")
        client.indices.put_settings(index=self._index, settings={"index.refresh_interval": "-1"})
        self._given.refresh()
        for hit in client.search(index=[self._index, state], size=1000, source=False)["hits"]["hits"]:
            client.delete(index=hit["_index"], id=hit["_id"])
        self._given.refresh()

    def outbox(self) -> ElasticOutbox:
        """One more."""
        return ElasticOutbox(self._given.client, self._given.settings)

    def settle(self) -> None:
        """As a second that passes does in production."""
        self._given.refresh()

    def spoil(self, told: Delivery) -> None:
        """Its record says less than it must."""
        self._given.client.index(index=self._index, id=told.id, document=delivery_source(told) | {"record": NEWER})

    @contextmanager
    def away(self) -> Iterator[ElasticOutbox]:
        """At a port where nobody listens."""
        settings = Elastic(hosts=("http://127.0.0.1:9",), prefix=self._given.settings.prefix)
        with connect(settings) as client:
            yield ElasticOutbox(client, settings)


@pytest.fixture(scope="module")
def indices(services: dict[str, str]) -> Iterator[InElastic]:
    """A prefix of their own, for all of these tests."""
    with cluster(services["elasticsearch"]) as given:
        yield InElastic(given)


class TestElastic(OutboxSuite):
    """A real Elasticsearch."""

    @pytest.fixture
    def place(self, indices: InElastic) -> InElastic:
        """The indices, without what the test before left in them."""
        indices.empty()
        return indices

    def test_a_cluster_that_cannot_be_reached_is_to_be_asked_again(self, place: InElastic) -> None:
        with place.away() as outbox:
            with pytest.raises(RetryableError, match="cannot be reached"):
                outbox.due(NOON, 10)
            with pytest.raises(RetryableError, match="cannot be reached"):
                outbox.note("digest/morning")

    def test_a_backlog_of_more_than_one_page_comes_whole_and_in_order(
        self, place: InElastic, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("opinionwatch.pipeline.outbox_elastic.PAGE", 3)
        outbox = place.outbox()
        made = sorted((delivery(number) for number in range(8)), key=lambda one: one.id)
        outbox.save(*made)
        place.settle()
        assert outbox.due(LATER, 100) == made
        assert outbox.due(LATER, 5) == made[:5]
        assert outbox.due(LATER, 6) == made[:6]
