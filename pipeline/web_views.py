"""The views of what is being said: overview, live feed, one watchlist, one document, health."""

from typing import get_args

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from opinionwatch.pipeline.contracts import Label
from opinionwatch.pipeline.contracts_digest import NOTE, Told
from opinionwatch.pipeline.errors import DEAD_REASONS
from opinionwatch.pipeline.web_page import Pages
from opinionwatch.pipeline.web_query import Documents, Series, asked
from opinionwatch.pipeline.web_trend import Split, Trend

LATEST = 8
FEED = 60
EPISODES = 20
LEDGER_HOURS = 24
LABELS: tuple[Label, ...] = get_args(Label)


class Views:
    """Pages about a site, rendered on the server. Endpoints are plain functions: Starlette runs them in threads."""

    def __init__(self, pages: Pages, *, explains: bool = False) -> None:
        """`explains` says whether there is a page of why a document is read as it is."""
        self._pages = pages
        self._explains = explains
        self._site = pages.site

    def routes(self) -> list[Route]:
        """Where they are."""
        return [
            Route("/", self.overview, name="overview"),
            Route("/feed", self.feed, name="feed"),
            Route("/watchlists/{watchlist}", self.watchlist, name="watchlist"),
            Route("/documents/{id}", self.document, name="document"),
            Route("/health", self.health, name="health"),
        ]

    def overview(self, request: Request) -> Response:
        """Every watchlist at a glance."""
        site, now = self._site, self._site.now()
        ended = [one for one in site.archive.episodes(limit=EPISODES) if one.resolved_at and one.severity != "info"]
        return self._pages.page(
            request,
            "overview.html",
            cards=site.cards(now),
            ended=ended[0] if ended else None,
            latest=site.archive.documents(Documents(limit=LATEST).conditions()),
            health=site.health.health(),
        )

    def feed(self, request: Request) -> Response:
        """New documents with what was found in them, and a filter."""
        site = self._site
        query = asked(Documents, request, beside=("lang", "limit"))
        if query.watchlist is not None:
            site.watched(query.watchlist)
        return self._pages.page(
            request,
            "feed.html",
            query=query,
            documents=site.archive.documents(query.model_copy(update={"limit": FEED}).conditions()),
            sources=[line.source for line in site.health.health().sources if line.accepted],
            watchlists=site.watchlists,
            labels=LABELS,
        )

    def watchlist(self, request: Request) -> Response:
        """One watchlist: mood, trend, what it is about and where, its episodes, its latest posts."""
        site, now = self._site, self._site.now()
        query = asked(Series, request, beside=("lang",))
        watched = site.watched(query.watchlist)
        trend: Trend | None = None if now is None else site.trends.trend(watched.id, query.range, now)
        return self._pages.page(
            request,
            "watchlist.html",
            watched=watched,
            card=site.card(watched, now),
            trend=trend,
            range=query.range,
            split=Split(aspects={}, sources={}) if now is None else site.trends.split(watched.id, now),
            episodes=site.archive.episodes(watched.id, limit=EPISODES),
            latest=site.archive.documents(Documents(watchlist=watched.id, limit=LATEST).conditions()),
        )

    def document(self, request: Request) -> Response:
        """One document with everything that was found in it, and how people corrected that."""
        site, scored = self._site, self._site.document(request.path_params["id"])
        watched = {each.id for each in site.watchlists}
        return self._pages.page(
            request,
            "document.html",
            scored=scored,
            explains=self._explains,
            corrects=site.corrections is not None,
            corrected={} if site.corrections is None else site.corrections.of(scored),
            mentioned=[match.watchlist for match in scored.matches if match.watchlist in watched],
            done=request.query_params.get("done"),
        )

    def health(self, request: Request) -> Response:
        """Sources, audit, dead letters, drops."""
        site = self._site
        ledger = site.health.ledger()
        hours = sorted({line.hour for line in ledger if line.hour is not None})[-LEDGER_HOURS:]
        return self._pages.page(
            request,
            "health.html",
            health=site.health.health(),
            recent=[line for line in reversed(ledger) if line.hour in hours],
            letters=site.archive.deadletters(limit=20),
            reasons=DEAD_REASONS,
            digests={name: Told.model_validate_json(kept) for name, kept in site.archive.notes(NOTE).items()},
        )
