"""What tests of the commands share, and those of the Elasticsearch store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from opinionwatch.pipeline.archive_elastic import ElasticArchive
from opinionwatch.pipeline.store_elastic import ElasticStore
from tests.pipeline.command import Command
from tests.pipeline.elastic import Cluster, cluster
from tests.services.secure import SecureKafka
from tests.services.server import up


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """The command line, in an empty working folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return Command(monkeypatch)


@pytest.fixture(scope="session")
def secure_kafka() -> Iterator[SecureKafka]:
    """A broker that wants TLS and a password."""
    with up(SecureKafka()) as server:
        yield server


@pytest.fixture(scope="module")
def place(services: dict[str, str]) -> Iterator[Cluster]:
    """A place on the real Elasticsearch, for the tests of one file."""
    with cluster(services["elasticsearch"]) as given:
        yield given


@pytest.fixture
def store(place: Cluster) -> Iterator[ElasticStore]:
    """What writes there."""
    made = ElasticStore(place.client, place.settings)
    yield made
    made.close()


@pytest.fixture
def archive(place: Cluster) -> ElasticArchive:
    """What reads there."""
    return ElasticArchive(place.client, place.settings)
