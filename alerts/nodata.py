"""No data: a source that used to speak about a watchlist has gone silent. That is no calm, and is told as what it is.

Per watchlist and source, posts are learned by hour of the day, weekends (UTC) apart from other days. The hours of a
silence are learned when it is over, and not at all if it was told, so that an outage does not become the normal. A
silence is told when the posts that it should have brought are far more than chance leaves out: under a negative
binomial of size `SIZE` (wild, since all of a silence may have one cause) the chance of none among M expected is
(1 + M / SIZE) ^ -SIZE. A source whose silence is told counts as gone when that story has lasted `episodes.max_h`, any
other after a week. One that was in the settings and is no more, or whose watchlist is not, is forgotten; places that
a source names itself never stand there, and are missed as ever. Hours in which nobody of ours listened are passed over:
they teach nothing, nobody is missed in them, and who is told as silent stays so.
"""

import math
from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from opinionwatch.pipeline.snapshots import Facts
from opinionwatch.pipeline.ticks import TICKS_PER_HOUR, Watched

KEEP = 0.9
"""What an earlier day weighs beside the next one."""
SLOTS, WEEKEND = 48, (5, 6)
KNOWN = 1.8
"""Days of its kind from which an hour of the day is known; nothing is expected of an unknown one."""
SIZE = 4.0
NATS = 9.0
"""Surprise at which a silence is told: with 34 posts expected and none seen."""
TOLD_AT = SIZE * (math.exp(NATS / SIZE) - 1)
SHORTEST_H, LEARN_H, GONE_H = 2, 48, 168


@dataclass
class _Speaker:
    """One source of one watchlist."""

    first: int
    """Hour it was first heard in."""
    last: int
    """Hour it was last heard in."""
    now: int = 0
    """Posts of the current hour."""
    posts: list[float] = field(default_factory=lambda: [0.0] * SLOTS)
    days: list[float] = field(default_factory=lambda: [0.0] * SLOTS)

    def expected(self, hour: int) -> float:
        """Posts expected in such an hour."""
        slot = _slot(hour)
        return self.posts[slot] / self.days[slot] if self.days[slot] >= KNOWN else 0.0

    def learn(self, hour: int, posts: int) -> None:
        """Take an hour as a normal one."""
        slot = _slot(hour)
        self.posts[slot] = self.posts[slot] * KEEP + posts
        self.days[slot] = self.days[slot] * KEEP + 1


