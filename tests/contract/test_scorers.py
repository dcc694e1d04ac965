"""Every scorer of the registry against the one suite."""

from typing import ClassVar

import pytest
import torch
from pydantic import JsonValue

from opinionwatch.models.artefact import Config, save
from opinionwatch.models.device import Precision
from opinionwatch.models.encoder import Encoder
from opinionwatch.models.huggingface import PROBABILITY_BOUND as FOREIGN_BOUND
from opinionwatch.models.huggingface import HuggingFaceScorer
from opinionwatch.models.lexicon import LexiconScorer
from opinionwatch.models.neural import PROBABILITY_BOUND, NeuralScorer
from opinionwatch.models.recipe import Body
from opinionwatch.models.registry import SCORERS
from opinionwatch.pipeline.contracts import Reading
from opinionwatch.pipeline.ports import Scorer
from opinionwatch.pipeline.registry import resolve
from tests.contract.scorer_suite import ALL, ScorerSuite
from tests.models.conftest import BODY, tiny_tokenizer
from tests.models.foreign import tiny_classifier


class TestLexicon(ScorerSuite):
    """The lexicon, which reads every text on its own."""

    bound = 0.0

    @pytest.fixture(scope="class")
    @classmethod
    def scorer(cls) -> Scorer:
        return LexiconScorer(LexiconScorer.Settings())


class TestHuggingFace(ScorerSuite):
    """A random BERT classifier."""

    bound = FOREIGN_BOUND

    @pytest.fixture(scope="class")
    @classmethod
    def scorer(cls, tmp_path_factory: pytest.TempPathFactory) -> Scorer:
        folder = tiny_classifier(tmp_path_factory.mktemp("foreign"))
        return HuggingFaceScorer(HuggingFaceScorer.Settings(model=str(folder), device="cpu", tokens_per_batch=64))


class TestNeural(ScorerSuite):
    """A random encoder with both heads."""

    bound = PROBABILITY_BOUND[torch.float32]
    body: ClassVar[Body] = BODY

    @pytest.fixture(scope="class")
    @classmethod
    def scorer(cls, tmp_path_factory: pytest.TempPathFactory) -> Scorer:
        torch.manual_seed(5)
        shape: dict[str, JsonValue] = {
            "model_type": "bert",
            "vocab_size": tiny_tokenizer().get_vocab_size(),
            "hidden_size": 32,
        }
        shape |= {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "pad_token_id": 1}
        model = Encoder.from_config(shape, cls.body).eval()
        artefact = tmp_path_factory.mktemp("runs") / "tiny"
        save(
            artefact, Config(name="tiny", body=cls.body, backbone=model.shape()), tiny_tokenizer(), model, "# a card\n"
        )
        return NeuralScorer(
            NeuralScorer.Settings(artefact=artefact, device="cpu", precision="fp32", tokens_per_batch=64)
        )


class TestNeuralWithTargets(TestNeural):
    """The same with a head for targets."""

    body = BODY.model_copy(update={"targets": True})

    def test_it_tells_what_is_said_of_every_target(self, readings: list[Reading]) -> None:
        assert [len(each.targets) for each in readings] == [len(each.targets) for each in ALL]


class TestShipped(ScorerSuite):
    """The artefact that ships."""

    bound = PROBABILITY_BOUND[torch.float32]
    precision: ClassVar[Precision] = "fp32"

    @pytest.fixture(scope="class")
    @classmethod
    def scorer(cls) -> Scorer:
        return NeuralScorer(NeuralScorer.Settings(device="cpu", precision=cls.precision))


class TestShippedInSixteenBits(TestShipped):
    """The artefact that ships, in bf16."""

    bound = PROBABILITY_BOUND[torch.bfloat16]
    precision = "bf16"


class TestShippedInEightBits(TestShipped):
    """The artefact that ships, in int8."""

    bound = PROBABILITY_BOUND[torch.int8]
    precision = "int8"


def test_every_scorer_of_the_registry_is_held_to_the_contract() -> None:
    held = {LexiconScorer: "lexicon", HuggingFaceScorer: "huggingface", NeuralScorer: "neural"}
    assert {resolve(SCORERS, kind, "scorer"): kind for kind in SCORERS} == held
