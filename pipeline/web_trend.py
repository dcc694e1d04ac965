"""What the page and the API say about mood: sums of windows, shares with their intervals, points for charts.

Shares are of voices, as the detector sees them: negative voices among the voices that the scorer is sure about.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from math import sqrt
from typing import Literal

from opinionwatch.pipeline.archive import Archive
from opinionwatch.pipeline.contracts import Record, Utc
from opinionwatch.pipeline.contracts_trend import Episode, EpisodeKind, EpisodeState, Interval, Severity, Window
from opinionwatch.pipeline.web_memo import Memo

Range = Literal["24h", "7d", "all"]
DAY = timedelta(days=1)
WEEK = timedelta(days=7)
LONGEST = timedelta(days=92)
"""How far back `all` reaches: what a chart can show and a store can sum while somebody waits."""
BUCKET = timedelta(minutes=5)
BASE = timedelta(minutes=30)
"""The step that all others are sums of."""
STEPS = tuple(timedelta(minutes=minutes) for minutes in (30, 60, 120, 180, 360, 720, 1440))
SETTLED_AFTER = timedelta(hours=6)
SETTLED_S = 60.0
"""A day that ended so long ago changes little: what late documents still change in it is shown within a minute."""
Z = 1.959964
FEWEST = 5
"""Sure voices that a drawn share needs: of fewer, every share is possible, and a line through them is noise."""
NEGATIVE_KINDS: tuple[EpisodeKind, ...] = ("crisis", "tone shift")


class Tally(Record):
    """Sums of windows. `share` is None where nobody spoke whom the scorer is sure about."""

    posts: int = 0
    voices: int = 0
    negative: int = 0
    positive: int = 0
    unsure: int = 0
    negative_voices: int = 0
    sure_voices: int = 0
    share: Interval | None = None

    @property
    def neutral(self) -> int:
        """Posts that are neither negative nor positive nor unsure."""
        return self.posts - self.negative - self.positive - self.unsure


class Point(Tally):
    """One step of a chart, named by its start."""

    at: Utc
    trailing: Interval | None = None
    """Share over some steps up to and with this one: single steps hold too few voices to draw a line through. None
    where even those are too few.
    """


class Band(Record):
    """An episode as a chart shows it."""

    id: str
    kind: EpisodeKind
    state: EpisodeState
    severity: Severity
    began_at: Utc
    opened_at: Utc
    resolved_at: Utc | None


class Trend(Record):
    """A watchlist's mood and volume over a time, in steps of `step_s` seconds; steps without posts are there, too."""

    watchlist: str
    since: Utc
    until: Utc
    step_s: int
    trailing_s: int
    """How much time `trailing` sums up."""
    usual: Interval | None
    """Share of the seven days before the last 24 hours."""
    points: tuple[Point, ...]
    episodes: tuple[Band, ...]


class Mood(Record):
    """The last 24 hours of pipeline time, beside the seven days before them."""

    day: Tally
    week: Tally

    @property
    def change(self) -> float | None:
        """Share of negative voices now minus then; None where either is unknown."""
        return self.day.share.value - self.week.share.value if self.day.share and self.week.share else None


def wilson(count: int, total: int) -> Interval | None:
    """95 % score interval of a proportion (Wilson 1927); None of nothing.

    >>> interval = wilson(5, 10)
    >>> f"{interval.low:.3f} {interval.value:.3f} {interval.high:.3f}"
    '0.237 0.500 0.763'
    """
    if total <= 0:
        return None
    centre = (count + Z * Z / 2) / (total + Z * Z)
    half = Z / (total + Z * Z) * sqrt(count * (total - count) / total + Z * Z / 4)
    return Interval(low=max(0.0, centre - half), value=count / total, high=min(1.0, centre + half))


def tally(parts: Iterable[Window | Tally]) -> Tally:
    """The sum of windows or of other sums."""
    posts = voices = negative = positive = unsure = negative_voices = sure_voices = 0
    for part in parts:
        posts += part.posts
        voices += part.voices
        negative += part.negative
        positive += part.positive
        unsure += part.unsure
        negative_voices += part.negative_voices
        sure_voices += part.sure_voices
    return Tally(
        posts=posts,
        voices=voices,
        negative=negative,
        positive=positive,
        unsure=unsure,
        negative_voices=negative_voices,
        sure_voices=sure_voices,
        share=wilson(negative_voices, sure_voices),
    )


def point(at: datetime, parts: Iterable[Window | Tally]) -> Point:
    """The sum of what lies in the step that begins at `at`."""
    return Point(at=at, **dict(tally(parts)))


