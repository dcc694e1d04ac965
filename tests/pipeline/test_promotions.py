"""What is in force: a file that only grows, copies that stay whole, and names that the detector tells apart."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from opinionwatch.alerts.detect_settings import TrendSettings
from opinionwatch.alerts.trend import Trend
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.promotions import Promotion, Promotions, Shelf, rolled_back
from opinionwatch.pipeline.ticks import Progress
from tests.alerts.stream import START, Stream

NOW = datetime(2026, 11, 26, tzinfo=UTC)


def entry(name: str, version: str, before: str | None = None) -> Promotion:
    return Promotion(name=name, version=version, manifest="0" * 64, at=NOW, by="dana", kind="promotion", before=before)


def folder(path: Path, content: str = "{}") -> Path:
    path.mkdir()
    (path / "manifest.json").write_text(content)
    return path


def test_nothing_is_in_force_but_the_settings_model_until_something_is_promoted(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    assert shelf.read().current is None
    assert shelf.stamp() is None
    shelf.add(entry("a", "a"))
    stamp = shelf.stamp()
    shelf.add(entry("b", "b", "a"))
    assert [each.name for each in shelf.read().entries] == ["a", "b"]
    assert shelf.stamp() != stamp
    assert sorted(path.name for path in shelf.folder.iterdir()) == ["promotions.json"]


def test_two_who_decide_at_once_are_both_written_down(tmp_path: Path) -> None:
    def decide(number: int) -> None:
        Shelf(tmp_path).add(entry(f"model-{number}", f"model-{number}"))

    with ThreadPoolExecutor(8) as people:
        list(people.map(decide, range(24)))
    assert {each.name for each in Shelf(tmp_path).read().entries} == {f"model-{number}" for number in range(24)}


def test_what_was_decided_before_another_model_came_into_force_changes_nothing(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    before = shelf.add(entry("a", "a"))
    shelf.add(entry("b", "b", "a"), decided_on=before)
    with pytest.raises(SettingsError, match="b came into force meanwhile"):
        shelf.add(entry("c", "c", "a"), decided_on=before)
    assert [each.name for each in shelf.read().entries] == ["a", "b"]


def test_workers_of_another_user_can_read_what_is_in_force(tmp_path: Path) -> None:
    shelf, plain = Shelf(tmp_path), tmp_path / "plain"
    shelf.add(entry("a", "a"))
    plain.write_text("")
    assert shelf.file.stat().st_mode == plain.stat().st_mode


def test_a_damaged_file_is_refused_with_the_cure(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.add(entry("a", "a"))
    shelf.file.write_bytes(shelf.file.read_bytes()[:-20])
    with pytest.raises(SettingsError, match="restore it"):
        shelf.read()


def test_a_copy_outlives_the_folder_it_was_made_of_and_is_made_once(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "data")
    made = folder(tmp_path / "artefact")
    digest = shelf.keep(made, "tiny-1")
    (made / "manifest.json").write_text("another")
    assert shelf.keep(made, "tiny-1") == digest == shelf.manifest("tiny-1")
    assert (shelf.copy("tiny-1") / "manifest.json").read_text() == "{}"
    with pytest.raises(SettingsError, match="not whole"):
        shelf.manifest("tiny-2")


def test_going_back_leads_further_back_each_time_and_every_return_has_a_name_of_its_own() -> None:
    found = Promotions(entries=(entry("a", "a"), entry("b", "b", "a"), entry("c", "c", "b")))
    for expected in ("b+1", "a+1"):
        back = rolled_back(found, NOW, "dana")
        assert (back.name, back.kind) == (expected, "rollback")
        found = Promotions(entries=(*found.entries, back))
    with pytest.raises(SettingsError, match="no earlier model"):
        rolled_back(found, NOW, "dana")
    assert found.name_for("a") == "a+2"


def compared(name: str) -> float:
    """Voices of the last hours that the detector compares, three days after a model came back under this name."""
    stream = Stream()
    day = timedelta(days=1)
    for number, scorer in enumerate(("a", "b", name)):
        stream.talk(START + 3 * number * day, 24 * 3, 9, scorer=scorer)
    end = START + 9 * day
    trend = Trend(TrendSettings(), "default")
    trend([*stream.mentions, Progress(end)], end)
    return float(trend._state.detector.baseline.ticks[..., 0].sum())


def test_the_detector_learns_anew_from_a_model_that_came_back_under_its_new_name_only() -> None:
    assert compared("a+1") > 0
    assert compared("a") == 0
