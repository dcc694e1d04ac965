"""Shares corrected for how the scorer errs."""

import pytest
from pydantic import ValidationError

from opinionwatch.alerts.confusion import Langs, corrected
from opinionwatch.pipeline.contracts import Confusion
from opinionwatch.pipeline.contracts_trend import Interval

SHARE = Interval(low=0.25, value=0.3, high=0.35)
GOOD = Confusion(hits=900, negatives=1000, false_hits=100, others=1000)
FEW = Confusion(hits=9, negatives=10, false_hits=1, others=10)
BLIND = Confusion(hits=50, negatives=100, false_hits=40, others=100)


def test_a_share_between_the_two_rates_is_stretched_to_what_it_means() -> None:
    found = corrected(SHARE, {"en": 5}, {"en": GOOD})
    assert found.value == pytest.approx((0.3 - 0.1) / 0.8, abs=0.002)
    assert found.high - found.low > SHARE.high - SHARE.low


def test_fewer_labelled_texts_make_the_interval_wider() -> None:
    many, few = (corrected(SHARE, {"en": 1}, {"en": figure}) for figure in (GOOD, FEW))
    assert few.high - few.low > 2 * (many.high - many.low)


def test_languages_weigh_as_much_as_they_are_spoken() -> None:
    perfect = Confusion(hits=10_000, negatives=10_000, false_hits=0, others=10_000)
    both = corrected(SHARE, {"en": 1, "zh": 1}, {"en": GOOD, "zh": perfect})
    assert corrected(SHARE, {"en": 1}, {"en": GOOD}).value < both.value < 0.3
    assert corrected(SHARE, {"zh": 1}, {"zh": perfect}).value == pytest.approx(0.3, abs=0.001)


@pytest.mark.parametrize(
    ("langs", "known"),
    [({}, {"en": GOOD}), ({"de": 1}, {"en": GOOD}), ({"en": 9, "de": 1}, {"en": GOOD}), ({"en": 1}, {"en": BLIND})],
)
def test_what_cannot_be_corrected_is_left_as_it_is(langs: dict[str, float], known: dict[str, Confusion]) -> None:
    assert corrected(SHARE, langs, known) == SHARE


def test_other_stands_for_languages_without_figures_and_shares_stay_shares() -> None:
    high = Interval(low=0.02, value=0.97, high=0.99)
    found = corrected(high, {"de": 1}, {"other": GOOD})
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low >= 0


def test_languages_are_remembered_by_row_and_old_ones_fade() -> None:
    langs = Langs()
    langs.add({(1, "en"): 1500})
    langs.add({(1, "zh"): 1500, (2, "en"): 3})
    assert langs.of(1) == {"en": 750, "zh": 750}
    again = Langs()
    again.load(langs.save())
    assert (again.of(1), again.of(2), again.of(3)) == (langs.of(1), {"en": 3}, {})


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValidationError):
        Confusion(hits=11, negatives=10, false_hits=0, others=5)
