"""Quiet hours by the clock of a place, over midnights, weekends and clock changes."""

from datetime import UTC, datetime

import pytest

from opinionwatch.alerts.quiet import QuietHours, quiet_until


def hours(begins: str, ends: str, zone: str = "UTC", days: tuple[str, ...] | None = None) -> QuietHours:
    given = {"name": "q", "begins": begins, "ends": ends, "zone": zone, **({"days": days} if days else {})}
    return QuietHours.model_validate(given)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2026-03-09 21:59", None),
        ("2026-03-09 22:00", "2026-03-10 07:00"),
        ("2026-03-10 06:59", "2026-03-10 07:00"),
        ("2026-03-10 07:00", None),
    ],
)
def test_a_window_over_midnight_has_its_first_and_not_its_last_moment(now: str, end: str | None) -> None:
    assert hours("22:00", "07:00").end(at(now)) == (None if end is None else at(end))


def test_a_window_belongs_to_the_day_on_which_it_begins() -> None:
    fridays = hours("22:00", "07:00", days=("fri",))
    assert fridays.end(at("2026-03-14 03:00")) == at("2026-03-14 07:00")  # Saturday morning
    assert fridays.end(at("2026-03-13 03:00")) is None


def test_windows_that_join_on_are_one_quiet() -> None:
    closed = [hours("15:00", "24:00", "Asia/Shanghai"), hours("00:00", "09:30", "Asia/Shanghai")]
    weekend = hours("00:00", "24:00", "Asia/Shanghai", days=("sat", "sun"))
    until = quiet_until([*closed, weekend], at("2026-03-13 08:00"), critical=False)  # Friday, 16:00 in Shanghai
    assert until is not None
    assert until[0] == at("2026-03-16 01:30")  # Monday, 09:30


def test_quiet_without_end_is_followed_only_so_far() -> None:
    until = quiet_until([hours("00:00", "24:00")], at("2026-03-09 12:00"), critical=False)
    assert until is not None
    assert (until[0] - at("2026-03-09 12:00")).days == 14


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2026-03-28 23:00", "2026-03-29 05:00"),  # spring: 02:00 becomes 03:00 in Berlin
        ("2026-10-24 22:00", "2026-10-25 06:00"),  # autumn: 03:00 becomes 02:00
    ],
)
def test_the_end_is_a_time_of_day_there_whatever_the_clocks_do(now: str, end: str) -> None:
    assert hours("23:00", "07:00", "Europe/Berlin").end(at(now)) == at(end)


def test_a_time_that_a_clock_change_leaves_out_still_ends_the_window() -> None:
    end = hours("23:00", "02:30", "Europe/Berlin").end(at("2026-03-28 23:30"))
    assert end is not None
    assert at("2026-03-29 00:30") <= end <= at("2026-03-29 01:30")
