import numpy as np
import pytest

from opinionwatch.models.bootstrap import accuracies, interval, macro_f1s, paired, paired_f1


def test_the_figures_of_a_stack_are_those_of_each_confusion() -> None:
    one, other = [[5, 1, 0], [2, 3, 1], [0, 0, 4]], [[1, 0, 0], [0, 0, 0], [1, 0, 2]]
    stack = np.array([one, other], dtype=np.float64)
    assert accuracies(stack) == pytest.approx([12 / 16, 3 / 4])
    assert macro_f1s(stack)[1] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert macro_f1s(np.array(one, dtype=np.float64)) == pytest.approx((10 / 13 + 6 / 10 + 8 / 9) / 3)


def test_an_interval_of_accuracy_is_as_wide_as_the_binomial_says() -> None:
    found = interval([[80, 20, 0], [0, 0, 0], [0, 0, 0]], accuracies)
    wide = 1.96 * (0.8 * 0.2 / 100) ** 0.5
    assert found.value == pytest.approx(0.8)
    assert (found.low, found.high) == pytest.approx((0.8 - wide, 0.8 + wide), abs=0.015)


def test_an_interval_narrows_with_the_root_of_the_rows() -> None:
    few, many = interval([[8, 2, 0], [3, 7, 0], [1, 0, 9]]), interval([[800, 200, 0], [300, 700, 0], [100, 0, 900]])
    assert (few.high - few.low) / (many.high - many.low) == pytest.approx(10, rel=0.25)


def test_a_pair_that_always_agrees_has_no_spread() -> None:
    cells = np.zeros((3, 3, 3))
    for true, said in ((0, 0), (0, 1), (1, 1), (2, 2), (2, 0)):
        cells[true, said, said] = 20
    found = paired(cells, accuracies)
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_pairs_see_what_two_separate_intervals_would_miss() -> None:
    # 1,000 rows, 60 % right before; the new model mends 30 rows and breaks 5.
    cells = np.zeros((3, 3, 3))
    cells[0, 0, 0], cells[0, 1, 1], cells[0, 1, 0], cells[0, 0, 1] = 595, 370, 30, 5
    found = paired(cells, accuracies)
    assert found.value == pytest.approx(0.025)
    assert found.low > 0
    old, new = interval(cells.sum(-1).tolist(), accuracies), interval(cells.sum(-2).tolist(), accuracies)
    assert new.low < old.high


def test_the_gain_of_a_micro_f1_is_that_of_all_texts_together() -> None:
    found = paired_f1({(2, 2, 1, 2, 2): 30, (1, 0, 0, 1, 0): 10, (0, 1, 0, 0, 0): 5})
    right, old, new = 70, (65, 30), (70, 60)
    assert found.value == pytest.approx(2 * new[1] / (right + new[0]) - 2 * old[1] / (right + old[0]))
    assert 0 < found.low < found.value < found.high
    assert found.chance == 1
    lost = paired_f1({(2, 2, 2, 2, 1): 30, (1, 1, 0, 0, 0): 10, (0, 0, 0, 1, 0): 5})
    assert lost.value == pytest.approx(-found.value)
    assert lost.chance < 0.001


def test_triplets_that_both_find_alike_are_no_gain_and_no_loss() -> None:
    assert paired_f1({(2, 2, 1, 2, 1): 30, (1, 0, 0, 0, 0): 10}) == (0, 0, 0, 1)
