"""From an artefact to the network that scores: packed, without transformers, and the same as what was trained."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from opinionwatch.models.artefact import load, read
from opinionwatch.models.network import Network
from opinionwatch.models.neural import NeuralScorer
from opinionwatch.models.packed import PackedBody
from opinionwatch.models.packing import scoring
from opinionwatch.pipeline.errors import SettingsError

from .test_artefact import sign

CPU = torch.device("cpu")
TEXTS = ["the battery is great", "味道很好，服务差", "", "slow " * 60, "x", "screen"]
SCORES = """
import sys
from opinionwatch.models.neural import NeuralScorer
from opinionwatch.pipeline.ports import Passage
scorer = NeuralScorer(NeuralScorer.Settings(artefact=sys.argv[1], device="cpu"))
print(scorer.score([Passage("the battery is great", "en")])[0].sentiment.label)
print([name for name in ("transformers", "captum", "sympy") if name in sys.modules])
"""


def test_what_scores_reads_as_what_was_trained(artefact: Path) -> None:
    trained, ready = load(artefact), scoring(read(artefact), CPU, torch.float32)
    assert isinstance(ready.model.body, PackedBody)
    assert ready.version == trained.version
    both = [Network(each.model, each.tokens, CPU, torch.float32).read(TEXTS) for each in (trained, ready)]
    for wanted, found in zip(*both, strict=True):
        assert found.logits == pytest.approx(wanted.logits, abs=1e-4)
        assert [term[:3] for term in found.terms] == [term[:3] for term in wanted.terms]


def test_a_scorer_starts_without_what_only_training_needs(artefact: Path) -> None:
    done = subprocess.run([sys.executable, "-c", SCORES, str(artefact)], capture_output=True, text=True, check=True)
    label, loaded = done.stdout.splitlines()
    assert label in ("negative", "neutral", "positive")
    assert loaded == "[]"


def change(artefact: Path, lost: str, **more: torch.Tensor) -> None:
    weights = load_file(artefact / "model.safetensors")
    save_file({name: weight for name, weight in weights.items() if name != lost} | more, artefact / "model.safetensors")
    sign(artefact)


@pytest.mark.parametrize(
    ("lost", "reason"),
    [
        ("body.encoder.layer.1.output.dense.weight", "encoder.layer.1.output.dense.weight' is missing"),
        ("body.encoder.layer.1.output.dense.weight.scale", "in 8 bits but has no scale"),
        ("sentiment.classify.bias", "sentiment.classify.bias"),
    ],
)
def test_weights_that_are_missing_are_named(artefact: Path, lost: str, reason: str) -> None:
    change(artefact, lost)
    with pytest.raises(SettingsError, match=reason):
        NeuralScorer(NeuralScorer.Settings(artefact=artefact, device="cpu"))


@pytest.mark.parametrize(
    "name", ["body.embeddings.word_embeddings.weight.scale", "body.encoder.layer.0.output.dense.bias"]
)
def test_numbers_that_are_not_finite_are_found_wherever_they_are(artefact: Path, name: str) -> None:
    broken = load_file(artefact / "model.safetensors")[name].clone()
    broken[-1] = float("nan")
    change(artefact, "", **{name: broken})
    with pytest.raises(SettingsError, match="not finite"):
        NeuralScorer(NeuralScorer.Settings(artefact=artefact, device="cpu"))


def test_a_body_of_another_make_is_scored_as_it_was_trained_and_has_no_eight_bits(artefact: Path) -> None:
    config = json.loads((artefact / "config.json").read_text())
    config["backbone"]["hidden_act"] = "relu"
    (artefact / "config.json").write_text(json.dumps(config))
    sign(artefact)
    scorer = NeuralScorer(NeuralScorer.Settings(artefact=artefact, device="cpu", precision="fp32"))
    assert not isinstance(scorer.network.model.body, PackedBody)
    with pytest.raises(SettingsError, match="int8 is for BERT bodies"):
        NeuralScorer(NeuralScorer.Settings(artefact=artefact, device="cpu", precision="int8"))


def test_half_precision_is_refused_where_it_is_slow(artefact: Path) -> None:
    with pytest.raises(SettingsError, match="fp16 is for accelerators"):
        NeuralScorer(NeuralScorer.Settings(artefact=artefact, device="cpu", precision="fp16"))
