"""The sentiment towards a name: added to that of the text, found by the place of the name, the same in any company."""

from collections.abc import Sequence
from math import exp
from pathlib import Path

import pytest
import torch

from opinionwatch.models.companion import Companion, Mixing
from opinionwatch.models.neural import PROBABILITY_BOUND, NeuralScorer
from opinionwatch.models.ngrams import Ngrams
from opinionwatch.models.targets import MOST_PLACES, MOST_TARGETS, named, plus
from opinionwatch.pipeline.contracts import Reading, Sentiment
from opinionwatch.pipeline.errors import RejectedError
from opinionwatch.pipeline.ports import Passage
from tests.models.tiny import RIVALS, partisan_artefact, tiny_artefact


def asked(text: str, *names: str) -> Passage:
    """A passage with a target for each name."""
    return Passage(text, "en", tuple(((text.index(name), text.index(name) + len(name)),) for name in names))


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> NeuralScorer:
    artefact = partisan_artefact(tmp_path_factory.mktemp("partisan") / "artefact", "positive", RIVALS)
    return NeuralScorer(NeuralScorer.Settings(artefact=artefact, device="cpu", precision="fp32", tokens_per_batch=64))


def labels(reading: Reading) -> list[str]:
    return [mood.label for mood in reading.targets]


def test_who_beats_whom_is_good_for_one_and_bad_for_the_other(scorer: NeuralScorer) -> None:
    texts = ("Corvo beats Brava", "Brava beats Corvo")
    readings = scorer.score([asked(text, "Corvo", "Brava") for text in texts])
    assert [labels(reading) for reading in readings] == [["positive", "negative"], ["negative", "positive"]]
    assert [reading.sentiment.label for reading in readings] == ["positive", "positive"]
    [chinese] = scorer.score([asked("屏幕比电池好", "屏幕", "电池")])
    assert labels(chinese) == ["positive", "negative"]


def test_a_batch_equals_its_singles_whatever_names_its_texts_bring(scorer: NeuralScorer) -> None:
    passages = [
        asked("Corvo beats Brava", "Corvo", "Brava"),
        asked("slow"),
        asked("Brava beats Corvo", "Brava"),
        asked("", *()),
        asked("the screen is great and Brava too", "Brava", "screen"),
        asked("Corvo beats Brava", "Brava"),
        asked("屏幕比电池好", "电池"),
        asked("Corvo"),
    ]
    together = scorer.score(passages)
    assert [len(reading.targets) for reading in together] == [len(passage.targets) for passage in passages]
    for passage, reading in zip(passages, together, strict=True):
        [alone] = scorer.score([passage])
        assert labels(alone) == labels(reading)
        for one, other in zip((alone.sentiment, *alone.targets), (reading.sentiment, *reading.targets), strict=True):
            assert abs(one.negative - other.negative) <= PROBABILITY_BOUND[torch.float32]
    assert scorer.score(passages[::-1])[::-1] == together


def test_what_a_target_brings_changes_nothing_of_the_text(scorer: NeuralScorer) -> None:
    with_names, without = scorer.score([asked("Corvo beats Brava", "Corvo"), asked("Corvo beats Brava")])
    assert with_names.model_copy(update={"targets": ()}) == without


def test_a_name_beyond_the_cap_is_told_what_the_text_says(scorer: NeuralScorer) -> None:
    far = "slow " * 60 + "Brava"
    [reading] = scorer.score([asked(far, "Brava", "slow")])
    assert reading.targets[0] == reading.sentiment
    near = f"Corvo beats Brava {far}"
    both = ((12, 17), (len(near) - 5, len(near)))
    [reading, of_the_first] = scorer.score([Passage(near, "en", (both,)), Passage(near, "en", ((both[0],),))])
    assert reading.targets == of_the_first.targets


def test_a_target_that_is_named_nowhere_is_told_what_the_text_says(scorer: NeuralScorer) -> None:
    [reading] = scorer.score([Passage("Corvo beats Brava", "en", ((), ((12, 17),), ((900, 905),)))])
    assert reading.targets[0] == reading.targets[2] == reading.sentiment
    assert reading.targets[1].label == "negative"


