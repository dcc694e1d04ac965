"""Quiet hours: when people are not to be disturbed, by the clock of where they live."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal, get_args
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, field_validator

from opinionwatch.pipeline.registry import nearest
from opinionwatch.pipeline.settings import Section

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = get_args(Day)
Clock = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$")]
LONGEST = 15
"""Windows in a row that are followed: two weeks and a day of daily ones."""


class QuietHours(Section):
    """A time of day on some days. One that ends before it begins goes on into the next day."""

    name: Annotated[str, Field(min_length=1, max_length=64, description="What routes call it.")]
    days: Annotated[tuple[Day, ...], Field(min_length=1, description="Days on which it begins.")] = DAYS
    begins: Annotated[Clock, Field(description="From here on, e.g. 22:00.")]
    ends: Annotated[Clock, Field(description="Up to here, e.g. 07:00, or 24:00 for the end of the day.")]
    zone: Annotated[str, Field(description="IANA time zone of these times, e.g. Asia/Shanghai.")]
    even_critical: Annotated[bool, Field(description="Whether critical alerts wait, too.")] = False

    @field_validator("zone")
    @classmethod
    def _zone_exists(cls, zone: str) -> str:
        if zone not in available_timezones():
            raise ValueError(f"no such time zone '{zone}'; {nearest(zone, available_timezones())}")
        return zone

    def end(self, now: datetime) -> datetime | None:
        """When the window that `now` lies in ends (UTC); None when it lies in none."""
        zone = ZoneInfo(self.zone)
        today = now.astimezone(zone).date()
        for day in (today - timedelta(days=1), today):
            if DAYS[day.weekday()] not in self.days:
                continue
            begins = _at(day, self.begins, zone)
            ends = _at(day, self.ends, zone)
            if ends <= begins:
                ends = _at(day + timedelta(days=1), self.ends, zone)
            if begins <= now < ends:
                return ends
        return None


def _at(day: date, clock: str, zone: ZoneInfo) -> datetime:
    """That time of that day, in UTC; a time that a clock change leaves out is the moment of the change."""
    if clock == "24:00":
        return _at(day + timedelta(days=1), "00:00", zone)
    return datetime.combine(day, time.fromisoformat(clock), zone).astimezone(UTC)


def quiet_until(windows: Sequence[QuietHours], now: datetime, *, critical: bool) -> tuple[datetime, str] | None:
    """When quiet ends, following windows that join on, and the name of the first; None when nothing is quiet."""
    name, until = "", now
    for _ in range(LONGEST):
        ends = [(end, one.name) for one in windows if not critical or one.even_critical if (end := one.end(until))]
        if not ends:
            break
        until, last = max(ends)
        name = name or last
    return (until, name) if name else None
