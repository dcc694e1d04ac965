import json
import pickle
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from opinionwatch.models.artefact import load
from opinionwatch.models.encoder import Encoder
from opinionwatch.models.manifest import FILES
from opinionwatch.models.neural import NeuralScorer
from opinionwatch.models.quantise import SCALE, narrow, widen
from opinionwatch.pipeline.errors import SettingsError


def sign(folder: Path) -> None:
    """Write a manifest that agrees with the files, as somebody who tampers knowingly would."""
    files = {}
    for name in FILES:
        content = (folder / name).read_bytes()
        files[name] = {"sha256": sha256(content).hexdigest(), "size": len(content)}
    (folder / "manifest.json").write_text(json.dumps({"format": 1, "files": files}))


def missing(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def truncated(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:-100])


def altered(folder: Path) -> None:
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)


def pickled_beside(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"a": 1}))


def pickled_inside(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(pickle.dumps({"a": 1}))
    sign(folder)


def wrong_labels(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["labels"] = ["positive", "neutral", "negative"]
    (folder / "config.json").write_text(json.dumps(config))
    sign(folder)


def unknown_format(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["format"] = 2
    (folder / "config.json").write_text(json.dumps(config))
    sign(folder)


def nan_weights(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["sentiment.classify.bias"][0] = float("nan")
    save_file(weights, folder / "model.safetensors")
    sign(folder)


def nan_scales(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if name.endswith(SCALE))
    weights[name][0] = float("inf")
    save_file(weights, folder / "model.safetensors")
    sign(folder)


def lost_weight(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["sentiment.classify.bias"]
    save_file(weights, folder / "model.safetensors")
    sign(folder)


def foreign_tokenizer(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"]["vocab"] += [[f"piece{n}", -9.0] for n in range(500)]
    (folder / "tokenizer.json").write_text(json.dumps(content))
    sign(folder)


def no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")
    sign(folder)


def foreign_architecture(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["body"]["architecture"] = "pathlib:Path"
    (folder / "config.json").write_text(json.dumps(config))
    sign(folder)


def no_config(folder: Path) -> None:
    (folder / "config.json").write_bytes(b"\xff\xfe{")
    sign(folder)


def configured(**changes: dict[str, object]) -> Callable[[Path], None]:
    """Damage by other numbers in sections of the configuration."""

    def damage(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        for section, change in changes.items():
            config[section] |= change
        (folder / "config.json").write_text(json.dumps(config))
        sign(folder)

    return damage


def short_scales(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    name = "body.embeddings.word_embeddings.weight" + SCALE
    weights[name] = weights[name][:5].contiguous()
    save_file(weights, folder / "model.safetensors")
    sign(folder)


def no_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def broken_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("{")


def short_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"format": 1, "files": {}}')


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (missing, "model.safetensors is missing"),
        (truncated, "bytes, not"),
        (altered, "was altered"),
        (pickled_beside, "'pytorch_model.bin' does not belong"),
        (pickled_inside, "not a safetensors file"),
        (wrong_labels, "wrong label map"),
        (unknown_format, "format"),
        (nan_weights, "not finite"),
        (nan_scales, "not finite"),
        (lost_weight, "sentiment.classify.bias"),
        (foreign_tokenizer, "more pieces"),
        (no_tokenizer, "tokenizer.json"),
        (no_config, "config.json: : Invalid JSON"),
        (configured(body={"max_tokens": 5000}), "max_tokens: 5000 are more than the body's 64 places"),
        (configured(backbone={"num_attention_heads": 5}), "multiple"),
        (configured(decoding={"link_bias": float("nan")}), "decoding.link_bias"),
        (short_scales, "not one number a row"),
        (foreign_architecture, "not an Encoder"),
        (no_manifest, "manifest.json is missing"),
        (broken_manifest, "manifest.json is damaged"),
        (short_manifest, "must list"),
    ],
)
def test_a_damaged_artefact_is_refused_with_the_reason(
    artefact: Path, damage: Callable[[Path], None], reason: str
) -> None:
    damage(artefact)
    with pytest.raises(SettingsError, match=reason):
        load(artefact)
    with pytest.raises(SettingsError, match=reason):
        NeuralScorer(NeuralScorer.Settings(artefact=artefact, device="cpu"))


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such folder"):
        load(tmp_path / "none")


def test_a_whole_artefact_comes_back_as_it_was(artefact: Path, model: Encoder) -> None:
    loaded = load(artefact)
    assert loaded.config.calibration["en"].temperature == 2
    ids = torch.tensor([[0, 5, 9, 12, 2]])
    with torch.inference_mode():
        before, after = model(ids, torch.ones_like(ids)), loaded.model.eval()(ids, torch.ones_like(ids))
    torch.testing.assert_close(before.sentiment, after.sentiment, atol=0.05, rtol=0.05)


def test_the_version_follows_the_answers_and_not_the_card(artefact: Path) -> None:
    before = load(artefact).version
    assert before.startswith("tiny-")
    assert len(before) == len("tiny-") + 12
    (artefact / "card.md").write_text("another card")
    sign(artefact)
    assert load(artefact).version == before
    weights = load_file(artefact / "model.safetensors")
    weights["sentiment.classify.bias"][0] += 1
    save_file(weights, artefact / "model.safetensors")
    sign(artefact)
    assert load(artefact).version != before


def test_eight_bits_keep_every_row_within_half_a_step() -> None:
    weight = torch.randn(7, 33) * torch.logspace(-6, 3, 7).unsqueeze(1)
    back = widen(narrow({"w": weight}))["w"]
    step = weight.abs().amax(1, keepdim=True) / 127
    assert bool(((back - weight).abs() <= 0.51 * step).all())


def test_a_row_of_zeros_stays_zero() -> None:
    assert not widen(narrow({"w": torch.zeros(2, 3)}))["w"].any()
