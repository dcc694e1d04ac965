from pathlib import Path

import pytest
import torch

from opinionwatch.models.adapters import wear
from opinionwatch.models.encoder import Encoder
from opinionwatch.models.fit import fit
from opinionwatch.models.neural import NeuralScorer
from opinionwatch.models.recipe import Adapters, Body
from opinionwatch.models.train import train
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.ports import Passage

ALL = "query, key, value, dense"


def with_adapters(recipe: Path, text: str) -> Path:
    recipe.write_text(recipe.read_text().replace("epochs: 4", "epochs: 60") + f"adapters: {text}\n")
    return recipe


@pytest.mark.parametrize("kind", ["lora", "ia3"])
def test_merged_adapters_answer_as_worn_ones_and_leave_no_trace(model: Encoder, kind: str) -> None:
    names = [*model.state_dict()]
    ids, mask = torch.tensor([[0, 5, 6, 7, 2]]), torch.ones(1, 5, dtype=torch.long)
    merge = wear(model.body, Adapters.model_validate({"kind": kind}))
    trained = [weight for weight in model.body.parameters() if weight.requires_grad]
    assert 0 < sum(weight.numel() for weight in trained) < sum(weight.numel() for weight in model.body.parameters()) / 4
    with torch.no_grad():
        for weight in trained:
            weight.add_(0.3)
    model.eval()
    worn = model(ids, mask).sentiment
    merge()
    assert [*model.state_dict()] == names
    assert torch.allclose(model(ids, mask).sentiment, worn, atol=1e-5)
    assert all(weight.requires_grad for weight in model.body.parameters())


def test_only_adapters_and_heads_are_trained(recipe: Path, data: Path, backbone: Path, tmp_path: Path) -> None:
    done = fit(with_adapters(recipe, "{rank: 4}"), tmp_path / "run", data=data, backbone=str(backbone))
    before = Encoder.from_backbone(str(backbone), Body(layers=2, max_tokens=64)).state_dict()
    moved = {name for name, weight in done.model.state_dict().items() if not torch.equal(weight, before[name])}
    assert {name.rpartition(".")[0].rpartition(".")[2] for name in moved if name.startswith("body.")} == {
        "query",
        "value",
    }


def test_a_run_with_adapters_becomes_a_plain_artefact(recipe: Path, data: Path, backbone: Path, tmp_path: Path) -> None:
    wide = with_adapters(recipe, f"{{rank: 8, modules: [{ALL}]}}")
    done = train(wide, tmp_path / "run", data=data, backbone=str(backbone))
    scorer = NeuralScorer(NeuralScorer.Settings(artefact=done.artefact, device="cpu", precision="fp32"))
    (good, bad) = scorer.score([Passage("the screen is great", "en"), Passage("the screen is awful", "en")])
    assert (good.sentiment.label, bad.sentiment.label) == ("positive", "negative")


def test_layers_that_the_body_lacks_are_named_with_those_it_has(model: Encoder) -> None:
    with pytest.raises(SettingsError, match="The body has: dense, key, query, value"):
        wear(model.body, Adapters(modules=("q_proj",)))
