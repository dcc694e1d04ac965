"""The demo's judge: only exactly the crisis, for the right reason, is a pass."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from opinionwatch.connectors.demo_story import CRISIS
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.contracts_trend import Episode
from opinionwatch.pipeline.demo_run import emptied, judged, prepared, summary
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.store_sqlite import SqliteStore
from tests.alerts.sample import crisis
from tests.pipeline.sample import dead, document, scored

FOUND = crisis().episode.model_copy(update={"opened_at": CRISIS.onset + timedelta(minutes=40)})


def changed(**parts: object) -> Episode:
    return FOUND.model_copy(update={"id": "another", **parts})


def explained(**parts: object) -> Episode:
    return changed(explanation=FOUND.explanation.model_copy(update=parts))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "opinionwatch.db")
    yield opened
    opened.close()


def verdict(store: SqliteStore, folder: Path, *episodes: Episode) -> bool:
    with store.transaction():
        store.admit([document(1)])
        store.write([scored(document(1)), *episodes])
    return judged(SqliteArchive(folder / "opinionwatch.db"))


def test_exactly_the_crisis_for_the_right_reason_is_a_pass(store: SqliteStore, tmp_path: Path) -> None:
    assert verdict(store, tmp_path, FOUND)


def test_information_is_no_negative_alert(store: SqliteStore, tmp_path: Path) -> None:
    assert verdict(store, tmp_path, FOUND, changed(kind="volume surge"))


@pytest.mark.parametrize(
    "episodes",
    [
        (),
        (FOUND, changed(watchlist="kumobean")),
        (changed(watchlist="kumobean"),),
        (changed(kind="volume surge"),),
        (changed(opened_at=CRISIS.onset - timedelta(minutes=5)),),
        (changed(opened_at=CRISIS.until + timedelta(minutes=5)),),
        (explained(terms=()),),
        (explained(exemplars=()),),
        (explained(exemplars=tuple(each for each in FOUND.explanation.exemplars if each.lang == "en")),),
        (explained(signal=crisis(aspects=("price", "battery", "screen")).episode.explanation.signal),),
        (explained(signal=crisis(aspects=()).episode.explanation.signal),),
    ],
    ids=[
        "nothing", "two", "another brand", "only information", "before it began", "after it ended", "no words",
        "no posts", "one language", "another aspect", "no aspect",
    ],
)  # fmt: skip
def test_anything_else_is_none(
    store: SqliteStore, tmp_path: Path, episodes: tuple[Episode, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert not verdict(store, tmp_path, *episodes)
    assert "NO " in capsys.readouterr().out


def test_a_gap_is_none(store: SqliteStore, tmp_path: Path) -> None:
    with store.transaction():
        store.write([dead(1)])
    assert not verdict(store, tmp_path, FOUND)


def test_the_summary_lists_every_episode(
    store: SqliteStore, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with store.transaction():
        store.write([FOUND, changed(kind="volume surge", resolved_at=CRISIS.until)])
    summary(SqliteArchive(tmp_path / "opinionwatch.db"))
    said = capsys.readouterr().out
    assert "crisis" in said
    assert "volume surge" in said
    assert "22% → 71%" in said


def test_a_prepared_demo_is_a_store_of_its_own_that_every_command_can_use(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    chosen = prepared(folder, scorer="lexicon", port=0, language="zh")
    assert (chosen.data_dir, chosen.language, chosen.scorer.kind) == (folder, "zh", "lexicon")
    assert [path.name for path in folder.iterdir()] == ["opinionwatch.yaml"]
    SqliteStore(chosen.store_path).close()
    (folder / "pseudonym.key").write_bytes(b"k" * 32)
    emptied(folder)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("make", [lambda path: path.write_text("my thesis"), lambda path: path.mkdir()])
def test_a_folder_with_anything_else_in_it_is_left_alone(tmp_path: Path, make: Callable[[Path], object]) -> None:
    (tmp_path / "pseudonym.key").write_bytes(b"k" * 32)
    make(tmp_path / "thesis")
    with pytest.raises(SettingsError, match="holds other files \\(thesis\\): name an empty or new folder"):
        emptied(tmp_path)
    assert (tmp_path / "pseudonym.key").exists()
