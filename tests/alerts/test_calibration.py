"""A threshold from a tenant's own quiet days."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from opinionwatch.alerts.calibration import HISTORY_DAYS, MIN_DAYS, Curve, History, calibrated, history
from opinionwatch.alerts.detect_settings import DetectorSettings, bound
from opinionwatch.alerts.thresholds import Thresholds
from opinionwatch.pipeline.contracts_trend import Window
from opinionwatch.pipeline.ticks import TICKS_PER_DAY, tick_of

START = datetime(2024, 3, 4, tzinfo=UTC)
DAY = timedelta(days=1)


def quiet(days: int = HISTORY_DAYS, wild: float = 0.0, seed: int = 2) -> History:
    """Days of two sources and two aspects; `wild` is how far the share wanders from day part to day part, in logits."""
    chance = np.random.default_rng(seed)
    found = []
    for _ in range(days):
        rows = []
        for part in range(6):
            share = 1 / (1 + np.exp(1.4 - wild * chance.normal()))
            for tick in range(part * 48, part * 48 + 48, 2):
                for source, aspect in ((0, 0), (1, 1)):
                    n = int(chance.poisson(2)) + 1
                    rows.append((tick, source, aspect, n, int(chance.binomial(n, share))))
        found.append(np.array(rows, np.int64))
    return History(tuple(found), 2, 2)


def curve(rates: dict[float, float], days: int = 1000, since: datetime | None = START) -> Curve:
    """A curve that falls in steps: from each threshold on, that rate."""
    grid = [round(5 + 0.05 * place, 2) for place in range(181)]
    filled = [next(rate for at, rate in sorted(rates.items(), reverse=True) if threshold >= at) for threshold in grid]
    return Curve(applies_from=since, rates=tuple(filled), watchlists=9, days=days, replayed_weeks=100)


def test_a_wilder_history_has_more_alarms_at_every_threshold() -> None:
    calm, wild = (calibrated([quiet(wild=wild)] * 6, 60) for wild in (0.0, 0.9))
    assert calm is not None
    assert wild is not None
    assert calm.rate(bound(0.1)) == 0
    assert wild.rate(6.0) > calm.rate(6.0)
    assert list(calm.rates) == sorted(calm.rates, reverse=True)


def test_the_same_history_gives_the_same_curve() -> None:
    assert calibrated([quiet()] * 2, 60) == calibrated([quiet()] * 2, 60)


def test_a_short_history_is_not_drawn_from() -> None:
    assert calibrated([quiet(days=MIN_DAYS - 1)] * 5, 60) is None
    assert calibrated([], 60) is None


def test_a_threshold_keeps_the_budget_and_is_never_above_the_bound() -> None:
    falling = curve({5.0: 3.0, 6.0: 0.5, 7.5: 0.05, 12.0: 0.0})
    assert falling.threshold(0.1) == pytest.approx(7.5)
    assert falling.threshold(1.0) == pytest.approx(6.0)
    assert curve({5.0: 3.0}).threshold(0.1) == bound(0.1)


def test_a_rate_just_under_the_budget_is_enough_only_for_a_long_history() -> None:
    """Few weeks may have been lucky ones: the budget is held against one standard error more than was counted."""
    assert curve({5.0: 0.08}, days=280).threshold(0.1) == bound(0.1)
    assert curve({5.0: 0.08}, days=2_800).threshold(0.1) == pytest.approx(5.0)


def test_the_search_stops_at_the_first_threshold_that_breaks_the_budget() -> None:
    """Far below, episodes merge and the count falls again: that is no operating point."""
    assert curve({5.0: 0.0, 6.0: 0.4, 8.0: 0.05}).threshold(0.1) == pytest.approx(8.0)


def test_too_few_weeks_for_a_budget_say_nothing_about_it() -> None:
    few = curve({5.0: 0.0}, days=21)
    assert few.threshold(0.1) is None
    assert few.threshold(1.0) == pytest.approx(5.0)


def window(start: datetime, sure: int = 3) -> Window:
    """One window."""
    return Window(
        watchlist="kite", source="news", aspect="price", start=start, posts=5, voices=4, negative=2, positive=1,
        unsure=1, negative_voices=1, sure_voices=sure,
    )  # fmt: skip


def test_days_that_an_episode_touches_are_left_out() -> None:
    windows = [window(START + day * DAY + timedelta(hours=3)) for day in range(6)]
    found = history(windows, [(START + 1 * DAY + timedelta(hours=20), START + 3 * DAY)])
    assert len(found.days) == 3
    assert (found.sources, found.aspects) == (1, 1)
    assert found.days[0].tolist() == [[36, 0, 0, 3, 1]]


def test_windows_without_a_sure_voice_are_no_evidence() -> None:
    assert history([window(START, sure=0)], []).days == ()


def test_a_calibration_counts_from_its_moment_on_and_only_where_it_is_asked_for() -> None:
    falling = curve({5.0: 3.0, 7.5: 0.05}, since=START + DAY)
    before, after = tick_of(START), tick_of(START + DAY)
    found = Thresholds(DetectorSettings(), [falling])
    assert found.at(before) == bound(0.1)
    assert found.at(after) == found.at(after + TICKS_PER_DAY) == pytest.approx(7.5)
    assert Thresholds(DetectorSettings(threshold_from="bound"), [falling]).at(after) == bound(0.1)
    assert Thresholds(DetectorSettings(), [curve({5.0: 0.0}, since=None)]).at(after) == bound(0.1)


def test_a_budget_for_all_is_shared_out() -> None:
    settings = DetectorSettings(false_alarms_per_week=1, budget_for="all")
    assert settings.shared(20).threshold == bound(0.05)
    assert DetectorSettings(false_alarms_per_week=1).shared(20).threshold == bound(1)
