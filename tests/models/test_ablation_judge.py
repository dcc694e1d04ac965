"""How a row of the ablation table is compared: by dev row and by seed, and what both leave to chance."""

import numpy as np
import pytest
from numpy.random import Generator

from opinionwatch.models.bootstrap import Counts
from tests.bench.ablation_judge import Usual, difference, gains, moods, terms, usual
from tests.bench.ablation_rows import BASE
from tests.bench.ablation_table import Made, Truth, table

ROWS = 90
TRUTH = np.arange(ROWS) % 3


def answers(dice: Generator, skills: list[float]) -> Counts:
    """Cells (S, N, 9) of networks that know so large a share of the rows, and guess the others."""
    said = [np.where(dice.random(ROWS) < skill, TRUTH, dice.integers(0, 3, ROWS)) for skill in skills]
    return np.stack([np.eye(9)[3 * TRUTH + each] for each in said])


def seeds(dice: Generator, skill: float, scatter: float = 0.08) -> list[float]:
    """Three seeds, by luck better or worse."""
    return list(np.clip(dice.normal(skill, scatter, 3), 0, 1))


def test_the_figures_are_those_of_the_counts() -> None:
    right = np.eye(9)[3 * TRUTH + TRUTH].sum(0)
    assert float(moods(right)) == 1.0
    assert float(terms(np.array([2.0, 3.0, 5.0]))) == 0.5
    assert float(terms(np.zeros(3))) == 0.0


def test_rows_that_differ_by_their_seeds_alone_are_rarely_called_different() -> None:
    dice = np.random.default_rng(5)
    base = [answers(dice, seeds(dice, 0.5)) for _ in range(40)]
    same = [answers(dice, seeds(dice, 0.5)) for _ in range(40)]
    pairs = list(zip(base, same, strict=True))
    common = usual([gains(*pair, moods) for pair in pairs])
    told = [difference(*pair, moods, common) for pair in pairs]
    assert sum(more.low > 0 or more.high < 0 for more in told) <= 4
    # Seeds that are taken for the same network again: the very same numbers, now without what seeds leave to chance.
    steady = [difference(*pair, moods, Usual(0.0, 1e9)) for pair in pairs]
    assert sum(more.low > 0 or more.high < 0 for more in steady) > 4


def test_what_is_better_with_every_seed_is_called_so() -> None:
    dice = np.random.default_rng(6)
    others = [(answers(dice, seeds(dice, 0.5)), answers(dice, seeds(dice, 0.5))) for _ in range(20)]
    common = usual([gains(*pair, moods) for pair in others])
    more = difference(answers(dice, seeds(dice, 0.4)), answers(dice, seeds(dice, 0.9)), moods, common)
    assert 0 < more.low < more.value < more.high


def test_what_is_usual_is_shared_as_far_as_rows_are_alike() -> None:
    dice = np.random.default_rng(7)
    alike = usual([dice.normal(0, 0.02, 3) for _ in range(1000)])
    assert alike.variance == pytest.approx(0.0004, rel=0.2)
    assert alike.freedom > 10
    unlike = usual([dice.normal(0, 0.002 if at % 2 else 0.1, 3) for at in range(60)])
    assert unlike.freedom < 5
    assert usual([np.array([0.01])] * 9) == Usual(0.0, 0.0)


def test_the_table_marks_what_differs_and_says_what_has_too_few_seeds() -> None:
    truth = Truth(labels=[0, 1, 2] * 30, opinions=[{((0, 3), 2)}] * 30, trained=7)
    good, bad = "012" * 30, "222" * 30

    def made(name: str, seed: int, said: str, cpu_s: float) -> Made:
        terms = [(int(said == good), 1)] * 30
        return Made(key=f"{name} {seed}", name=name, seed=seed, steps=10, cpu_s=cpu_s, moods=said, terms=terms)

    names = [BASE, "same", "mixing", "textcnn × frozen", "beside", "never made"]
    found = [made(BASE, seed, good, 5.0) for seed in (1, 2)] + [made("same", seed, good, 5.0) for seed in (1, 2)]
    found += [made("mixing", seed, bad, 10.0) for seed in (1, 2)] + [made("textcnn × frozen", 1, bad, 1.0)]
    found += [Made(key=f"b{seed}", name="beside", seed=seed, steps=0, cpu_s=4.0, moods=good) for seed in (1, 2)]
    lines = [*table(truth, names, [1, 2], found)]
    assert lines[2] == f"| {BASE} | 100.0 | – | 100.0 | – | × 1.00 | 10 |"
    assert lines[3].startswith("| same | 100.0 | +0.0 (")
    mixing = lines[4].split(" | ")
    assert mixing[1:3] == ["16.7", mixing[2]]
    assert mixing[2].startswith("**-83.3 (")
    assert mixing[5] == "× 2.00"
    assert lines[5] == "| textcnn × frozen | 16.7 | – | 0.0 | – | × 0.20 | 10 |"
    assert "| beside | 100.0 | +0.0" in lines[6]
    assert lines[6].endswith("| – | – | 4 s in all | – |")
    words = "\n".join(lines[7:])
    assert "worse: mixing; " in words
    assert "dearer a step: mixing (× 2.0)" in words
    assert lines[-1] == "With fewer seeds so far: textcnn × frozen (1); never made (0)."
