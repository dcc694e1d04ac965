"""The volume channel on a plain series."""

import numpy as np

from opinionwatch.alerts.series import Series
from opinionwatch.pipeline.ticks import TICKS_PER_DAY

START = 1_700_438_400


def scores(values: list[float], step_s: int = 300) -> list[float]:
    """The scores of a series with a row every `step_s` seconds."""
    series = Series()
    return [series.step(START + place * step_s, value) for place, value in enumerate(values)]


def rhythm(days: int, per_day: int = TICKS_PER_DAY, seed: int = 5) -> list[float]:
    """Counts with a strong daily rhythm."""
    chance = np.random.default_rng(seed)
    phase = np.arange(days * per_day) / per_day
    mean = 6 * np.exp(0.8 * np.cos(2 * np.pi * phase)) * TICKS_PER_DAY / per_day
    counts: list[float] = chance.poisson(mean).astype(float).tolist()
    return counts


def test_a_planted_surge_scores_higher_than_anything_in_a_fortnight_of_rhythm() -> None:
    values = rhythm(14)
    surge = 13 * TICKS_PER_DAY
    values[surge : surge + 12] = [value * 4 + 20 for value in values[surge : surge + 12]]
    found = scores(values)
    assert max(found[surge : surge + 3]) > 0.2 + max(found[7 * TICKS_PER_DAY : surge])
    assert found[surge + 1] > 0.5
    assert all(0 <= score < 1 for score in found)


def test_scores_know_nothing_of_what_comes_after() -> None:
    values = rhythm(4)
    assert scores(values[:700]) == scores(values)[:700]


def test_hourly_rows_are_no_hourly_surges() -> None:
    values = rhythm(21, per_day=24)
    values[20 * 24] *= 5
    found = scores(values, 3600)
    assert max(found[7 * 24 : 20 * 24]) < 0.5 < found[20 * 24]


def test_two_rows_in_one_tick_are_added_up() -> None:
    quiet = rhythm(3)
    whole, halved = Series(), Series()
    for place, value in enumerate(quiet):
        at = START + 300 * place
        halved.step(at, value / 2)
        assert whole.step(at, value) >= 0
        last = halved.step(at + 100, value / 2)
        assert last >= 0


def test_a_silence_of_years_ends_at_once() -> None:
    series = Series()
    series.step(START, 3)
    series.step(START + 300, 3)
    assert 0 <= series.step(START + 20 * 365 * 86_400, 3) < 1
