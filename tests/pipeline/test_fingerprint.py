"""Near-copies share a fingerprint, other texts do not."""

from itertools import combinations
from random import Random

import numpy as np
import pytest

from opinionwatch.pipeline.fingerprint import NONE, distance, fingerprint
from opinionwatch.pipeline.fold import fold

ENGLISH = "My new Lumora phone lost half of its battery overnight and the support line keeps hanging up on me."
CHINESE = "流墨手机充了一晚上电，早上起来还是只剩一半，客服电话永远打不通，真的太让人失望了。"


def of(text: str) -> str:
    return fingerprint(fold(text))


@pytest.mark.parametrize(
    ("copy", "original"),
    [
        ("RT @ann: " + ENGLISH, ENGLISH),
        (ENGLISH + " https://t.co/abc", ENGLISH + " https://t.co/xyz"),
        (ENGLISH.upper() + "!!!", ENGLISH),
        (ENGLISH.replace("battery", "#battery"), ENGLISH),
        ("@lumora @press " + ENGLISH, ENGLISH),
        ("转发微博//@张三:" + CHINESE, CHINESE),
        ("回复 @李四：" + CHINESE, CHINESE),
        (CHINESE.replace("，", ","), CHINESE),
        ("".join(chr(ord(char) + 0xFEE0) if "a" <= char <= "z" else char for char in ENGLISH), ENGLISH),
    ],
)
def test_a_repost_has_the_fingerprint_of_its_original(copy: str, original: str) -> None:
    assert of(copy) == of(original)


@pytest.mark.parametrize("text", [ENGLISH, CHINESE])
def test_a_small_change_moves_few_bits_and_another_text_many(text: str) -> None:
    assert distance(of(text), of(text + " 666")) <= 8
    assert distance(of(text), of(text[:-1] + "too")) <= 12
    assert distance(of(ENGLISH), of(CHINESE)) >= 16


def test_unrelated_texts_are_half_of_the_bits_apart() -> None:
    dice = Random(1)
    texts = [" ".join("".join(dice.choices("abcdefghijkl", k=6)) for _ in range(20)) for _ in range(30)]
    gaps = [distance(of(one), of(other)) for one, other in combinations(texts, 2)]
    assert 30 < float(np.mean(gaps)) < 34
    assert min(gaps) > 12


@pytest.mark.parametrize(
    "text", ["", "lol", "😡😡😡😡😡😡😡😡😡", "@ann https://t.co/abcdefghij", "!!!!!!!!!!", "转发微博"]
)
def test_a_text_too_short_to_compare_has_none(text: str) -> None:
    assert of(text) == NONE


def test_the_fingerprint_is_the_same_on_every_machine() -> None:
    assert of(ENGLISH) == "f6eb1aec01c95d4c"
    assert of(CHINESE) == "756257a1fe2fdade"


def test_a_long_text_is_judged_by_its_beginning() -> None:
    assert of("long text " * 1000) == of("long text " * 2000)
