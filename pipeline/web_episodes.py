"""The views of what was found: the episodes, and one of them explained."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from opinionwatch.pipeline.contracts import Record, Utc
from opinionwatch.pipeline.contracts_trend import AlertEvent, Delivery, Episode
from opinionwatch.pipeline.web_page import Pages
from opinionwatch.pipeline.web_query import Episodes, One, asked


class Entry(Record):
    """One moment in an episode's life, and who was told of it."""

    at: Utc
    event: Literal["began"] | AlertEvent
    deliveries: tuple[Delivery, ...] = ()


class EpisodeViews:
    """Pages about episodes."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._site = pages.site

    def routes(self) -> list[Route]:
        """Where they are. Alerts link to `/episodes/{id}`."""
        return [
            Route("/episodes", self.episodes, name="episodes"),
            Route("/episodes/{id}", self.episode, name="episode"),
        ]

    def episodes(self, request: Request) -> Response:
        """All episodes, newest first."""
        query = asked(Episodes, request, beside=("lang",))
        if query.watchlist is not None:
            self._site.watched(query.watchlist)
        return self._pages.page(
            request,
            "episodes.html",
            query=query,
            episodes=self._site.archive.episodes(query.watchlist, query.limit),
            watchlists=self._site.watchlists,
        )

    def episode(self, request: Request) -> Response:
        """What happened, since when, how strong, why, who says what, how sure, and who was told."""
        query = asked(One, request, beside=("lang", "range", "done"))
        episode = self._site.episode(query.id)
        return self._pages.page(
            request,
            "episode.html",
            episode=episode,
            signal=episode.explanation.signal,
            silence=self._site.silence(episode.watchlist, self._site.now()),
            reach=_reach(episode, self._site.now()),
            answers=self._site.archive.feedback(episode.id),
            done=request.query_params.get("done"),
            timeline=_timeline(episode, self._site.archive.deliveries(episode.id)),
        )


def _reach(episode: Episode, now: datetime | None) -> Literal["24h", "7d", "all"]:
    """The shortest chart that shows the episode with some of what came before it."""
    age_h = 0.0 if now is None else (now - episode.began_at).total_seconds() / 3600
    return "24h" if age_h < 18 else "7d" if age_h < 140 else "all"


def _timeline(episode: Episode, deliveries: Sequence[Delivery]) -> list[Entry]:
    told: dict[tuple[datetime, AlertEvent], list[Delivery]] = {(episode.opened_at, "opened"): []}
    if episode.resolved_at is not None:
        told[episode.resolved_at, "resolved"] = []
    for delivery in sorted(deliveries, key=lambda one: one.channel):
        told.setdefault((delivery.alert.at, delivery.alert.event), []).append(delivery)
    entries = [Entry(at=at, event=event, deliveries=tuple(group)) for (at, event), group in told.items()]
    return sorted([Entry(at=episode.began_at, event="began"), *entries], key=lambda entry: (entry.at, entry.event))
