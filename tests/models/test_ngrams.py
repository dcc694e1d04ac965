import numpy as np
import pytest

from opinionwatch.models.ngrams import Ngrams, features

SMALL = Ngrams(bits=16, characters=3, pieces=2, longest=64)


def of(text: str, ids: list[int], ngrams: Ngrams = SMALL) -> set[int]:
    found = features([text], [ids], ngrams)
    return set(found.numbers.tolist())


def test_a_text_has_the_same_features_in_any_company() -> None:
    texts, ids = ["great screen", "", "味道很好", "\ud800", "great screen"], [[4, 5], [], [7], [3], [4, 5]]
    together = features(texts, ids, SMALL)
    for at, (text, row) in enumerate(zip(texts, ids, strict=True)):
        own = together.numbers[together.starts[at] : together.starts[at + 1]]
        assert set(own.tolist()) == of(text, row)
        assert len(own) == len(of(text, row))


def test_no_n_gram_crosses_from_one_text_into_the_next() -> None:
    apart = of("ab", [1]) | of("cd", [2])
    joined = of("abcd", [1, 2])
    assert joined - apart
    assert set(features(["ab", "cd"], [[1], [2]], SMALL).numbers.tolist()) == apart


def test_case_and_full_width_forms_are_the_same_words() -> None:
    assert of("ＧＯＯＤ！", [1]) == of("good!", [1])


def test_a_repeated_word_counts_once() -> None:
    assert of("好好好好", []) == of("好好好好好好", [])


def test_characters_and_pieces_with_the_same_number_are_kept_apart() -> None:
    wanted = SMALL.model_copy(update={"characters": 1, "pieces": 1})
    alone = of("a", [], wanted)
    assert len(of("a", [ord("a")], wanted) - alone) == 1


def test_pieces_may_be_left_out_and_long_texts_are_cut() -> None:
    wanted = SMALL.model_copy(update={"pieces": 0})
    assert of("good", [1, 2], wanted) == of("good", [9], wanted)
    assert of("a b " * 16 + "zzz", [], wanted) == of("a b " * 16 + "yyy", [], wanted)


def test_an_empty_batch_has_no_features() -> None:
    found = features([], [], SMALL)
    assert (len(found.numbers), found.starts.tolist()) == (0, [0])


@pytest.mark.parametrize("bits", [8, 18, 20])
def test_features_are_spread_evenly_over_the_table(bits: int) -> None:
    texts = [f"{number} apples and {number * 7} pears" for number in range(300)]
    numbers = features(texts, [[] for _ in texts], SMALL.model_copy(update={"bits": bits, "pieces": 0})).numbers
    assert numbers.max() < 1 << bits
    halves = np.bincount(np.unique(numbers) >> (bits - 1), minlength=2)
    assert abs(halves[0] - halves[1]) < 0.2 * halves.sum()
