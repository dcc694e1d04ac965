"""Every store against the one suite."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import pytest

from opinionwatch.pipeline.archive import Archive
from opinionwatch.pipeline.archive_elastic import ElasticArchive
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.contracts import DeadLetter, Document
from opinionwatch.pipeline.revisions import Admitted
from opinionwatch.pipeline.store_elastic import ElasticStore
from opinionwatch.pipeline.store_sqlite import SqliteStore
from tests.contract.archive_suite import ArchiveSuite
from tests.pipeline.elastic import Cluster, cluster


class Sqlite:
    """A `SqliteStore` and its archive, which is on connections of its own."""

    def __init__(self, path: Path) -> None:
        self.writer = SqliteStore(path)
        self.archive: Archive = SqliteArchive(path)

    def take(self, admitted: Sequence[Document | DeadLetter], written: Sequence[object]) -> list[Admitted]:
        """One transaction."""
        with self.writer.transaction():
            going = self.writer.admit(admitted)
            self.writer.write(written)  # type: ignore[arg-type]  # the suite hands in what a hop may return
        return going

    def progress(self, up_to: datetime) -> None:
        """One transaction."""
        with self.writer.transaction():
            self.writer.save_progress(up_to)


class TestSqlite(ArchiveSuite):
    """SQLite."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Sqlite]:
        made = Sqlite(tmp_path / "opinionwatch.db")
        yield made
        made.writer.close()


class Elastic:
    """An `ElasticStore` and its archive; what was written is made visible at once, as production never does."""

    def __init__(self, given: Cluster) -> None:
        self._cluster = given
        self.writer = ElasticStore(given.client, given.settings)
        self.archive: Archive = ElasticArchive(given.client, given.settings)

    def take(self, admitted: Sequence[Document | DeadLetter], written: Sequence[object]) -> list[Admitted]:
        """Two durable calls."""
        going = self.writer.admit(admitted)
        assert self.writer.write(written) == []  # type: ignore[arg-type]  # the suite hands in what a hop may return
        self._cluster.refresh()
        return going

    def progress(self, up_to: datetime) -> None:
        """One durable call."""
        self.writer.save_progress(up_to)
        self._cluster.refresh()


class TestElastic(ArchiveSuite):
    """A real Elasticsearch."""

    @pytest.fixture
    def store(self, services: dict[str, str]) -> Iterator[Elastic]:
        with cluster(services["elasticsearch"]) as given:
            made = Elastic(given)
            yield made
            made.writer.close()
