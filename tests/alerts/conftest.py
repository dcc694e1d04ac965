"""What the tests of deliveries share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.alerts.test_outbox import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "store.db")
    yield world
    world.close()
