"""Every architecture, on every input, against the suite of the scorers and the promises of an artefact."""

from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel

from opinionwatch.models.artefact import Config, load, save
from opinionwatch.models.batches import collate, encode
from opinionwatch.models.encoder import Encoder
from opinionwatch.models.examples import Example
from opinionwatch.models.losses import losses
from opinionwatch.models.neural import PROBABILITY_BOUND, NeuralScorer
from opinionwatch.models.recipe import Body, Schedule
from opinionwatch.models.registry import ARCHITECTURES
from opinionwatch.models.scratch import Scratch
from opinionwatch.models.tokens import TextTokens
from opinionwatch.pipeline.ports import Passage, Scorer
from opinionwatch.pipeline.registry import resolve
from tests.contract.scorer_suite import ScorerSuite
from tests.models.conftest import tiny_tokenizer

INPUTS = ("subwords", "vectors", "ngrams", "frozen")
COMBINATIONS = [("encoder", "subwords")] + [
    (name, inputs) for name in ARCHITECTURES if name != "encoder" for inputs in INPUTS
]
VECTORS = "2 16\n" + "".join(f"{word} {' '.join(['0.25'] * 16)}\n" for word in ("battery", "Great"))
ROWS = [
    Example("the battery is great", "s", "en", 2, 3, ((4, 11),), ((15, 20),), (((4, 11), (15, 20), 2),)),
    Example("slow", "s", "en", 0),
]


def made(name: str, inputs: str, folder: Path) -> Encoder:
    """A tiny network of an architecture, with random weights."""
    torch.manual_seed(7)
    (folder / "words.vec").write_text(VECTORS)
    backbone = folder / "backbone"
    config = BertConfig(
        vocab_size=tiny_tokenizer().get_vocab_size(),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        pad_token_id=1,
    )
    BertModel(config).save_pretrained(backbone)  # type: ignore[no-untyped-call]  # untyped in transformers
    kind = resolve(ARCHITECTURES, name, "architecture")
    assert issubclass(kind, Encoder)
    if issubclass(kind, Scratch):
        return kind.from_backbone(str(backbone), body(name, inputs, folder), tiny_tokenizer()).eval()
    return kind.from_backbone(str(backbone), body(name, inputs, folder)).eval()


def body(name: str, inputs: str, folder: Path) -> Body:
    small = {"layers": 2, "max_tokens": 32, "span_size": 8, "width": 16, "hidden": 12, "depth": 2, "dropout": 0.2}
    return Body.model_validate({"architecture": name, "inputs": inputs, "vectors": folder / "words.vec", **small})


def scorer_of(name: str, inputs: str, folder: Path, precision: str = "fp32") -> NeuralScorer:
    model = made(name, inputs, folder)
    config = Config(name="tiny", body=body(name, inputs, folder), backbone=model.shape())
    save(folder / "artefact", config, tiny_tokenizer(), model, "# a card\n")
    settings = {"artefact": folder / "artefact", "device": "cpu", "precision": precision, "tokens_per_batch": 64}
    return NeuralScorer(NeuralScorer.Settings.model_validate(settings))


class TestArchitectures(ScorerSuite):
    """With random weights."""

    bound = PROBABILITY_BOUND[torch.float32]

    @pytest.fixture(scope="class", params=COMBINATIONS, ids="-".join)
    @classmethod
    def scorer(cls, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Scorer:
        name, inputs = request.param
        return scorer_of(name, inputs, tmp_path_factory.mktemp(name))


@pytest.mark.parametrize(("name", "inputs"), COMBINATIONS, ids="-".join)
def test_an_artefact_gives_back_what_was_stored(name: str, inputs: str, tmp_path: Path) -> None:
    model = made(name, inputs, tmp_path)
    config = Config(name="tiny", body=body(name, inputs, tmp_path), backbone=model.shape())
    save(tmp_path / "artefact", config, tiny_tokenizer(), model, "# a card\n")
    # Another place, without the backbone and the vectors: an artefact depends on nothing but itself.
    (tmp_path / "words.vec").unlink()
    stored = load(tmp_path / "artefact").model
    for weight_name, weight in model.state_dict().items():
        if weight.is_floating_point():
            torch.testing.assert_close(stored.state_dict()[weight_name], weight, rtol=0, atol=0.02)
        else:
            assert torch.equal(stored.state_dict()[weight_name], weight)


@pytest.mark.parametrize(("name", "inputs"), COMBINATIONS, ids="-".join)
def test_every_weight_that_may_move_is_trained_by_the_losses(name: str, inputs: str, tmp_path: Path) -> None:
    model = made(name, inputs, tmp_path)
    batch = collate(encode(ROWS, TextTokens(tiny_tokenizer(), 32)), pad=1)
    found = losses(model, model(batch.ids, batch.mask), batch, Schedule())
    torch.autograd.backward(found.total(Schedule()))
    idle = {weight for weight, value in model.named_parameters() if value.requires_grad and value.grad is None}
    # BERT's second segment, and what only shows in longer texts, may rest; whole modules may not.
    assert not {weight for weight in idle if "token_type" not in weight}
    frozen = {weight for weight, value in model.named_parameters() if not value.requires_grad}
    assert bool(frozen) == (inputs == "frozen")


@pytest.mark.parametrize(("name", "inputs"), COMBINATIONS)
def test_sixteen_bits_stay_within_the_stated_bound(name: str, inputs: str, tmp_path: Path) -> None:
    scorer = scorer_of(name, inputs, tmp_path, "bf16")
    passages = [Passage(text, "en") for text in ("the battery is great", "slow", "味道很好 " * 12, "")]
    together = [reading.sentiment for reading in scorer.score(passages)]
    alone = [scorer.score([passage])[0].sentiment for passage in passages]
    for one, other in zip(together, alone, strict=True):
        assert one.negative == pytest.approx(other.negative, abs=PROBABILITY_BOUND[torch.bfloat16])
