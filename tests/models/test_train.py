import json
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from zipfile import ZipFile

import pytest
import torch
from structlog.testing import capture_logs
from tokenizers import Tokenizer
from transformers import XLMRobertaConfig, XLMRobertaModel

from opinionwatch.models import checkpoint, loop
from opinionwatch.models.artefact import load
from opinionwatch.models.encoder import Encoder
from opinionwatch.models.fit import fit
from opinionwatch.models.neural import NeuralScorer
from opinionwatch.models.optimise import progress
from opinionwatch.models.recipe import Recipe, Schedule, load_recipe
from opinionwatch.models.step import Learner, Step
from opinionwatch.models.train import RECIPES, train
from opinionwatch.pipeline.errors import FatalError, SettingsError
from opinionwatch.pipeline.ports import Passage

from .rows import sentiment_rows, write_rows


def test_a_recipe_becomes_an_artefact_that_learnt_its_rows(
    recipe: Path, data: Path, backbone: Path, tmp_path: Path
) -> None:
    recipe.write_text(recipe.read_text().replace("epochs: 4", "epochs: 60"))
    done = train(recipe, tmp_path / "run", data=data, backbone=str(backbone))
    scorer = NeuralScorer(NeuralScorer.Settings(artefact=done.artefact, device="cpu", precision="fp32"))
    assert scorer.version == done.version
    (reading,) = scorer.score([Passage("味道很好，服务差", "zh")])
    found = {(term.aspect, term.opinion, term.polarity) for term in reading.opinions}
    assert found == {("味道", "很好", "positive"), ("服务", "差", "negative")}
    figures = {figure.source: figure for figure in done.figures.sources}
    assert figures["mood"].macro_f1 is not None
    assert figures["mood"].macro_f1 > 0.9
    assert figures["triplets"].triplet_f1 == 1
    card = (done.artefact / "card.md").read_text()
    assert "| mood | 12 | ours |" in card
    kept = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"recipe.yaml", "rows.json", "environment.json", "log.jsonl", "metrics.json", "checkpoint.pt"} <= kept


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_killed_run_goes_on_to_the_same_weights(
    recipe: Path, data: Path, backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    # Gradients of 16 bits are scaled, by more after every step here, so that a run of a few steps depends on it.
    monkeypatch.setattr(torch.amp, "GradScaler", partial(torch.amp.GradScaler, growth_factor=16.0, growth_interval=1))
    often = recipe.read_text().replace(
        "threads: 1", f"threads: 1, precision: {precision}, checkpoint_minutes: 0.0000001"
    )
    recipe.write_text(often.replace("dropout: 0.0", "dropout: 0.3"))
    whole = fit(recipe, tmp_path / "whole", data=data, backbone=str(backbone))

    saves = iter(range(5))
    save = checkpoint.save

    def save_then_die(*args: object) -> None:
        save(*args)  # type: ignore[arg-type]  # passed through as they came
        if next(saves) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(checkpoint, "save", save_then_die)
        fit(recipe, tmp_path / "killed", data=data, backbone=str(backbone))
    resumed = fit(recipe, tmp_path / "killed", data=data, backbone=str(backbone), resume=True)
    assert resumed.steps == whole.steps
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, resumed.model.state_dict()[name]), name


def test_a_checkpoint_of_a_gpu_goes_on_without_one(model: Encoder, tmp_path: Path) -> None:
    recipe, path = Recipe(name="r", sentiment=()), tmp_path / "c.pt"
    step = Step(Learner(model, recipe.schedule), recipe, torch.device("cpu"))
    checkpoint.save(path, model, step.optimiser, checkpoint.Progress(step=3), "r", step.scaler)
    with ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    with ZipFile(path, "w") as file:
        for name, content in parts.items():
            # Where a tensor was, as pickle writes a string.
            here, there = b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0"
            file.writestr(name, content.replace(here, there) if name.endswith("data.pkl") else content)
    assert b"cuda:0" in path.read_bytes()
    assert checkpoint.restore(path, model, step.optimiser, "r", step.scaler).step == 3


def test_a_checkpoint_of_another_recipe_is_refused(recipe: Path, data: Path, backbone: Path, tmp_path: Path) -> None:
    fit(recipe, tmp_path / "run", data=data, backbone=str(backbone))
    recipe.write_text(recipe.read_text().replace("epochs: 4", "epochs: 5"))
    with pytest.raises(SettingsError, match="another recipe"):
        fit(recipe, tmp_path / "run", data=data, backbone=str(backbone), resume=True)


