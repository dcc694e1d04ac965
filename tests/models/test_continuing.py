"""A model goes on learning from corrections, and still knows what it knew."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from opinionwatch.models.continuing import FEWEST, continue_training, rehearsed
from opinionwatch.models.corrected import lessons
from opinionwatch.models.examples import LABELS, Example
from opinionwatch.models.neural import NeuralScorer
from opinionwatch.models.train import train
from opinionwatch.pipeline.contracts import Label
from opinionwatch.pipeline.corrections import Correction, Corrections, of_text
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.fold import fold
from opinionwatch.pipeline.match import MatchStage
from opinionwatch.pipeline.ports import Passage
from opinionwatch.pipeline.watchlists import Watchlist
from tests.models.tiny import RIVALS, partisan_artefact
from tests.pipeline.command import Command

NEW = ("fast fast screen", "battery fast slow", "the slow slow service", "屏幕 快 慢")
"""Texts that the recipe's rows say nothing clear about."""


@pytest.fixture
def base(recipe: Path, data: Path, backbone: Path, tmp_path: Path) -> Path:
    recipe.write_text(recipe.read_text().replace("epochs: 4", "epochs: 60"))
    return train(recipe, tmp_path / "run", data=data, backbone=str(backbone)).artefact


def corrections(label: str) -> list[Example]:
    return [
        Example(f"{text} {number}", "corrections", "en", label=LABELS.index(label)) for text in NEW for number in "123"
    ]


def told(artefact: Path, texts: list[str]) -> list[str]:
    scorer = NeuralScorer(NeuralScorer.Settings(artefact=artefact, device="cpu", precision="fp32"))
    return [reading.sentiment.label for reading in scorer.score([Passage(text, "en") for text in texts])]


OLD = ["the screen is great", "great service", "the screen is awful", "awful service", "味道很差"]