def _slot(hour: int) -> int:
    """Hour of the day, counted on from 24 at weekends. Hour 0 is a Thursday's."""
    day = (hour // 24 + 3) % 7
    return hour % 24 + (24 if day in WEEKEND else 0)


class NoData:
    """Who speaks about what, and who has stopped."""

    def __init__(self) -> None:
        self._speakers: dict[tuple[int, str], _Speaker] = {}
        self._hour = self._latest = -1
        self.silent: dict[int, dict[str, float]] = {}
        """Posts missed so far, by row and source, of the silences that are told."""
        self._watched = Watched()
        self._away = (0, -1)
        """First and last hour of our own latest absence, and of those before it that were not passed when it came."""

    def hear(self, heard: Mapping[tuple[int, str], int], tick: int) -> None:
        """Count the posts of a tick, by row and source. Ticks must not go back."""
        self._advance(tick // TICKS_PER_HOUR)
        for key, posts in sorted(heard.items()):
            row, source = key
            speaker = self._speakers.setdefault(key, _Speaker(self._hour, self._hour))
            if source in self.silent.get(row, {}):
                self._heard_again(row, source)
            else:
                for hour in range(speaker.last + 1, self._hour):
                    speaker.learn(hour, 0)
            speaker.now += posts
            speaker.last = self._latest = self._hour

    def pass_over(self, since: int, until: int) -> None:
        """Nobody of ours listened between these ticks, of which the hours may not be over yet."""
        first, last = since // TICKS_PER_HOUR, until // TICKS_PER_HOUR
        if 0 <= self._hour <= self._away[1]:  # still to be passed, at least in part
            first, last = min(first, self._away[0]), max(last, self._away[1])
        self._away = (first, last)

    def next_look(self, tick: int) -> int | None:
        """The next tick after this one at which a silence may have to be told: the next hour, while one can be."""
        hour = tick // TICKS_PER_HOUR + 1
        return hour * TICKS_PER_HOUR if self._speakers and hour <= self._latest + GONE_H + 1 else None

    def give_up(self, row: int) -> None:
        """Take the row's silent sources for gone."""
        for source in self.silent.pop(row, {}):
            del self._speakers[row, source]

    def keep(self, watched: Watched, rows: Mapping[str, int]) -> Set[int]:
        """Forget who was named in the settings and is no more; `rows` are those of the watchlists. Returns the rows of
        which there is nothing more to tell.
        """
        if watched == self._watched:
            return frozenset()
        sources = self._watched.sources - watched.sources
        done = {rows[name] for name in self._watched.watchlists - watched.watchlists if name in rows}
        self._watched = watched
        for row, source in [key for key in self._speakers if key[0] in done or key[1] in sources]:
            del self._speakers[row, source]
            if source in self.silent.get(row, {}):
                self._heard_again(row, source)
                if row not in self.silent:
                    done.add(row)
        self._latest = max((speaker.last for speaker in self._speakers.values()), default=-1)
        return done

    def since(self, row: int) -> int:
        """The first tick of the longest silence of a row that is told."""
        hours = [self._speakers[row, source].last + 1 for source in self.silent.get(row, {})]
        return min(hours, default=self._hour) * TICKS_PER_HOUR

    def rows(self) -> Set[int]:
        """Rows with a silence that is told."""
        return self.silent.keys()

    def _heard_again(self, row: int, source: str) -> None:
        del self.silent[row][source]
        if not self.silent[row]:
            del self.silent[row]

    def _advance(self, hour: int) -> None:
        if self._hour < 0:
            self._hour = hour
        for entered in range(max(self._hour + 1, hour - GONE_H), hour + 1):
            self._end(entered - 1)
        self._hour = max(self._hour, hour)

    def _end(self, ended: int) -> None:
        """An hour is over: learn from those who spoke, and see who has been silent for too long."""
        if self._away[0] <= ended <= self._away[1]:
            for (row, source), speaker in self._speakers.items():
                speaker.now = 0
                if source not in self.silent.get(row, {}):
                    speaker.last = ended
            return
        told, self.silent = self.silent, {}
        for (row, source), speaker in list(self._speakers.items()):
            quiet = ended - speaker.last
            if quiet > GONE_H and source not in told.get(row, {}):
                del self._speakers[row, source]
                continue
            missed = self._missed(speaker, ended) if quiet >= SHORTEST_H else 0.0
            if missed:
                self.silent.setdefault(row, {})[source] = missed
            if quiet == 0:
                speaker.learn(ended, speaker.now)
            speaker.now = 0

    @staticmethod
    def _missed(speaker: _Speaker, ended: int) -> float:
        """Posts expected in the silence so far if it is to be told, else 0."""
        if speaker.last - speaker.first < LEARN_H:
            return 0.0
        expected = sum(speaker.expected(hour) for hour in range(speaker.last + 1, ended + 1))
        return expected if expected >= TOLD_AT else 0.0

    def save(self) -> Facts:
        """All of it."""
        return {
            "hour": self._hour,
            "away": list(self._away),
            "watched": [sorted(self._watched.sources), sorted(self._watched.watchlists)],
            "speakers": [
                [row, source, one.first, one.last, one.now, one.posts, one.days]
                for (row, source), one in self._speakers.items()
            ],
            "silent": [[row, dict(sources)] for row, sources in self.silent.items()],
        }

    def load(self, saved: Facts) -> None:
        """Take over what `save` gave."""
        self._hour = saved["hour"]
        first, last = saved.get("away", (0, -1))  # a state of before knows of none
        self._away = (first, last)
        sources, watchlists = saved.get("watched", ((), ()))  # nor of what the settings named
        self._watched = Watched(frozenset(sources), frozenset(watchlists))
        self._speakers = {
            (row, source): _Speaker(first, last, now, posts, days)
            for row, source, first, last, now, posts, days in saved["speakers"]
        }
        self._latest = max((speaker.last for speaker in self._speakers.values()), default=-1)
        self.silent = dict(saved["silent"])