def floor(moment: datetime, step: timedelta) -> datetime:
    """The last multiple of `step` (counted from 1970) at or before a moment.

    >>> floor(datetime(2026, 3, 8, 14, 7, tzinfo=UTC), timedelta(minutes=30)).isoformat()
    '2026-03-08T14:00:00+00:00'
    """
    seconds = int(step.total_seconds())
    return datetime.fromtimestamp(int(moment.timestamp()) // seconds * seconds, UTC)


def ceiling(moment: datetime, step: timedelta) -> datetime:
    """The first multiple of `step` at or after a moment."""
    below = floor(moment, step)
    return below if below == moment else below + step


def band(episode: Episode) -> Band:
    """The part of an episode that a chart shows."""
    return Band.model_validate(episode.model_dump(include=set(Band.model_fields)))


class Split(Record):
    """The last 24 hours by aspect and by source, most negative voices first."""

    aspects: dict[str, Tally]
    sources: dict[str, Tally]


class Trends:
    """Sums over an archive's windows, remembered for a moment so that many readers cost as much as one."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._open: Memo[tuple[str, datetime], tuple[Point, ...]] = Memo()
        self._settled: Memo[tuple[str, datetime], tuple[Point, ...]] = Memo(SETTLED_S, SETTLED_S, entries=1000)
        self._splits: Memo[tuple[str, datetime], Split] = Memo()

    def points(self, watchlist: str, since: datetime, now: datetime, step: timedelta) -> tuple[Point, ...]:
        """One point a step, a multiple of 30 minutes that divides a day: from the one that holds `since` to `now`'s."""
        first, until = floor(since, step), ceiling(now, BASE)
        points = [
            part
            for day in _steps(floor(first, DAY), until, DAY)
            for part in self._day(watchlist, day, now)
            if first <= part.at < until
        ]
        return regroup(points, step // BASE)

    def _day(self, watchlist: str, day: datetime, now: datetime) -> tuple[Point, ...]:
        memo = self._settled if now - day >= DAY + SETTLED_AFTER else self._open
        return memo((watchlist, day), lambda: self._read(watchlist, day))

    def _read(self, watchlist: str, day: datetime) -> tuple[Point, ...]:
        cells: defaultdict[datetime, list[Window]] = defaultdict(list)
        for window in self._archive.windows(watchlist, day, day + DAY):
            cells[floor(window.start, BASE)].append(window)
        return tuple(point(at, cells[at]) for at in _steps(day, day + DAY, BASE))

    def mood(self, watchlist: str, now: datetime) -> tuple[Mood, tuple[Point, ...]]:
        """Mood now, and the last seven days in steps of two hours for a sparkline."""
        until = ceiling(now, BASE)
        points = self.points(watchlist, until - DAY - WEEK, now, BASE)
        mood = Mood(
            day=tally(part for part in points if part.at >= until - DAY),
            week=tally(part for part in points if part.at < until - DAY),
        )
        return mood, trailing(regroup([part for part in points if part.at >= until - WEEK], 4), 3)

    def split(self, watchlist: str, now: datetime) -> Split:
        """What the last 24 hours were about and where."""
        since = ceiling(now, BUCKET) - DAY

        def read() -> Split:
            windows = self._archive.windows(watchlist, since, since + DAY)
            return Split(
                aspects=_groups((w.aspect, w) for w in windows), sources=_groups((w.source, w) for w in windows)
            )

        return self._splits((watchlist, since), read)

    def trend(self, watchlist: str, reach: Range, now: datetime) -> Trend:
        """Points and episodes for a chart, in steps that leave about a hundred points at most."""
        match reach:
            case "24h":
                since, step, size = now - DAY, BASE, 4
            case "7d":
                since, step, size = now - WEEK, timedelta(hours=2), 3
            case "all":
                span = self._archive.span(watchlist)
                since, size = max(span[0], now - LONGEST) if span else now - DAY, 3
                step = next((step for step in STEPS if (now - since) / step <= 100), STEPS[-1])
        lead = size - 1
        points = trailing(self.points(watchlist, since - lead * step, now, step), size)[lead:]
        episodes = [
            band(episode)
            for episode in self._archive.episodes(watchlist)
            if episode.resolved_at is None or episode.resolved_at >= since
        ]
        return Trend(
            watchlist=watchlist,
            since=floor(since, step),
            until=ceiling(now, BUCKET),
            step_s=int(step.total_seconds()),
            trailing_s=int(step.total_seconds()) * size,
            usual=self.mood(watchlist, now)[0].week.share,
            points=points,
            episodes=tuple(episodes),
        )


def regroup(points: Sequence[Point], size: int) -> tuple[Point, ...]:
    """Sums of `size` neighbouring points each."""
    if size == 1:
        return tuple(points)
    groups = (points[i : i + size] for i in range(0, len(points), size))
    return tuple(point(group[0].at, group) for group in groups)


def trailing(points: Sequence[Point], size: int) -> tuple[Point, ...]:
    """The points, each with the share of the `size` points that end with it."""
    sums = (tally(points[max(0, i + 1 - size) : i + 1]) for i in range(len(points)))
    shares = (whole.share if whole.sure_voices >= FEWEST else None for whole in sums)
    return tuple(part.model_copy(update={"trailing": share}) for part, share in zip(points, shares, strict=True))


def _groups(parts: Iterable[tuple[str, Window]]) -> dict[str, Tally]:
    groups: defaultdict[str, list[Window]] = defaultdict(list)
    for name, window in parts:
        groups[name].append(window)
    sums = {name: tally(windows) for name, windows in groups.items()}
    return dict(sorted(sums.items(), key=lambda item: (-item[1].negative_voices, -item[1].voices, item[0])))


def _steps(since: datetime, until: datetime, step: timedelta) -> Iterator[datetime]:
    while since < until:
        yield since
        since += step