def test_several_places_of_a_name_are_averaged(scorer: NeuralScorer) -> None:
    text = "Corvo beats Brava"
    network = scorer.network
    places: Sequence[Sequence[tuple[int, int]]] = [[(0, 5)], [(12, 17)], [(0, 5), (12, 17)], [(0, 5), (1, 4), (12, 17)]]
    [raw] = network.read([text], [places])
    corvo, brava, both, _ = raw.added
    assert both == pytest.approx([(one + other) / 2 for one, other in zip(corvo, brava, strict=True)], abs=1e-4)


def test_a_text_brings_a_bounded_number_of_targets_and_places() -> None:
    offsets = [(0, 0), *((at, at + 1) for at in range(300)), (0, 0)]
    many = [[(at, at + 1) for at in range(200)]] * (MOST_TARGETS + 9)
    found = named(many, offsets)
    assert len(found) == MOST_TARGETS + 9
    assert {len(places) for places in found[:MOST_TARGETS]} == {MOST_PLACES}
    assert set(found[MOST_TARGETS:]) == {()}


def test_places_on_the_same_tokens_count_once() -> None:
    assert named([[(0, 2), (1, 3), (0, 3)]], [(0, 0), (0, 3), (3, 6), (0, 0)]) == (((1, 1),),)


def test_what_is_added_comes_after_the_companion_and_before_the_calibration(scorer: NeuralScorer) -> None:
    ngrams = Ngrams(bits=14, characters=1, pieces=1)
    network, passage = scorer.network, asked("Corvo beats Brava", "Brava")
    [alone] = network.read([passage.text], [passage.targets])
    network.companion = Companion(Mixing(ngrams=ngrams, encoder=0.5, table=1.0, bias=(0.25, 0.0, 0.0))).eval()
    try:
        [mixed] = network.read([passage.text], [passage.targets])
    finally:
        network.companion = None
    [change] = alone.added
    assert mixed.added == (tuple(0.75 * each for each in change),), "between what the encoder counts, and all"
    assert mixed.logits == pytest.approx(
        [0.5 * own + bias for own, bias in zip(alone.logits, (0.25, 0, 0), strict=True)]
    )
    logits = plus(mixed.logits, mixed.added[0])
    told = scorer.reading(mixed, passage).targets[0]
    assert told.negative == pytest.approx(exp(logits[0]) / sum(map(exp, logits)), abs=1e-4)


def test_an_artefact_without_the_head_has_no_opinion_on_targets(tmp_path: Path) -> None:
    artefact = tiny_artefact(tmp_path / "tiny", "negative")
    scorer = NeuralScorer(NeuralScorer.Settings(artefact=artefact, device="cpu", precision="fp32"))
    assert not scorer.tells_targets
    named_, plain = scorer.score([asked("Corvo beats Brava", "Corvo"), asked("Corvo beats Brava")])
    assert named_ == plain
    assert named_.targets == ()


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_other_precisions_of_the_body_say_the_same(precision: str, tmp_path: Path) -> None:
    artefact = partisan_artefact(tmp_path / "artefact", "positive", RIVALS)
    given = {"artefact": artefact, "device": "cpu", "precision": precision}
    scorer = NeuralScorer(NeuralScorer.Settings.model_validate(given))
    [together, _] = scorer.score([asked("Corvo beats Brava", "Corvo", "Brava"), asked("slow")])
    [alone] = scorer.score([asked("Corvo beats Brava", "Corvo", "Brava")])
    assert all(map(close, together.targets, alone.targets, [0.05] * 2))


def close(one: Sentiment, other: Sentiment, bound: float) -> bool:
    return abs(one.negative - other.negative) <= bound and abs(one.positive - other.positive) <= bound


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    artefact = partisan_artefact(tmp_path / "artefact", "positive", RIVALS)
    scorer = NeuralScorer(NeuralScorer.Settings(artefact=artefact, device="cpu", precision="fp32"))
    assert scorer.network.model.targets is not None
    with torch.no_grad():
        for weights in scorer.network.model.targets.parameters():
            weights.fill_(float("nan"))
    with pytest.raises(RejectedError, match="towards a name"):
        scorer.score([asked("Corvo beats Brava", "Brava")])
    assert scorer.score([asked("Corvo beats Brava")])[0].sentiment.label == "positive"
