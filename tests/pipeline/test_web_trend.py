"""The sums and shares that charts and cards are made of."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opinionwatch.pipeline.web_memo import Memo
from opinionwatch.pipeline.web_spark import spark
from opinionwatch.pipeline.web_trend import DAY, WEEK, Range, Trends, regroup, tally, trailing, wilson
from tests.pipeline.web_client import sample
from tests.pipeline.web_sample import BEGAN, NOW


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_an_interval_holds_its_value_and_stays_a_share(count: int, more: int) -> None:
    interval = wilson(count, count + more)
    if count + more == 0:
        assert interval is None
    else:
        assert interval is not None
        assert 0 <= interval.low <= interval.value + 1e-9 and interval.value - 1e-9 <= interval.high <= 1


def test_mood_is_the_last_day_beside_the_week_before_it() -> None:
    mood, points = Trends(sample()).mood("lumora", NOW)
    assert mood.day == tally(sample().windows("lumora", NOW - DAY, NOW))
    assert mood.week == tally(sample().windows("lumora", NOW - DAY - WEEK, NOW - DAY))
    assert mood.change is not None and mood.change > 0.1
    assert len(points) == 84


@pytest.mark.parametrize(("reach", "count"), [("24h", 48), ("7d", 84), ("all", 96)])
def test_a_trend_counts_every_window_once(reach: Range, count: int) -> None:
    trend = Trends(sample()).trend("lumora", reach, NOW)
    assert abs(len(trend.points) - count) <= 1
    windows = sample().windows("lumora", trend.since, trend.until)
    assert sum(point.posts for point in trend.points) == sum(window.posts for window in windows)
    assert all(
        b.at - a.at == timedelta(seconds=trend.step_s) for a, b in zip(trend.points, trend.points[1:], strict=False)
    )
    assert trend.until == NOW


def test_the_crisis_stands_out_of_the_trend() -> None:
    trend = Trends(sample()).trend("lumora", "24h", NOW)
    last, first = trend.points[-1].trailing, trend.points[0].trailing
    assert last is not None and first is not None and trend.usual is not None
    assert last.low > trend.usual.high and first.low < trend.usual.value < first.high
    [band] = trend.episodes
    assert band.began_at == BEGAN and band.resolved_at is None


def test_a_point_trails_the_steps_before_it() -> None:
    points = Trends(sample()).points("lumora", NOW - DAY, NOW, timedelta(hours=1))
    pooled = trailing(points, 3)
    assert pooled[10].trailing == tally(points[8:11]).share
    assert [part.posts for part in regroup(points, 6)] == [tally(points[i : i + 6]).posts for i in range(0, 25, 6)]


def test_groups_of_the_last_day_come_most_negative_first() -> None:
    split = Trends(sample()).split("lumora", NOW)
    assert next(iter(split.aspects)) == "battery"
    for groups in (split.aspects, split.sources):
        assert tally(groups.values()) == tally(sample().windows("lumora", NOW - DAY, NOW))


def test_a_watchlist_without_windows_has_an_empty_trend() -> None:
    trend = Trends(sample()).trend("nobody", "all", datetime(2026, 1, 1, tzinfo=UTC))
    assert trend.usual is None and not any(point.posts for point in trend.points)
    assert spark(trend.points).line == "" and spark(()).bars == ""


def test_a_spark_stays_in_its_box() -> None:
    _, points = Trends(sample()).mood("lumora", NOW)
    drawn = spark(points, sample().episodes("lumora"))
    places = [tuple(map(float, place.split())) for place in drawn.line[1:].split("L")]
    assert all(0 <= x <= 320 and 0 <= y <= 56 for x, y in places)
    assert drawn.shades[0].x + drawn.shades[0].width == pytest.approx(320)
    assert drawn.last == places[-1]


def test_a_memo_looks_once_and_forgets_the_oldest() -> None:
    looked = []
    memo: Memo[int, int] = Memo(at_least_s=60, entries=2)

    def look(key: int) -> int:
        looked.append(key)
        return key

    assert [memo(key, lambda key=key: look(key)) for key in (1, 1, 2, 2, 3, 1)] == [1, 1, 2, 2, 3, 1]  # type: ignore[misc]  # a default in a lambda
    assert looked == [1, 2, 3, 1]
    fresh: Memo[int, int] = Memo(at_least_s=0, at_most_s=0)
    assert [fresh(1, lambda: look(9)) for _ in range(2)] == [9, 9] and looked[-2:] == [9, 9]