def test_a_loss_that_is_no_number_stops_the_run(
    recipe: Path, data: Path, backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    recipe.write_text(recipe.read_text().replace("learning_rate: 0.01", "learning_rate: 1.0e+38"))
    with pytest.raises(FatalError, match="no longer a number"):
        fit(recipe, tmp_path / "run", data=data, backbone=str(backbone))


def test_bad_rows_are_written_down(recipe: Path, data: Path, backbone: Path, tmp_path: Path) -> None:
    write_rows(data / "train" / "mood.jsonl.gz", [*sentiment_rows(), {"text": "x", "label": "meh"}])
    fit(recipe, tmp_path / "run", data=data, backbone=str(backbone))
    rows = json.loads((tmp_path / "run" / "rows.json").read_text())
    assert [(bad["file"], bad["line"]) for bad in rows["bad"]] == [("mood.jsonl.gz", 13)]


def test_a_backbone_that_is_not_there_is_a_settings_error(recipe: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="backbone"):
        fit(recipe, tmp_path / "run", data=data, backbone=str(tmp_path / "none"))


def no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")


def foreign_tokenizer(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"]["vocab"] += [[f"piece{n}", -9.0] for n in range(500)]
    (folder / "tokenizer.json").write_text(json.dumps(content))


def truncated_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:500])


def weights_of_another_size(folder: Path) -> None:
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**content, "hidden_size": 48}))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (no_tokenizer, "tokenizer.json: "),
        (foreign_tokenizer, "do not belong together"),
        (truncated_weights, "backbone '.*header"),
        (weights_of_another_size, "backbone '"),
    ],
)
def test_a_backbone_that_is_not_whole_is_refused_with_the_reason(
    recipe: Path, data: Path, backbone: Path, tmp_path: Path, damage: Callable[[Path], None], reason: str
) -> None:
    folder = tmp_path / "backbone"
    shutil.copytree(backbone, folder)
    damage(folder)
    with pytest.raises(SettingsError, match=reason):
        fit(recipe, tmp_path / "run", data=data, backbone=str(folder))


def test_texts_are_read_no_further_than_the_body_can_count(
    recipe: Path, data: Path, backbone: Path, tmp_path: Path
) -> None:
    long = {"text": "the battery " * 90, "label": "neutral", "lang": "en"}
    write_rows(data / "train" / "mood.jsonl.gz", [*sentiment_rows(), long])
    recipe.write_text(recipe.read_text().replace("train_tokens: 32", "train_tokens: 500"))
    assert fit(recipe, tmp_path / "run", data=data, backbone=str(backbone)).steps
    recipe.write_text(recipe.read_text().replace("max_tokens: 32", "max_tokens: 65"))
    with pytest.raises(SettingsError, match=r"body\.max_tokens: 65 are more than the body's 64 places"):
        fit(recipe, tmp_path / "long", data=data, backbone=str(backbone))


def test_the_rate_reaches_zero_by_the_deadline_whatever_the_speed() -> None:
    timed = Schedule(deadline_minutes=10)
    assert progress(10, 1000, 600, timed) == 1
    assert progress(999, 1000, 1, timed) == pytest.approx(0.999)
    assert progress(10, 1000, 10_000, Schedule()) == pytest.approx(0.01)


def test_the_weights_of_a_run_are_those_it_is_loaded_with(
    recipe: Path, data: Path, backbone: Path, tmp_path: Path
) -> None:
    done = train(recipe, tmp_path / "run", data=data, backbone=str(backbone))
    assert load(done.artefact).version == done.version


@pytest.mark.parametrize(
    "body",
    [
        "architecture: textcnn, inputs: subwords, vocabulary: 100",
        "architecture: lstm, inputs: ngrams, vocabulary: 100",
        "architecture: rnn, inputs: frozen",
        "architecture: transformer, hidden: 32",
    ],
)
def test_every_architecture_learns_its_rows_by_the_same_command(
    body: str, recipe: Path, data: Path, backbone: Path, tmp_path: Path
) -> None:
    text = recipe.read_text().replace("epochs: 4", "epochs: 40")
    recipe.write_text(text.replace("layers: 2", f"{body}, width: 32, layers: 2"))
    done = train(recipe, tmp_path / "run", data=data, backbone=str(backbone))
    figures = {figure.source: figure for figure in done.figures.sources}
    assert figures["mood"].macro_f1 is not None
    assert figures["mood"].macro_f1 > 0.8
    scorer = NeuralScorer(NeuralScorer.Settings(artefact=done.artefact, device="cpu", precision="fp32"))
    great, awful = scorer.score([Passage("great service", "en"), Passage("awful service", "en")])
    assert (great.sentiment.label, awful.sentiment.label) == ("positive", "negative")


