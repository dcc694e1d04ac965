"""How a source is doing, by what the store has of it."""

from datetime import timedelta
from pathlib import Path

from opinionwatch.pipeline.ports import Page
from opinionwatch.pipeline.source_standing import Standing, standings
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


def test_before_there_is_a_store_nothing_is_said(tmp_path: Path) -> None:
    assert standings(settings(tmp_path)) == {}
