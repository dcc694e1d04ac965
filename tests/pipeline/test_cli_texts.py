"""`opinionwatch score` and `explain` asked about a name. Hostile lines: see `test_cli_model`."""

import json
from pathlib import Path

import pytest

from opinionwatch.pipeline.contracts import Label
from opinionwatch.pipeline.settings import load
from opinionwatch.pipeline.wiring_why import Explainer
from tests.models.tiny import Taught, partisan_artefact, tiny_artefact
from tests.pipeline.command import Command, lines
from tests.pipeline.sample import document, scored

BOTH: tuple[tuple[str, Label], ...] = (("Corvo", "positive"), ("Brava", "negative"))
TEXT = "ﬁne, Ｃｏｒｖｏ beats Brava"
TAUGHT: tuple[Taught, ...] = tuple(
    (text, name, label) for text in ("Corvo beats Brava", "fine, Corvo beats Brava") for name, label in BOTH
)


def choose(artefact: Path) -> None:
    Path("opinionwatch.yaml").write_text(
        f"scorer: {{kind: neural, artefact: {artefact}, device: cpu, precision: fp32}}\n"
    )


@pytest.fixture
def partisan(command: Command, tmp_path: Path) -> None:
    """A model that takes every text well, and knows who beats whom."""
    choose(partisan_artefact(tmp_path / "partisan", "positive", TAUGHT))


def answers(command: Command, *typed: str, given: list[dict[str, object]]) -> list[dict[str, object]]:
    ended = command("score", *typed, stdin=b"\n".join(json.dumps(each).encode() for each in given))
    assert (ended.code, ended.err) == (0, "")
    return [json.loads(line) for line in lines(ended.out)]


@pytest.mark.usefixtures("partisan")
def test_each_name_gets_its_own_sentiment_where_it_stands_in_the_text_as_given(command: Command) -> None:
    asked: list[dict[str, object]] = [{"text": TEXT, "target": name} for name in ("Corvo", "brava", "Lumora")]
    corvo, brava, lumora = answers(command, given=asked)
    assert all(each["sentiment"]["label"] == "positive" for each in (corvo, brava, lumora))  # type: ignore[index]  # JSON
    found = [corvo["target"], brava["target"]]
    assert [each["sentiment"]["label"] for each in found] == ["positive", "negative"]  # type: ignore[index]  # JSON
    assert [[TEXT[start:end] for start, end in each["spans"]] for each in found] == [["Ｃｏｒｖｏ"], ["Brava"]]  # type: ignore[index]  # JSON
    assert lumora["target"] == {"name": "Lumora", "spans": [], "sentiment": None}


@pytest.mark.usefixtures("partisan")
def test_a_name_for_all_lines_gives_way_to_a_lines_own(command: Command) -> None:
    given: list[dict[str, object]] = [{"text": TEXT}, {"text": TEXT, "target": "Corvo"}]
    brava, corvo = answers(command, "--target", "Brava", given=given)
    assert brava["target"]["sentiment"]["label"] == "negative"  # type: ignore[index]  # JSON
    assert corvo["target"]["sentiment"]["label"] == "positive"  # type: ignore[index]  # JSON
    [plain] = answers(command, given=[{"text": TEXT}])
    assert plain["target"] is None


def test_a_scorer_that_knows_no_targets_finds_the_name_and_says_nothing_of_it(command: Command) -> None:
    Path("opinionwatch.yaml").write_text("scorer: {kind: lexicon}\n")
    plain, asked = answers(command, given=[{"text": "Brava is awful"}, {"text": "Brava is awful", "target": "Brava"}])
    assert asked["target"] == {"name": "Brava", "spans": [[0, 5]], "sentiment": None}
    assert {**asked, "target": None} == plain


@pytest.mark.parametrize("name", ["", " ", 5, [], "x" * 201, "\u200b"])
def test_a_name_that_is_none_is_answered_in_its_place(command: Command, name: object) -> None:
    Path("opinionwatch.yaml").write_text("scorer: {kind: lexicon}\n")
    first, second = answers(command, given=[{"text": "awful", "target": name}, {"text": "awful"}])
    assert first["error"] == "invalid_field"
    assert "target" in str(first["detail"])
    assert second["sentiment"]["label"] == "negative"  # type: ignore[index]  # JSON


def test_an_empty_name_on_the_command_line_is_a_mistake(command: Command) -> None:
    ended = command("score", "--target", " ", stdin=b"")
    assert ended.code == 2
    assert "--target: Value error, a term is empty" in ended.said


@pytest.mark.usefixtures("partisan")
def test_explain_explains_what_is_said_of_a_name(command: Command) -> None:
    labels = []
    for typed in ([], ["--target", "Corvo"], ["--target", "Brava"]):
        ended = command("explain", TEXT, *typed, "--json")
        assert ended.code == 0, ended.said
        found = json.loads(ended.out)
        labels.append(found["label"])
        assert found["probability"] == pytest.approx(found["curve"][0])
        assert "".join(word["text"] for word in found["words"]) == "fine,CorvobeatsBrava"
    assert labels == ["positive", "positive", "negative"]


@pytest.mark.usefixtures("partisan")
def test_the_page_explains_a_document_for_a_watchlist_that_the_settings_still_have() -> None:
    config = Path("opinionwatch.yaml")
    config.write_text(config.read_text() + "watchlists: [{id: b, names: [Brava]}]\n")
    explainer = Explainer(load(config))
    whole = scored(document(1, TEXT), "positive", watchlists=("b", "gone"))
    found = [explainer(whole, watchlist) for watchlist in (None, "b", "gone")]
    assert [(why.label, why.watchlist) for why in found] == [("positive", None), ("negative", "b"), ("positive", None)]
    assert [TEXT[slice(*word.span)] for word in found[1].words] == ["ﬁne", ",", "Ｃｏｒｖｏ", "beats", "Brava"]


def test_explain_says_what_it_cannot_do_for_a_name(command: Command, tmp_path: Path) -> None:
    choose(tiny_artefact(tmp_path / "tiny", "positive"))
    for name, said in (("Corvo", "knows no targets"), ("Lumora", "'Lumora' does not stand in this text")):
        ended = command("explain", TEXT, "--target", name)
        assert ended.code == 2
        assert said in ended.said