def test_the_accurate_recipe_trains_an_encoder_of_another_make_that_is_loaded_and_scores(
    tokenizer: Tokenizer, data: Path, tmp_path: Path
) -> None:
    """As multilingual-e5-base is one: an XLM-RoBERTa, whose places in a text begin behind its padding's id."""
    other = tmp_path / "other"
    torch.manual_seed(3)
    XLMRobertaModel(
        XLMRobertaConfig(
            vocab_size=tokenizer.get_vocab_size(),
            hidden_size=32,
            num_hidden_layers=3,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=40,
            type_vocab_size=1,
        )
    ).save_pretrained(other)
    tokenizer.save(str(other / "tokenizer.json"))
    for name in ("base", "accurate"):
        shutil.copy(RECIPES / f"{name}.yaml", tmp_path)
    small = tmp_path / "small.yaml"
    small.write_text(
        "extends: accurate\nname: small\ncompanion: null\nvalidation: 0.0\nbody: {max_tokens: 32, span_size: 8}\n"
        "schedule: {epochs: 60, learning_rate: 0.005, head_learning_rate: 0.01, tokens_per_batch: 64, threads: 1}\n"
        "sentiment: [{name: mood, terms: ours}]\nopinions: [{name: triplets, terms: ours, repeat: 2}]\n"
    )
    done = train(small, tmp_path / "run", data=data, backbone=str(other))
    stored = load(done.artefact)
    assert stored.config.backbone["model_type"] == "xlm-roberta"
    assert stored.config.backbone["num_hidden_layers"] == 3, "every layer is kept"
    assert stored.model.targets is not None
    assert f"Started from `{other}`; see its own terms." in (done.artefact / "card.md").read_text()
    scorer = NeuralScorer(NeuralScorer.Settings(artefact=done.artefact, device="cpu", precision="fp32"))
    great, awful, both = scorer.score(
        [Passage("great service", "en"), Passage("awful service", "en"), Passage("味道很好，服务差", "zh")]
    )
    assert (great.sentiment.label, awful.sentiment.label) == ("positive", "negative")
    found = {(term.aspect, term.opinion, term.polarity) for term in both.opinions}
    assert found == {("味道", "很好", "positive"), ("服务", "差", "negative")}


def test_a_recipe_goes_on_from_what_another_reached_and_may_keep_a_part_of_it(
    recipe: Path, data: Path, backbone: Path, tmp_path: Path
) -> None:
    for name, soup in (("whole", 1.0), ("half", 0.5)):
        text = recipe.read_text().replace("name: tiny", f"name: {name}\nstart: tiny\nsoup: {soup}")
        recipe.with_name(f"{name}.yaml").write_text(text.replace("span_size: 8", "span_size: 8, targets: true"))
    weights = {}
    for name in ("whole", "half"):
        done = train(recipe.with_name(f"{name}.yaml"), tmp_path / name, data=data, backbone=str(backbone))
        artefact = load(done.artefact)
        assert artefact.model.targets is not None, "a head that the first one has not"
        said = (done.artefact / "card.md").read_text()
        assert "after a run of the recipe `tiny`" in said
        assert ("of these weights 50% are still its" in said) is (name == "half")
        weights[name] = artefact.model.state_dict()
    first = load(tmp_path / "half" / "before" / "tiny" / "artefact").model.state_dict()
    name = "body.encoder.layer.1.output.dense.weight"
    assert not torch.equal(weights["whole"][name], first[name])
    torch.testing.assert_close(weights["half"][name], (weights["whole"][name] + first[name]) / 2, atol=0.01, rtol=0)
    steps = (weights[way][name].sub(first[name]).norm() for way in ("half", "whole"))
    assert next(steps) == pytest.approx(float(next(steps)) / 2, rel=0.1)


