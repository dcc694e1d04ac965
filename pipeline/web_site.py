"""What the page and the API are built from: an archive, the watchlists' names, and what follows from the two."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

from starlette.exceptions import HTTPException

from opinionwatch.pipeline.archive import Archive
from opinionwatch.pipeline.contracts import Record, ScoredDocument, Utc
from opinionwatch.pipeline.contracts_trend import Episode, Silence
from opinionwatch.pipeline.corrections import Corrections
from opinionwatch.pipeline.registry import nearest
from opinionwatch.pipeline.settings import Web
from opinionwatch.pipeline.web_health import HealthReader, Status
from opinionwatch.pipeline.web_memo import Memo
from opinionwatch.pipeline.web_spark import Spark, spark
from opinionwatch.pipeline.web_tongue import Lang
from opinionwatch.pipeline.web_trend import BUCKET, Mood, Trends, tally

State = Literal["calm", "alarm", "info", "blind"]
RECENT = 100
"""How many of the newest episodes are looked at for what is open."""


class Watched(Record):
    """A watchlist by its id and the name people know."""

    id: str
    name: str


class Card(Record):
    """A watchlist at a glance. `episode` is the newest open one, alarms before information."""

    watchlist: Watched
    state: State
    mood: Mood
    spark: Spark
    episode: Episode | None
    silenced_until: Utc | None


class Site:
    """One archive as the page shows it. Safe to use from several threads."""

    def __init__(
        self,
        archive: Archive,
        watchlists: Iterable[tuple[str, str]],
        web: Web,
        lang: Lang,
        status: Status | None,
        budget: float | None = None,
        corrections: Corrections | None = None,
    ) -> None:
        self.archive = archive
        self.corrections = corrections
        self.watchlists = tuple(Watched(id=key, name=name) for key, name in watchlists)
        self.web = web
        self.lang: Lang = lang
        self.trends = Trends(archive)
        self.health = HealthReader(archive, status, len(self.watchlists), budget)
        self._open: Memo[str, list[Episode]] = Memo(at_least_s=0.2, at_most_s=1)

    def now(self) -> datetime | None:
        """Pipeline time; before the first tick the end of the last window; None when there is nothing at all."""
        now = self.archive.now()
        if now is not None:
            return now
        span = self.archive.span()
        return None if span is None else span[1] + BUCKET

    def name(self, watchlist: str) -> str:
        """What people call a watchlist; its id when it is no longer in the settings."""
        return next((watched.name for watched in self.watchlists if watched.id == watchlist), watchlist)

    def watched(self, watchlist: str) -> Watched:
        """The watchlist of that id. Raises HTTPException 404 with the nearest one."""
        known = {watched.id: watched for watched in self.watchlists}
        if watchlist not in known:
            hint = nearest(watchlist, known) if known else "there are none in the settings"
            raise HTTPException(404, f"no watchlist of that id; {hint}")
        return known[watchlist]

    def episode(self, episode_id: str) -> Episode:
        """The episode of that id. Raises HTTPException 404."""
        episode = self.archive.episode(episode_id)
        if episode is None:
            raise HTTPException(404, "no episode of that id")
        return episode

    def document(self, document_id: str) -> ScoredDocument:
        """The document of that id. Raises HTTPException 404."""
        scored = self.archive.document(document_id)
        if scored is None:
            raise HTTPException(404, "no document of that id")
        return scored

    def open_episodes(self) -> list[Episode]:
        """What goes on, newest first."""
        return self._open("", lambda: [one for one in self.archive.episodes(limit=RECENT) if one.resolved_at is None])

    def alarms(self) -> list[Episode]:
        """Open episodes that people should know of, newest first."""
        return [episode for episode in self.open_episodes() if is_alarm(episode)]

    def silence(self, watchlist: str, now: datetime | None) -> Silence | None:
        """The silence on a watchlist that lasts longest."""
        active = [
            silence
            for silence in self.archive.silences()
            if silence.watchlist in (None, watchlist) and now is not None and silence.starts_at <= now < silence.ends_at
        ]
        return max(active, key=lambda silence: silence.ends_at, default=None)

    def card(self, watched: Watched, now: datetime | None) -> Card:
        """A watchlist at a glance."""
        open_ones = [episode for episode in self.open_episodes() if episode.watchlist == watched.id]
        episode = next(iter(sorted(open_ones, key=lambda one: not is_alarm(one))), None)
        silence = self.silence(watched.id, now)
        nothing = Mood(day=tally(()), week=tally(()))
        mood, points = (nothing, ()) if now is None else self.trends.mood(watched.id, now)
        return Card(
            watchlist=watched,
            state=_state(episode, mood),
            mood=mood,
            spark=spark(points, open_ones),
            episode=episode,
            silenced_until=None if silence is None else silence.ends_at,
        )

    def cards(self, now: datetime | None) -> Sequence[Card]:
        """Every watchlist, in the order of the settings."""
        return [self.card(watched, now) for watched in self.watchlists]


def is_alarm(episode: Episode) -> bool:
    """Open, and more than information."""
    return episode.resolved_at is None and episode.severity != "info"


def _state(episode: Episode | None, mood: Mood) -> State:
    if episode is None:
        # Nothing bad is known where nothing is known.
        return "calm" if mood.day.posts else "blind"
    return "alarm" if is_alarm(episode) else "info"
