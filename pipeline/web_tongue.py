"""One language of the page: its words, and how it writes numbers and times."""

from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

from opinionwatch.pipeline.web_words import ASPECTS, WORDS
from opinionwatch.pipeline.web_words_one import ONE

Lang = Literal["en", "zh"]
LANGS: tuple[Lang, ...] = get_args(Lang)


class Tongue:
    """One language of the page. Call it with a key of `WORDS`."""

    def __init__(self, lang: Lang) -> None:
        self.lang: Lang = lang
        self.tag = "zh-Hans" if lang == "zh" else "en"
        self._column = LANGS.index(lang)

    def __call__(self, key: str, /, **gaps: object) -> str:
        """The words for a key, gaps filled. Raises KeyError for an unknown key.

        >>> Tongue("en")("attempts_n", n=1), Tongue("en")("attempts_n", n=2), Tongue("zh")("attempts_n", n=1)
        ('1 attempt', '2 attempts', '尝试1次')
        """
        words = WORDS[key][self._column]
        if self.lang == "en" and str(gaps.get("n")) == "1":
            words = ONE.get(key, words)
        return words.format(**gaps)

    def aspect(self, name: str) -> str:
        """What an aspect is called; custom ones are called what their watchlist calls them."""
        return ASPECTS.get(name, name) if self.lang == "zh" else name

    def known(self, word: str) -> str:
        """Words for something that may not have any here; itself if it has none."""
        return WORDS[word][self._column] if word in WORDS else word

    def percent(self, value: float, digits: int = 0) -> str:
        """A share as people read it.

        >>> Tongue("en").percent(0.314), Tongue("zh").percent(0.314)
        ('31 %', '31%')
        """
        return f"{100 * value:.{digits}f}" + (" %" if self.lang == "en" else "%")

    def change(self, value: float) -> str:
        """A difference of shares in percentage points, signed."""
        points = round(100 * value)
        return self("points", change=f"{points:+}".replace("-", "−") if points else "±0")

    def number(self, value: float) -> str:
        """A number with its thousands set apart; one decimal only where it says something."""
        return f"{value:,.0f}" if value == int(value) or value >= 10 else f"{value:,.1f}"

    def moment(self, value: datetime) -> str:
        """Day and time in UTC.

        >>> Tongue("en").moment(datetime(2026, 3, 8, 14, 5, tzinfo=UTC))
        '8 Mar 14:05'
        """
        value = value.astimezone(UTC)
        if self.lang == "zh":
            return f"{value.month}月{value.day}日 {value:%H:%M}"
        return f"{value.day} {_MONTHS[value.month - 1]} {value:%H:%M}"

    def span(self, value: timedelta) -> str:
        """A length of time in its largest one or two units."""
        minutes = max(0, int(value.total_seconds() // 60))
        days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
        if days:
            parts = [self("days_n", n=days), *([self("hours_n", n=hours)] if hours and days < 7 else [])]
        elif hours:
            parts = [self("hours_n", n=hours), *([self("minutes_n", n=minutes)] if minutes else [])]
        else:
            parts = [self("minutes_n", n=minutes)]
        return (" " if self.lang == "en" else "").join(parts)

    def hours(self, seconds: float) -> str:
        """A length of time given in seconds.

        >>> Tongue("en").hours(9000)
        '2 h 30 min'
        """
        return self.span(timedelta(seconds=seconds))

    def ago(self, value: datetime, now: datetime | None) -> str:
        """How long before `now`; the moment itself where `now` is not known."""
        if now is None:
            return self.moment(value)
        return self("just_now") if now - value < timedelta(minutes=1) else self("ago", span=self.span(now - value))


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