def staged(recipe: Path) -> Path:
    """A recipe that goes on from `tiny`."""
    later = recipe.with_name("later.yaml")
    later.write_text("extends: tiny\nname: later\nstart: tiny\n")
    return later


def test_the_first_bad_row_stops_a_strict_run_in_its_first_stage(
    recipe: Path, data: Path, backbone: Path, tmp_path: Path
) -> None:
    write_rows(data / "train" / "mood.jsonl.gz", [*sentiment_rows(), {"text": "odd", "label": "odd", "lang": "en"}])
    with pytest.raises(SettingsError, match="unknown label"):
        train(staged(recipe), tmp_path / "run", data=data, backbone=str(backbone), strict=True)
    assert not (tmp_path / "run" / "before" / "tiny" / "metrics.json").exists()


def test_recipes_that_go_round_or_out_of_their_folder_are_refused_at_once(
    recipe: Path, data: Path, backbone: Path, tmp_path: Path
) -> None:
    later = staged(recipe)
    alone = recipe.read_text()
    for start, reason in (("later", "before itself"), ("tiny", "before itself"), ("../tiny", "no recipe '../tiny'")):
        recipe.write_text(f"start: {start}\n{alone}")
        with pytest.raises(SettingsError, match=re.escape(reason)):
            train(recipe, tmp_path / "run", data=data, backbone=str(backbone))
    later.write_text("extends: ../tiny\n")
    with pytest.raises(SettingsError, match=re.escape("extends '../tiny', which is not beside it")):
        load_recipe(later)
    assert not (tmp_path / "run").exists()


def test_a_finished_stage_that_another_recipe_made_is_said(
    recipe: Path, data: Path, backbone: Path, tmp_path: Path
) -> None:
    later = staged(recipe)
    for epochs, differs in (("4", None), ("5", ["schedule"]), ("5", ["recipe.yaml"])):
        recipe.write_text(recipe.read_text().replace("epochs: 4", f"epochs: {epochs}"))
        if differs == ["recipe.yaml"]:
            (tmp_path / "run" / "before" / recipe.stem / "recipe.yaml").unlink()
        with capture_logs() as said:
            train(later, tmp_path / "run", data=data, backbone=str(backbone))
        told = [line["differs"] for line in said if line["event"] == "train.made_by_another_recipe"]
        assert told == ([] if differs is None else [differs])


def test_the_environment_says_how_many_threads_the_run_has(
    recipe: Path, data: Path, backbone: Path, tmp_path: Path
) -> None:
    torch.set_num_threads(2)
    fit(recipe, tmp_path / "run", data=data, backbone=str(backbone))
    assert json.loads((tmp_path / "run" / "environment.json").read_text())["threads"] == 1


def test_a_damaged_checkpoint_is_refused_with_the_cure(
    recipe: Path, data: Path, backbone: Path, tmp_path: Path
) -> None:
    fit(recipe, tmp_path / "run", data=data, backbone=str(backbone))
    whole = (tmp_path / "run" / "checkpoint.pt").read_bytes()
    for part in (whole[: len(whole) // 2], b"", b"\x80\x02garbage"):
        (tmp_path / "run" / "checkpoint.pt").write_bytes(part)
        with pytest.raises(SettingsError, match="without --resume"):
            fit(recipe, tmp_path / "run", data=data, backbone=str(backbone), resume=True)


def test_a_part_of_nothing_is_refused(recipe: Path) -> None:
    recipe.write_text(recipe.read_text() + "soup: 0.5\n")
    with pytest.raises(SettingsError, match="needs `start`"):
        load_recipe(recipe)


def test_the_card_says_how_well_names_are_told_from_their_text(
    recipe: Path, data: Path, backbone: Path, tmp_path: Path
) -> None:
    recipe.write_text(
        recipe.read_text().replace("epochs: 4", "epochs: 60").replace("dropout: 0.0", "dropout: 0.0, targets: true")
    )
    done = train(recipe, tmp_path / "run", data=data, backbone=str(backbone))
    [figure] = [each for each in done.figures.sources if each.targets]
    assert (figure.source, figure.targets) == ("triplets", 2)
    assert figure.target_macro_f1 == 1
    assert figure.target_text_macro_f1 is not None
    assert figure.target_text_macro_f1 < 1, "one text, two names, two moods"
    assert "| triplets | yes | 2 | 100.0 |" in (done.artefact / "card.md").read_text()
