"""Edits, deletions and figures: both runtimes come to the same to the last byte, and the windows to the index."""

import random
from collections import Counter
from pathlib import Path

import orjson
import pytest

from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.contracts_trend import Delivery
from tests.pipeline.changing import changing
from tests.pipeline.fleet import Fleet, Storm, arm
from tests.pipeline.rig import TABLES, Rig, pages, rows, world
from tests.pipeline.test_fleet import POINTS, SAME


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of an undisturbed embedded run."""
    rig = Rig(tmp_path_factory.mktemp("embedded"))
    rig.play(pages(changing(), [37] * 100))
    rig.finish()
    return rig.path


def test_the_story_has_everything_in_it_and_the_audit_adds_up(embedded: Path) -> None:
    archive = SqliteArchive(embedded)
    documents = [each.document for each in archive.every_document()]
    assert sum(each.revised_at is not None for each in documents) > 15
    assert sum(each.engagement is not None for each in documents) > 15
    assert archive.dropped()["deleted"] > 15
    assert all(row.gap == 0 and row.pending == 0 for row in archive.ledger())
    assert archive.misfiled() == 0


def assert_same(fleet: Fleet, embedded: Path) -> None:
    """Everything but what alerts that were raised before quote: what was told before a deletion stays in the log."""
    for table in SAME:
        assert rows(fleet.settings.store_path, TABLES[table]) == rows(embedded, TABLES[table]), table
    raised = {key: alert.episode.explanation.signal for key, alert in fleet.alerts().items()}
    bodies = (bytes(body) for (body,) in rows(embedded, "SELECT body FROM deliveries"))  # type: ignore[call-overload]  # BLOBs
    told = [Delivery.model_validate_json(body).alert for body in bodies]
    assert raised == {alert.id: alert.episode.explanation.signal for alert in told}
    assert raised, "a story without an alert proves nothing"


def counted(path: Path) -> Counter[tuple[object, ...]]:
    """Posts by window and what they say, recomputed from the documents."""
    found: Counter[tuple[object, ...]] = Counter()
    for watchlist, aspect, body in rows(
        path, "SELECT watchlist, aspect, body FROM mentions JOIN documents ON id = document_id"
    ):
        scored = orjson.loads(bytes(body))  # type: ignore[call-overload]  # a BLOB
        at = scored["document"]["published_at"]
        start = f"{at[:14]}{int(at[14:16]) // 5 * 5:02}:00.000000Z"
        found[watchlist, start, scored["document"]["source"], aspect, scored["reading"]["sentiment"]["label"]] += 1
    return found


def test_windows_are_the_batch_recomputation_from_the_index(embedded: Path) -> None:
    expected = counted(embedded)
    sql = "SELECT watchlist, start, source, aspect, posts, negative, positive, unsure FROM windows WHERE posts > 0"
    found: Counter[tuple[object, ...]] = Counter()
    for *key, posts, negative, positive, _ in rows(embedded, sql):
        assert isinstance(posts, int) and isinstance(negative, int) and isinstance(positive, int)
        found[(*key, "negative")] += negative
        found[(*key, "positive")] += positive
        found[(*key, "neutral")] += posts - negative - positive
    assert +found == expected
    [(low,)] = rows(
        embedded, "SELECT min(min(posts, voices, negative, positive, negative_voices, sure_voices)) FROM windows"
    )
    assert low == 0


def test_a_batch_is_cut_anywhere_and_a_life_ends_anywhere(embedded: Path, tmp_path: Path) -> None:
    dice = random.Random(3)
    cut = pages(changing(), [dice.randint(1, 60) for _ in range(300)])
    rig = Rig(tmp_path)
    for page in cut:
        rig.play([page])
        if dice.random() < 0.1:
            rig.die()
            rig = Rig(tmp_path)
    rig.finish()
    found, expected = world(rig.path), world(embedded)
    # The log's order within a tick is nobody's business: the trend hop sorts.
    assert sorted(found.pop("mentions")) == sorted(expected.pop("mentions"))
    assert found == expected


def test_everything_delivered_again_in_any_order_changes_nothing(embedded: Path, tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    items = changing()
    rig.play(pages(items, [50] * 100))
    before = {table: rows(rig.path, TABLES[table]) for table in ("ledger", "mentions", "windows", "episodes")}
    deleted = rows(rig.path, "SELECT id FROM ledger WHERE rule = 'deleted'")
    random.Random(2).shuffle(items)
    rig.play(pages(items, [50] * 100))
    assert {table: rows(rig.path, TABLES[table]) for table in before} == before
    assert rows(rig.path, "SELECT id FROM ledger WHERE rule = 'deleted'") == deleted
    rig.finish()


@pytest.mark.parametrize("seed", range(3))
def test_daemons_cut_and_moved_come_to_the_same(seed: int, embedded: Path, tmp_path: Path) -> None:
    dice = random.Random(seed)
    storm = Storm(Fleet(tmp_path, dice), pages(changing(), [dice.randint(1, 9) for _ in range(300)]))
    storm.run()
    assert_same(storm.fleet, embedded)


@pytest.mark.parametrize("point", POINTS)
def test_a_crash_of_a_daemon_at_any_boundary_changes_nothing(point: str, embedded: Path, tmp_path: Path) -> None:
    dice = random.Random(point)
    storm = Storm(Fleet(tmp_path, dice), pages(changing(), [dice.randint(1, 9) for _ in range(300)]))
    arm(f"{point}=raise:1")
    try:
        storm.run()
    finally:
        arm("")
    assert_same(storm.fleet, embedded)
