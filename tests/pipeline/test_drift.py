"""Drift: calm where nothing has moved, and a reason where something has."""

import random
from collections.abc import Sequence

import pytest

from opinionwatch.pipeline.contracts import Label, ScoredDocument, Sentiment
from opinionwatch.pipeline.drift import FEWEST, drift
from tests.pipeline.sample import document, scored

WORDS = [
    "battery",
    "screen",
    "price",
    "service",
    "camera",
    "sound",
    "shop",
    "delivery",
    "update",
    "colour",
    "电池续航",
    "屏幕很亮",
    "客服态度",
    "价格便宜",
]
OTHERS = ["lawsuit", "recall", "strike", "hearing", "chairman", "召回事件", "集体诉讼", "董事辞职"]


def posts(
    seed: int, number: int, shares: Sequence[float] = (0.2, 0.5, 0.3), sure: float = 0.8, words: Sequence[str] = WORDS
) -> list[ScoredDocument]:
    dice = random.Random(seed)
    labels: tuple[Label, ...] = ("negative", "neutral", "positive")
    found = []
    for at in range(number):
        label = dice.choices(labels, shares)[0]
        rest = round((1 - sure) / 2, 4)
        chances = {name: sure if name == label else rest for name in labels}
        whole = scored(document(seed * 10_000 + at, " ".join(dice.choices(words, k=8))), label)
        mood = Sentiment(label=label, unsure=sure < 0.6, **chances)
        found.append(whole.model_copy(update={"reading": whole.reading.model_copy(update={"sentiment": mood})}))
    return found


def test_the_same_kind_of_posts_is_calm() -> None:
    found = drift(posts(1, 1000), posts(2, 400))
    assert (found.verdict, found.reasons) == ("calm", ())
    assert (found.before, found.now) == (1000, 400)


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (posts(2, 400, shares=(0.7, 0.2, 0.1)), "label mix"),
        (posts(2, 400, sure=0.5), "confidence fell"),
        (posts(2, 400, words=OTHERS), "words are new"),
    ],
    ids=["labels", "confidence", "vocabulary"],
)
def test_a_shift_says_what_has_shifted_and_nothing_else(now: list[ScoredDocument], reason: str) -> None:
    found = drift(posts(1, 1000), now)
    assert found.verdict == "shifted"
    [said] = found.reasons
    assert reason in said


def test_another_model_is_another_mix_and_is_not_compared() -> None:
    now = [each.model_copy(update={"scorer": "another"}) for each in posts(2, 400, shares=(0.9, 0.05, 0.05))]
    assert drift(posts(1, 1000), now).verdict == "too few"


def test_of_few_posts_nothing_is_said() -> None:
    assert drift(posts(1, FEWEST), posts(2, FEWEST - 1)).verdict == "too few"
    assert drift((), ()).verdict == "too few"
