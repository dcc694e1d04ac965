"""What is usual for a source at this hour of the week, and whether its silence is unusual."""

from datetime import UTC, datetime, timedelta

import pytest

from opinionwatch.pipeline.usual import HOUR, Usual, usual_by_source

NOW = datetime(2026, 3, 30, 14, 20, tzinfo=UTC)
"""A Monday."""


def history(a_day: int = 24, a_night: int = 0, weeks: int = 4, until: datetime = NOW) -> dict[datetime, int]:
    """An office's source: so many an hour from 8 to 20, so many at night."""
    hour = NOW.replace(minute=0) - timedelta(weeks=weeks)
    found = {}
    while hour <= until:
        count = a_day if 8 <= hour.hour < 20 else a_night
        if count:
            found[hour] = count
        hour += HOUR
    return found


def test_the_usual_follows_the_hour_of_the_week() -> None:
    usual = Usual(history(), NOW)
    day, night = usual.per_hour(NOW.replace(hour=14, minute=0)), usual.per_hour(NOW.replace(hour=3, minute=0))
    assert day is not None and night is not None
    assert day == pytest.approx(24, abs=0.5)
    assert night == pytest.approx(0, abs=0.5)
    assert (usual.last_hour(), round(usual.usual_last_hour() or 0)) == (24, 24)
    sundays = {at: 1 if at.weekday() == 6 else count for at, count in history().items()}
    assert Usual(sundays, NOW).per_hour(NOW.replace(day=29, minute=0)) == pytest.approx((3 * 1 + 20) / 4, rel=0.1)


def test_without_a_day_of_history_nobody_knows() -> None:
    young = Usual({NOW.replace(minute=0) - n * HOUR: 5 for n in range(1, 20)}, NOW)
    assert young.per_hour(NOW) is None
    assert not young.is_silent(NOW - timedelta(minutes=59))
    assert young.is_silent(NOW - timedelta(minutes=61))
    assert young.is_silent(None)


@pytest.mark.parametrize(
    ("a_day", "silent_h", "is_silent"),
    [(24, 0.9, False), (24, 2.0, True), (200, 1.1, True), (2, 3.0, False), (2, 5.0, False)],
)
def test_silence_is_judged_by_what_should_have_come(a_day: int, silent_h: float, is_silent: bool) -> None:
    last = NOW - timedelta(hours=silent_h)
    assert Usual(history(a_day, until=last), NOW).is_silent(last) is is_silent


def test_a_quiet_night_is_no_silence_and_a_week_always_is() -> None:
    night = NOW.replace(hour=6, minute=0)
    last = night - timedelta(hours=10, minutes=5)
    counts = history(24, 0, until=last)
    assert not Usual({at: count for at, count in counts.items() if at <= last}, night).is_silent(last)
    rare = {NOW - timedelta(weeks=4): 1, NOW - timedelta(days=8): 1}
    rare = {at.replace(minute=0): count for at, count in rare.items()}
    assert Usual(rare, NOW).is_silent(NOW - timedelta(days=8))


def test_counts_come_from_the_ledger_by_source() -> None:
    rows = [("a", "2026-03-30T13Z", 7), ("a", "2026-03-30T14Z", 2), ("b", "2026-03-30T13Z", 1)]
    found = usual_by_source(rows, NOW)
    assert (found["a"].last_hour(), found["b"].last_hour(), found["a"].hours) == (7, 1, 1)
