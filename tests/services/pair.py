"""Both services, for a test session or for a person at a terminal."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.services.docker import ElasticContainer, KafkaContainer, engine_answers
from tests.services.elastic import ElasticSearch
from tests.services.kafka import Kafka
from tests.services.server import Service

BY = "OPINIONWATCH_SERVICES_BY"
"""`docker` or `java`; without it Docker where an engine answers, else Java."""


@dataclass(frozen=True)
class Services:
    """A real Kafka and a real Elasticsearch."""

    kafka: Service
    elasticsearch: Service

    @property
    def addresses(self) -> dict[str, str]:
        """By name, as daemons' settings want them."""
        return {"kafka": self.kafka.address, "elasticsearch": self.elasticsearch.address}

    def up(self) -> None:
        """Start both and wait until they answer."""
        for service in (self.kafka, self.elasticsearch):
            service.start()
        for service in (self.kafka, self.elasticsearch):
            service.wait()

    def remove(self) -> None:
        """Stop both and delete everything they wrote."""
        for service in (self.elasticsearch, self.kafka):
            service.remove()


def made(*, leashed: bool = True) -> Services:
    """Both, not started yet. Raises UnavailableError when this machine can run neither containers nor Java."""
    by = os.environ.get(BY, "")
    if by == "docker" or (by != "java" and engine_answers()):
        return Services(KafkaContainer(), ElasticContainer())
    return Services(Kafka(leashed=leashed), ElasticSearch(leashed=leashed))


@contextmanager
def running() -> Iterator[Services]:
    """Both, up while the block runs, and gone with everything they wrote afterwards."""
    services = made()
    try:
        services.up()
        yield services
    finally:
        services.remove()
