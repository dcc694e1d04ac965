"""How a source is doing, by what the store has of it."""

from datetime import timedelta
from pathlib import Path

from opinionwatch.pipeline.contracts import Gap
from opinionwatch.pipeline.ports import Missed, Page
from opinionwatch.pipeline.source_standing import Standing, standings
from opinionwatch.pipeline.store_sqlite import SqliteStore
from tests.pipeline.rig import BEGIN, Rig, post, settings


def test_the_last_document_and_the_pace_are_those_of_the_store(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    late = timedelta(minutes=2)
    moments = [BEGIN + timedelta(minutes=20 * number) for number in range(3 * 24 * 3)]
    items = [post(n, "Lumora is slow", at, published_at=(at - late).isoformat()) for n, at in enumerate(moments)]
    rig.play([Page(items, "1")])
    rig.finish()
    found = standings(rig.settings)
    assert set(found) == {"feed"}
    assert found["feed"] == Standing(moments[-1], 120.0, 3, 3.0)
    assert found["feed"].words() == ("2026-03-04 23:40, 120 s after it was published", "3 / 3.0")


def test_gaps_are_counted_by_source_and_told_also_of_one_that_has_brought_nothing(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    lost = [Missed(None, BEGIN + timedelta(hours=hours), "the window turned over") for hours in range(3)]
    rig.play([Page([post(1, "Lumora is slow", BEGIN)], "1", lost)])
    rig.finish()
    store = SqliteStore(rig.settings.store_path)
    with store.transaction():
        store.write([Gap(source="quiet", since=None, until=None, detail="it is gone", found_at=BEGIN)])
    store.close()
    assert {name: each.gaps for name, each in standings(rig.settings).items()} == {"feed": 3, "quiet": 1}


def test_before_there_is_a_store_nothing_is_said(tmp_path: Path) -> None:
    assert standings(settings(tmp_path)) == {}