def test_what_people_corrected_is_learnt_and_what_was_known_is_kept(
    base: Path, recipe: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opinionwatch.models.continuing.RATE", 5e-3)
    monkeypatch.setattr("opinionwatch.models.continuing.HEAD_RATE", 5e-3)
    texts = [example.text for example in corrections("neutral")]
    before = told(base, texts)
    wanted = "neutral" if before.count("neutral") < len(texts) / 2 else "negative"
    done = continue_training(
        base, corrections(wanted), tmp_path / "next", recipe_path=recipe, data=data, rehearsal=10, epochs=15
    )
    after = told(done.artefact, texts)
    assert after.count(wanted) > before.count(wanted)
    assert after.count(wanted) >= 0.8 * len(texts)
    assert told(done.artefact, OLD) == told(base, OLD)
    assert "corrections by users" in (done.artefact / "card.md").read_text()
    assert json.loads((tmp_path / "next" / "rows.json").read_text())["counts"]["corrections"] == len(texts)
    figures = {figure.source: figure for figure in done.figures.sources}
    assert figures["triplets"].triplet_f1 is not None
    assert figures["triplets"].triplet_f1 > 0.9


def test_the_old_artefact_is_not_touched_and_the_new_one_has_a_version_of_its_own(
    base: Path, recipe: Path, data: Path, tmp_path: Path
) -> None:
    whole = {path.name: path.read_bytes() for path in base.iterdir()}
    done = continue_training(
        base, corrections("neutral"), tmp_path / "next", recipe_path=recipe, data=data, rehearsal=2, epochs=1
    )
    assert {path.name: path.read_bytes() for path in base.iterdir()} == whole
    scorer = NeuralScorer(NeuralScorer.Settings(artefact=base, device="cpu"))
    assert done.version != scorer.version


def test_too_few_corrections_are_refused_with_the_cure(base: Path, recipe: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="label queue"):
        continue_training(base, corrections("neutral")[: FEWEST - 1], tmp_path / "next", recipe_path=recipe, data=data)


def test_the_command_goes_from_stored_corrections_to_an_artefact_that_loads(
    artefact: Path, recipe: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = f"data_dir: store\nscorer: {{kind: neural, artefact: {artefact}, device: cpu, precision: fp32}}\n"
    Path("opinionwatch.yaml").write_text(settings)
    command = Command(monkeypatch)
    typed = ("train", "--continue", "--recipe", recipe, "--data", data, "--out", "next", "--rehearsal", "2")
    ended = command(*typed)
    assert (ended.code, "label queue" in ended.said) == (2, True)
    at = datetime(2026, 3, 8, tzinfo=UTC)
    kept = Corrections(Path("store"))
    kept.add(of_text(f"{text} {number}", "en", "neutral", "dana", "api", at) for text in NEW for number in "123")
    ended = command(*typed)
    assert ended.code == 0
    assert "opinionwatch model promote next/artefact" in ended.said
    assert told(Path("next/artefact"), OLD)


SCREEN = Watchlist(id="screen", names=("screen", "屏幕"))
BATTERY = Watchlist(id="battery", names=("battery", "电池"))
TORN = ("fast screen and slow battery", "the screen is fast the battery is slow", "屏幕 快 电池 慢")


def towards(watchlist: str, label: Label, texts: Sequence[str]) -> list[Correction]:
    at = datetime(2026, 3, 8, tzinfo=UTC)
    return [of_text(text, "en", label, "dana", "api", at, watchlist, [watchlist]) for text in texts]


def told_of(artefact: Path, watched: Watchlist, texts: Sequence[str]) -> list[str]:
    scorer = NeuralScorer(NeuralScorer.Settings(artefact=artefact, device="cpu", precision="fp32"))
    match = MatchStage([watched])
    passages = [Passage(text, "en", (match.named(fold(text), "en")[0][1],)) for text in texts]
    return [reading.targets[0].label for reading in scorer.score(passages)]


def test_what_a_text_says_of_each_name_is_learnt_beside_its_own_sentiment(
    recipe: Path, data: Path, backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opinionwatch.models.continuing.RATE", 5e-3)
    monkeypatch.setattr("opinionwatch.models.continuing.HEAD_RATE", 5e-3)
    recipe.write_text(
        recipe.read_text().replace("epochs: 4", "epochs: 60").replace("layers: 2", "layers: 2, targets: true")
    )
    base = train(recipe, tmp_path / "run", data=data, backbone=str(backbone)).artefact
    texts = [f"{text} {number}" for text in TORN for number in "123"]
    given = [*towards("screen", "positive", texts), *towards("battery", "negative", texts)]
    found = lessons(given, (SCREEN, BATTERY))
    assert found.unusable == []
    done = continue_training(base, found.rows, tmp_path / "next", recipe_path=recipe, data=data, rehearsal=5, epochs=30)
    right = [("positive", "negative")] * len(texts)
    before = [*zip(told_of(base, SCREEN, texts), told_of(base, BATTERY, texts), strict=True)]
    after = [*zip(told_of(done.artefact, SCREEN, texts), told_of(done.artefact, BATTERY, texts), strict=True)]
    assert before != right
    assert sum(pair == right[0] for pair in after) >= 0.8 * len(texts)
    assert told(done.artefact, OLD) == told(base, OLD)
    assert "18 corrections by users (18 of them towards a name)" in (done.artefact / "card.md").read_text()


def test_the_command_learns_from_corrections_towards_watchlists_and_lists_those_it_cannot_use(
    recipe: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    artefact = partisan_artefact(tmp_path / "partisan", "positive", RIVALS)
    Path("opinionwatch.yaml").write_text(
        f"data_dir: store\nscorer: {{kind: neural, artefact: {artefact}, device: cpu, precision: fp32}}\n"
        "watchlists: [{id: screen, names: [screen, 屏幕]}]\n"
    )
    kept = Corrections(Path("store"))
    kept.add(towards("screen", "negative", [f"{text} {number}" for text in TORN for number in "1234"]))
    kept.add([*towards("battery", "negative", TORN[:1]), *towards("screen", "neutral", ["no such name"])])
    command = Command(monkeypatch)
    ended = command("train", "--continue", "--recipe", recipe, "--data", data, "--out", "next", "--rehearsal", "2")
    assert ended.code == 0
    assert "2 corrections teach nothing" in ended.said
    assert f"negative for battery: “{TORN[0]}”: the settings have no watchlist 'battery' any more" in ended.said
    assert "neutral for screen: “no such name”: the watchlist 'screen', as the settings have it now" in ended.said
    assert json.loads(Path("next/rows.json").read_text())["counts"]["corrections"] == 12
    assert told_of(Path("next/artefact"), SCREEN, TORN)


def test_a_model_that_knows_no_targets_says_so_of_corrections_towards_watchlists(
    artefact: Path, recipe: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("opinionwatch.yaml").write_text(
        f"data_dir: store\nscorer: {{kind: neural, artefact: {artefact}, device: cpu}}\nwatchlists: [{{id: screen}}]\n"
    )
    Corrections(Path("store")).add(towards("screen", "negative", [f"screen {number}" for number in range(FEWEST)]))
    ended = Command(monkeypatch)("train", "--continue", "--recipe", recipe, "--data", data, "--out", "next")
    assert ended.code == 2
    assert "10 corrections teach nothing" in ended.said
    assert "the model knows no targets" in ended.said
    assert "0 corrections; at least 10 are needed" in ended.said


def test_old_rows_are_drawn_evenly_from_all_sources_and_always_the_same() -> None:
    rows = [
        Example(f"{source} {number}", source, "en")
        for source, count in (("a", 3), ("b", 50), ("c", 500))
        for number in range(count)
    ]
    drawn = rehearsed(rows, 43)
    counts = {source: sum(row.source == source for row in drawn) for source in "abc"}
    assert counts == {"a": 3, "b": 20, "c": 20}
    assert rehearsed(rows[::-1], 43) == drawn
    assert len(rehearsed(rows, 10_000)) == 553
