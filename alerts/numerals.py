"""Numbers, times and lists as people write them, in the language of the phrases."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from opinionwatch.alerts.phrases import Words
from opinionwatch.pipeline.contracts_trend import Interval
from opinionwatch.pipeline.errors import SettingsError

_GAP = re.compile(r"\{(\w+)\}")
_HAN, _LATIN = "\u3400-\u9fff", "A-Za-z0-9%+"
_SEAM = re.compile(f"(?<=[{_HAN}])(?=[{_LATIN}])|(?<=[{_LATIN}])(?=[{_HAN}])")


class Clock(NamedTuple):
    """A time zone and what people call it."""

    zone: tzinfo
    name: str


def clock_of(zone: str) -> Clock:
    """The time zone of an IANA name. Raises SettingsError when there is none."""
    if zone == "UTC":  # also where the machine has no zone data
        return Clock(UTC, "UTC")
    try:
        return Clock(ZoneInfo(zone), zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SettingsError(f"time zone '{zone}' is not known; write an IANA name such as Asia/Shanghai") from error


class Numerals:
    """Writes figures by the rules of one language."""

    def __init__(self, words: Words) -> None:
        """Take the phrases that figures are put into."""
        self._words = words

    def sentence(self, phrase: str, **gaps: str) -> str:
        """Fill the gaps; between Chinese and Latin letters that a gap brings together comes a space.

        Names stay exactly as they are: only the seams are touched.
        """
        filled = ""
        for index, piece in enumerate(_GAP.split(phrase)):
            text = gaps[piece] if index % 2 else piece
            filled += f" {text}" if _SEAM.search(filled[-1:] + text[:1]) else text
        return filled

    def listing(self, names: list[str]) -> str:
        """`a`, `a and b`, `a, b and c`."""
        if len(names) < 2:
            return "".join(names)
        return self.sentence(
            "{head}" + self._words.both + "{tail}", head=self._words.comma.join(names[:-1]), tail=names[-1]
        )

    def clauses(self, *clauses: str) -> str:
        """Clauses side by side in one line."""
        return self._words.semicolon.join(clauses)

    def percent(self, share: float) -> str:
        """A share without decimals."""
        return self._words.percent.format(value=f"{100 * share:.0f}")

    def percents(self, interval: Interval) -> str:
        """The ends of an interval of shares."""
        return self._words.percents.format(low=f"{100 * interval.low:.0f}", high=f"{100 * interval.high:.0f}")

    def count(self, number: float) -> str:
        """A whole number, with separators."""
        return f"{number:,.0f}"

    def ratio(self, ratio: float) -> str:
        """How many times: one decimal below 10, none above."""
        return f"{ratio:,.1f}" if ratio < 9.95 else f"{ratio:,.0f}"

    def since(self, began: datetime, noticed: datetime, clock: Clock) -> str:
        """When it began and when it was noticed, with the time zone; beyond UTC the offset is told too."""
        began, noticed = began.astimezone(clock.zone), noticed.astimezone(clock.zone)
        offset = f"{began:%z}"
        zone = clock.name if clock.name == "UTC" else f"{clock.name}, UTC{offset[:3]}:{offset[3:5]}"
        phrase = self._words.since if began == noticed else self._words.noticed
        seen = f"{noticed:%H:%M}" if noticed.date() == began.date() else self.moment(noticed)
        return phrase.format(began=self.moment(began), noticed=seen, zone=zone)

    def moment(self, moment: datetime) -> str:
        """Day and time, as `moment`'s own zone has them."""
        return self._words.day.format(
            day=moment.day, month=self._words.months[moment.month - 1], year=moment.year, time=f"{moment:%H:%M}"
        )

    def duration(self, spell: timedelta) -> str:
        """Days, hours and minutes; never less than a minute."""
        minutes = max(1, round(spell.total_seconds() / 60))
        parts = zip((minutes // 1440, minutes // 60 % 24, minutes % 60), self._words.spell, strict=True)
        return " ".join(phrase.format(n=number) for number, phrase in parts if number)
