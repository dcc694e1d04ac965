"""`opinionwatch model`: a gate that keeps a worse model out, and a way back."""

import json
from pathlib import Path

import pytest

from opinionwatch.pipeline.doctor import Finding, examine
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.live_scorer import LiveScorer
from opinionwatch.pipeline.promotions import Shelf
from opinionwatch.pipeline.settings import Settings, load
from opinionwatch.pipeline.store_sqlite import SqliteStore
from opinionwatch.pipeline.wiring_why import Explainer
from tests.models.tiny import tiny_artefact
from tests.pipeline.command import Command
from tests.pipeline.sample import document, mention, scored


@pytest.fixture
def here(command: Command, tmp_path: Path) -> Path:
    """A working folder whose model calls everything positive, with a fixed set on which that is right."""
    del command
    base = tiny_artefact(tmp_path / "base", "positive")
    Path("opinionwatch.yaml").write_text(
        f"scorer: {{kind: neural, artefact: {base}, device: cpu, precision: fp32}}\n"
        "watchlists: [{id: lumora, names: [Lumora, 流墨]}]\n",
        encoding="utf-8",
    )
    rows = [{"text": f"the screen {number}", "label": "positive", "lang": "en"} for number in range(60)]
    Path("fixed.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Path.cwd()


def in_force() -> str:
    return LiveScorer(load(Path("opinionwatch.yaml"))).version


def test_a_model_that_is_significantly_worse_on_a_fixed_set_is_refused(
    command: Command, here: Path, tmp_path: Path
) -> None:
    before = in_force()
    ended = command("model", "promote", tiny_artefact(tmp_path / "worse", "negative"), "--fixed", "fixed.jsonl")
    assert ended.code == 1
    assert "refused: significantly worse on fixed.jsonl" in ended.said
    assert in_force() == before
    assert not Shelf(here / "opinionwatch-data").file.exists()


def test_a_fixed_set_that_cannot_judge_is_no_open_gate(command: Command, here: Path, tmp_path: Path) -> None:
    Path("names.jsonl").write_text('{"text": "A beats B", "targets": []}\n')
    other = tiny_artefact(tmp_path / "other", "positive", "other")
    ended = command("model", "promote", other, "--fixed", "fixed.jsonl", "--fixed", "names.jsonl")
    assert (ended.code, "no row of names.jsonl has a label, triplets or names" in ended.said) == (2, True)
    assert command("compare", other, other, "fixed.jsonl", "names.jsonl", "--gate").code == 1
    assert not Shelf(here / "opinionwatch-data").file.exists()


def test_without_fixed_sets_the_two_that_ship_judge(command: Command, here: Path, tmp_path: Path) -> None:
    del here
    other = tiny_artefact(tmp_path / "other", "positive", "other")
    assert command("model", "promote", other).code == 0
    listed = command("model", "list").said
    assert "challenge.tsv" in listed
    assert "challenge_targets.jsonl" in listed


def test_a_model_is_promoted_listed_and_rolled_back(command: Command, here: Path, tmp_path: Path) -> None:
    del here
    base = in_force()
    other = tiny_artefact(tmp_path / "other", "positive", "other")
    ended = command("model", "promote", other, "--fixed", "fixed.jsonl", "--by", "dana")
    assert (ended.code, ended.err) == (0, "")
    name = in_force()
    assert name.startswith("other-")
    assert f"{name} is in force" in ended.said
    assert command("model", "promote", other, "--fixed", "fixed.jsonl").code == 2
    assert command("model", "rollback", "--by", "lee").code == 0
    assert in_force() == f"{base}+1"
    listed = command("model", "list").said
    for word in (base, name, f"{base}+1", "dana", "lee", "rollback", "fixed.jsonl"):
        assert word in listed
    ended = command("model", "rollback")
    assert (ended.code, "no earlier model" in ended.said) == (2, True)


def test_what_is_evaluated_and_examined_is_the_model_in_force(command: Command, here: Path, tmp_path: Path) -> None:
    command("model", "promote", tiny_artefact(tmp_path / "other", "positive", "other"), "--fixed", "fixed.jsonl")
    assert json.loads(command("evaluate", "fixed.jsonl", "--json").out)["scorer"] == in_force()
    chosen = load(Path("opinionwatch.yaml"))
    assert in_force() in scorer_of(chosen).detail
    weights = Shelf(here / "opinionwatch-data").copy(in_force()) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    assert "was altered" in scorer_of(chosen).detail


def test_while_the_model_in_force_cannot_be_loaded_no_older_one_explains(
    command: Command, here: Path, tmp_path: Path
) -> None:
    explain = Explainer(load(Path("opinionwatch.yaml")))
    assert explain(scored(document(1))).scorer == in_force()
    command("model", "promote", tiny_artefact(tmp_path / "other", "positive", "other"), "--fixed", "fixed.jsonl")
    (Shelf(here / "opinionwatch-data").copy(in_force()) / "manifest.json").write_text("{}")
    for _ in range(2):
        with pytest.raises(SettingsError, match="was altered"):
            explain(scored(document(1)))


def scorer_of(chosen: Settings) -> Finding:
    return next(finding for finding in examine(chosen) if finding.what == "scorer")


def test_the_model_in_force_is_exported_and_measured(command: Command, here: Path, tmp_path: Path) -> None:
    ended = command("model", "export", "--out", tmp_path / "onnx", "--on", here / "fixed.jsonl")
    assert (ended.code, ended.err) == (0, "")
    assert in_force() in ended.said
    assert "0 labels differ" in ended.said
    assert "│ fixed" in ended.said
    assert (tmp_path / "onnx" / "model.onnx").is_file()
    missing = command("model", "export", "--out", tmp_path / "again", "--on", "none.jsonl")
    assert (missing.code, "no such file: none.jsonl" in missing.said) == (2, True)


@pytest.mark.parametrize("slip", ["missing", "altered", "foreign"])
def test_an_artefact_that_is_not_whole_is_refused_with_the_reason(
    command: Command, here: Path, tmp_path: Path, slip: str
) -> None:
    other = tiny_artefact(tmp_path / "other", "positive", "other")
    weights = other / "model.safetensors"
    if slip == "missing":
        weights.unlink()
    elif slip == "altered":
        weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    else:
        (other / "pytorch_model.bin").write_bytes(b"cos\nsystem\n")
    ended = command("model", "promote", other, "--fixed", "fixed.jsonl")
    assert ended.code == 2
    reason = {"missing": "is missing", "altered": "was altered", "foreign": "does not belong there"}[slip]
    assert reason in ended.said
    assert not Shelf(here / "opinionwatch-data").file.exists()


def test_a_copy_that_was_altered_does_not_come_into_force_again(command: Command, here: Path, tmp_path: Path) -> None:
    other = tiny_artefact(tmp_path / "other", "positive", "other")
    command("model", "promote", other, "--fixed", "fixed.jsonl")
    name = in_force()
    command("model", "rollback")
    copy = Shelf(here / "opinionwatch-data").copy(name)
    tiny_artefact(copy, "positive", "third")
    ended = command("model", "promote", other, "--fixed", "fixed.jsonl")
    assert (ended.code, "move that folder away" in ended.said) == (2, True)
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    ended = command("model", "promote", other, "--fixed", "fixed.jsonl")
    assert (ended.code, "was altered" in ended.said) == (2, True)


def test_only_the_neural_scorer_has_models(command: Command, tmp_path: Path) -> None:
    Path("opinionwatch.yaml").write_text("scorer: {kind: lexicon}\n")
    ended = command("model", "promote", tmp_path)
    assert (ended.code, "neural" in ended.said) == (2, True)


def test_a_shadow_says_where_the_two_part_and_what_the_hours_would_have_been(
    command: Command, here: Path, tmp_path: Path
) -> None:
    store = SqliteStore(here / "opinionwatch-data" / "opinionwatch.db")
    wholes = [scored(document(number)) for number in range(1, 9)]
    with store.transaction():
        store.admit([whole.document for whole in wholes])
        store.write([record for whole in wholes for record in (whole, mention(whole))])
    store.close()
    other = tiny_artefact(tmp_path / "other", "positive", "other")
    ended = command("model", "shadow", other, "--hours", 100_000, "--json")
    assert ended.code == 0
    found = json.loads(ended.out)
    assert found["texts"] == 8
    assert found["new"].startswith("other-")
    before = {whole.reading.sentiment.label for whole in wholes}
    assert sum(found["table"][label]["positive"] for label in before) == 8
    assert sum(hour["mentions"] for hour in found["hours"]) == 8
    assert sum(hour["negative_shadow"] for hour in found["hours"]) == 0
    assert "would be" in command("model", "shadow", other, "--hours", 100_000).said
