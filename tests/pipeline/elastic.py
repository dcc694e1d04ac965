"""A place of one's own on the real Elasticsearch, for one test."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

from elasticsearch import Elasticsearch

from opinionwatch.pipeline.elastic_client import connect
from opinionwatch.pipeline.elastic_setup import KINDS, set_up
from opinionwatch.pipeline.settings_elastic import Elastic


@dataclass(frozen=True)
class Cluster:
    """A client, and settings with a prefix that nobody else has."""

    client: Elasticsearch
    settings: Elastic

    def refresh(self) -> None:
        """Make everything visible to searches."""
        self.client.indices.refresh(index=f"{self.settings.prefix}-*")

    def remove(self) -> None:
        """Delete indices and templates."""
        prefix = self.settings.prefix
        names = [name for kind in KINDS for name in self.client.indices.get(index=f"{prefix}-{kind}*")]
        for name in names:
            self.client.indices.delete(index=name)
        self.client.options(ignore_status=404).indices.delete_index_template(name=f"{prefix}-*")
        self.client.options(ignore_status=404).cluster.delete_component_template(name=f"{prefix}-*")


@contextmanager
def cluster(address: str, *, made: bool = True) -> Iterator[Cluster]:
    """An empty place with its templates and indices (`made=False`: without), removed afterwards."""
    settings = Elastic(hosts=(address,), prefix=f"test{uuid4().hex[:12]}")
    client = connect(settings)
    given = Cluster(client, settings)
    try:
        if made:
            assert all(step.ok for step in set_up(client, settings))
        yield given
    finally:
        given.remove()
        client.close()
