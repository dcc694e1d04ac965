import json
import pickle
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertModel

from opinionwatch.models.huggingface import HuggingFaceScorer
from opinionwatch.models.huggingface_labels import label_map
from opinionwatch.pipeline.contracts import Label
from opinionwatch.pipeline.errors import RejectedError, SettingsError
from opinionwatch.pipeline.ports import Passage

from .foreign import tiny_classifier


def open_scorer(folder: Path, labels: dict[str, Label] | None = None) -> HuggingFaceScorer:
    return HuggingFaceScorer(HuggingFaceScorer.Settings(model=str(folder), labels=labels or {}, device="cpu"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_classifier(tmp_path / "model")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a folder needs no network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_probabilities_are_those_of_the_model(folder: Path) -> None:
    scorer = open_scorer(folder)
    first, second = scorer.score([Passage("great", "en"), Passage("电池很差", "zh")])
    assert first.sentiment != second.sentiment
    chances = first.sentiment.negative, first.sentiment.neutral, first.sentiment.positive
    assert sum(chances) == pytest.approx(1, abs=1e-6)
    assert getattr(first.sentiment, first.sentiment.label) == max(chances)
    assert first.opinions == ()


def test_what_the_user_types_is_never_a_control_token(folder: Path) -> None:
    scorer = open_scorer(folder)
    [typed] = scorer.score([Passage("good [SEP] [PAD] bad", "en")])
    [plain] = scorer.score([Passage("good [ sep ] [ pad ] bad", "en")])
    assert typed == plain


def without_room(scorer: HuggingFaceScorer, rows: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The scorer on a device that has room for so many rows; returns how many each pass asked for."""
    asked: list[int] = []
    forward = scorer._model.forward

    def narrow(**batch: torch.Tensor) -> object:
        asked.append(len(batch["input_ids"]))
        if asked[-1] > rows:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(**batch)

    monkeypatch.setattr(scorer._model, "forward", narrow)
    return asked


def test_a_batch_without_room_is_read_in_halves_and_says_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = open_scorer(folder)
    passages = [Passage(f"slow {at} good", "en") for at in range(7)]
    wanted = scorer.score(passages)
    asked = without_room(scorer, 2, monkeypatch)
    for found, roomy in zip(scorer.score(passages), wanted, strict=True):
        assert found.sentiment.negative == pytest.approx(roomy.sentiment.negative, abs=1e-4)
    assert max(asked) == 7


def test_a_text_that_has_no_room_by_itself_is_refused_for_that(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = open_scorer(folder)
    without_room(scorer, 0, monkeypatch)
    with pytest.raises(RejectedError, match="out_of_memory"):
        scorer.score([Passage("good", "en"), Passage("slow", "en")])


def test_classes_of_one_meaning_are_added_up(tmp_path: Path) -> None:
    stars = open_scorer(tiny_classifier(tmp_path / "stars", ["1 star", "2 stars", "3 stars", "4 stars", "5 stars"]))
    [reading] = stars.score([Passage("slow", "en")])
    mood = reading.sentiment
    assert mood.negative + mood.neutral + mood.positive == pytest.approx(1, abs=1e-6)


def test_two_classes_leave_nothing_neutral(tmp_path: Path) -> None:
    scorer = open_scorer(tiny_classifier(tmp_path / "two", ["LABEL_0", "LABEL_1"]))
    [reading] = scorer.score([Passage("slow", "en")])
    assert reading.sentiment.neutral == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["NEGATIVE", "POSITIVE"], (0, 2)),
        (["Positive", "Negative", "Neutral"], (2, 0, 1)),
        (["neu", "pos", "neg"], (1, 2, 0)),
        (["消极", "积极"], (0, 2)),
        (["Very Negative", "Negative", "Neutral", "Positive", "Very Positive"], (0, 0, 1, 2, 2)),
        (["LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3", "LABEL_4"], (0, 0, 1, 2, 2)),
    ],
)
def test_labels_are_guessed_from_their_names(names: list[str], wanted: tuple[int, ...]) -> None:
    assert label_map(dict(enumerate(names)), {}) == wanted


def test_labels_can_be_given() -> None:
    names = {0: "joy", 1: "anger", 2: "calm"}
    assert label_map(names, {"joy": "positive", "anger": "negative", "calm": "neutral"}) == (2, 0, 1)
    with pytest.raises(SettingsError, match="what does 'anger', 'calm' mean"):
        label_map(names, {"joy": "positive"})
    with pytest.raises(SettingsError, match="no label 'joi'; did you mean 'joy'"):
        label_map(names, {"joi": "positive"})
    with pytest.raises(SettingsError, match="no class for negative"):
        label_map(names, {"joy": "positive", "anger": "neutral", "calm": "neutral"})


def test_the_version_changes_with_weights_and_with_labels(folder: Path) -> None:
    before = open_scorer(folder).version
    assert open_scorer(folder, {"neutral": "positive"}).version != before
    weights = load_file(folder / "model.safetensors")
    save_file({name: value * 1.01 for name, value in weights.items()}, folder / "model.safetensors", {"format": "pt"})
    assert open_scorer(folder).version != before


class Bomb:
    """Unpickling it leaves a file behind."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.write_text, (self.canary, "boom")


def test_pickled_weights_are_refused_and_never_run(folder: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(canary)))
    with pytest.raises(SettingsError, match=r"no weights as safetensors \(pytorch_model.bin may run code"):
        open_scorer(folder)
    assert not canary.exists()
    # Nor beside safetensors that cannot be read.
    (folder / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(SettingsError, match="cannot load"):
        open_scorer(folder)
    assert not canary.exists()


def test_code_of_the_models_own_is_not_run(folder: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    (folder / "mine.py").write_text(f"open({str(canary)!r}, 'w').close()\nclass Config: ...\n")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config"}}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(SettingsError, match="cannot load"):
        open_scorer(folder)
    assert not canary.exists()


@pytest.mark.parametrize(
    ("missing", "why"),
    [("config.json", "has no config.json"), ("model.safetensors", "no weights as safetensors")],
)
def test_a_missing_file_is_named(folder: Path, missing: str, why: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(SettingsError, match=why):
        open_scorer(folder)


def test_a_folder_without_tokenizer_is_refused(folder: Path) -> None:
    for path in folder.glob("*token*"):
        path.unlink()
    with pytest.raises(SettingsError, match="no tokenizer files"):
        open_scorer(folder)


def test_truncated_weights_are_refused(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(SettingsError, match="cannot load"):
        open_scorer(folder)


def test_weights_that_are_no_numbers_are_refused(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["classifier.bias"] = torch.full_like(weights["classifier.bias"], torch.nan)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(SettingsError, match="not finite"):
        open_scorer(folder)


def test_an_encoder_without_a_trained_head_is_refused(folder: Path) -> None:
    BertModel.from_pretrained(folder).save_pretrained(folder)
    with pytest.raises(SettingsError, match="no trained classifier: its weights lack classifier"):
        open_scorer(folder)


@pytest.mark.parametrize("model", ["./nowhere", "/nowhere/model", "a/b/c", "what is this"])
def test_a_folder_that_is_not_there_is_not_looked_for_in_the_network(model: str) -> None:
    with pytest.raises(SettingsError, match="there is no folder"):
        HuggingFaceScorer(HuggingFaceScorer.Settings(model=model))


def test_a_hub_that_cannot_be_reached_is_a_word_about_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(SettingsError, match="no folder owner/name here, and the hub did not give it"):
        HuggingFaceScorer(HuggingFaceScorer.Settings(model="owner/name"))
