"""What tests of all folders share: a real Kafka and a real Elasticsearch, started once a session when asked for."""

import os
from collections.abc import Iterator

import pytest

from tests.services.pair import running
from tests.services.run import given

# Workers of pytest-xdist are told a size of 80 columns, and rich keeps what it finds when a console is made.
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)


@pytest.fixture(scope="session")
def services() -> Iterator[dict[str, str]]:
    """Addresses by name: `kafka` as host:port, `elasticsearch` as http://host:port.

    What `make services` started is used if it runs; tests therefore name their own topics and indices.
    """
    found = given()
    if found is not None:
        yield found
        return
    with running() as started:
        yield started.addresses


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes of an archive hold the time of its making: workers that make them at two times must name a test alike."""
    return f"{argname}-{len(val)}-bytes" if isinstance(val, bytes) else None
