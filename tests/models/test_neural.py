from pathlib import Path

import pytest
import torch

from opinionwatch.models.device import pick_dtype
from opinionwatch.models.neural import PROBABILITY_BOUND, NeuralScorer
from opinionwatch.pipeline.contracts import Reading
from opinionwatch.pipeline.errors import RejectedError, SettingsError
from opinionwatch.pipeline.ports import Passage, Scorer

TEXTS = ["the battery is great", "味道很好，服务差", "", "😀😀", "slow " * 60, "a <pad> </s>", "x", "screen", "\ud800"]
PASSAGES = [Passage(text, "zh" if "味" in text else "en") for text in TEXTS]


@pytest.fixture
def scorer(artefact: Path) -> NeuralScorer:
    return NeuralScorer(NeuralScorer.Settings(artefact=artefact, device="cpu", precision="fp32", tokens_per_batch=64))


def close(one: Reading, other: Reading, bound: float) -> bool:
    first, second = one.sentiment, other.sentiment
    return all(
        abs(getattr(first, name) - getattr(second, name)) <= bound for name in ("negative", "neutral", "positive")
    )


def test_it_is_a_scorer(scorer: NeuralScorer) -> None:
    assert isinstance(scorer, Scorer)
    assert scorer.version.startswith("tiny-")


def test_an_empty_batch_gives_nothing(scorer: NeuralScorer) -> None:
    assert scorer.score([]) == []


def test_a_batch_equals_its_singles_and_keeps_the_order(scorer: NeuralScorer) -> None:
    together = scorer.score(PASSAGES)
    alone = [scorer.score([passage])[0] for passage in PASSAGES]
    assert [reading.sentiment.label for reading in together] == [reading.sentiment.label for reading in alone]
    assert [reading.opinions for reading in together] == [reading.opinions for reading in alone]
    assert all(map(close, together, alone, [PROBABILITY_BOUND[torch.float32]] * len(alone)))


def test_in_16_bits_a_batch_equals_its_singles_within_the_stated_bound(artefact: Path) -> None:
    scorer = NeuralScorer(NeuralScorer.Settings(artefact=artefact, device="cpu", precision="bf16"))
    together = scorer.score(PASSAGES)
    alone = [scorer.score([passage])[0] for passage in PASSAGES]
    assert all(map(close, together, alone, [PROBABILITY_BOUND[torch.bfloat16]] * len(alone)))


def test_the_same_batch_gives_the_same_readings(scorer: NeuralScorer) -> None:
    assert scorer.score(PASSAGES) == scorer.score(PASSAGES)


def test_probabilities_are_a_distribution_whose_best_is_the_label(scorer: NeuralScorer) -> None:
    for reading in scorer.score(PASSAGES):
        mood = reading.sentiment
        assert mood.negative + mood.neutral + mood.positive == pytest.approx(1, abs=1e-9)
        assert getattr(mood, mood.label) == max(mood.negative, mood.neutral, mood.positive)


def test_spans_point_at_the_words_they_name(artefact: Path) -> None:
    # With random weights some seed finds terms; the offsets must hold for whatever it finds.
    scorer = NeuralScorer(NeuralScorer.Settings(artefact=artefact, device="cpu", precision="fp32"))
    passages = [
        Passage(f"the {a} is {b}, 味道很好 {a}", "en") for a in ("battery", "screen") for b in ("great", "slow")
    ]
    for passage, reading in zip(passages, scorer.score(passages), strict=True):
        for term in reading.opinions:
            assert passage.text[slice(*term.opinion_span)] == term.opinion
            assert (term.aspect_span is None) == (term.aspect is None)
            if term.aspect_span is not None:
                assert passage.text[slice(*term.aspect_span)] == term.aspect


def test_the_unsure_band_is_that_of_the_language(scorer: NeuralScorer) -> None:
    english, other = scorer.score([Passage("the screen", "en"), Passage("the screen", "fr")])
    best = max(english.sentiment.negative, english.sentiment.neutral, english.sentiment.positive)
    assert english.sentiment.unsure == (best < 0.9)
    assert english.sentiment != other.sentiment


def test_a_huge_word_takes_no_longer_than_a_long_text(scorer: NeuralScorer) -> None:
    assert scorer.score([Passage("a" * 50_000_000, "en")])[0].sentiment.label


def test_numbers_that_are_not_finite_are_refused(scorer: NeuralScorer) -> None:
    with torch.no_grad():
        scorer.network.model.sentiment.classify.bias[0] = float("nan")
    with pytest.raises(RejectedError, match="model_output"):
        scorer.score(PASSAGES[:2])


def test_a_missing_artefact_names_the_folder(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nowhere"):
        NeuralScorer(NeuralScorer.Settings(artefact=tmp_path / "nowhere"))


def test_sixteen_bits_are_taken_only_where_asked_or_faster() -> None:
    cpu = torch.device("cpu")
    assert pick_dtype(cpu, "fp32") == torch.float32
    assert pick_dtype(cpu, "bf16") == torch.bfloat16
    fast = torch.cpu.get_capabilities()
    assert (pick_dtype(cpu) == torch.bfloat16) == bool(fast.get("avx512_bf16") or fast.get("amx_bf16"))
