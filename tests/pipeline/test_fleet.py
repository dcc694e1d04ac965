"""The heart of the Kafka runtime: whatever is cut, killed or moved, the ledger is the one of the embedded runtime."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from opinionwatch.pipeline import failpoints
from opinionwatch.pipeline.contracts_trend import Delivery
from tests.pipeline.fleet import Fleet, Storm, arm
from tests.pipeline.rig import TABLES, Rig, pages, rows, story

SAME = ("ledger", "documents", "windows", "episodes", "deadletters")
POINTS = [point for point in failpoints.FAILPOINTS if point.split(".")[0] in ("ingest", "score", "trend")]


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of an undisturbed embedded run."""
    rig = Rig(tmp_path_factory.mktemp("embedded"))
    rig.play(pages(story(), [37] * 100))
    rig.finish()
    return rig.path


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    """No failpoint outlives its test."""
    yield
    arm("")


def assert_same(fleet: Fleet, embedded: Path) -> None:
    """Documents, ledger, windows, episodes, dead letters and alerts, byte for byte."""
    for table in SAME:
        assert rows(fleet.settings.store_path, TABLES[table]) == rows(embedded, TABLES[table]), table
    told = [Delivery.model_validate_json(bytes(str(body), "utf-8") if isinstance(body, str) else body)  # type: ignore[arg-type]  # a blob
            for (body,) in rows(embedded, "SELECT body FROM deliveries")]  # fmt: skip
    assert fleet.alerts() == {delivery.alert.id: delivery.alert for delivery in told}
    assert fleet.alerts(), "a story without an alert proves nothing"


def test_undisturbed_daemons_come_to_the_ledger_of_the_embedded_runtime(embedded: Path, tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, random.Random(1))
    for page in pages(story(), [23] * 100):
        fleet.intake.submit(fleet.feed, page).result(timeout=0)
    fleet.replaying = []
    fleet.intake.beat()
    fleet.drain()
    assert_same(fleet, embedded)


@pytest.mark.parametrize("seed", range(4))
def test_cuts_and_moves_change_nothing(seed: int, embedded: Path, tmp_path: Path) -> None:
    dice = random.Random(seed)
    storm = Storm(Fleet(tmp_path, dice), pages(story(), [dice.randint(1, 9) for _ in range(300)]))
    storm.run()
    assert storm.crashes == 0
    assert_same(storm.fleet, embedded)


@pytest.mark.parametrize("point", POINTS)
def test_a_crash_at_any_boundary_changes_nothing(point: str, embedded: Path, tmp_path: Path) -> None:
    dice = random.Random(point)
    storm = Storm(Fleet(tmp_path, dice), pages(story(), [dice.randint(1, 9) for _ in range(300)]))
    arm(f"{point}=raise:1")
    storm.run()
    assert failpoints._armed.passes.get(point, 0) >= 1, "the point was never passed"
    assert_same(storm.fleet, embedded)
