"""The API: the page's data as JSON. Every endpoint is a line in one table, from which the OpenAPI document follows.

Queries are models and so are answers; both are bounded. Offsets of spans count Unicode code points.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from opinionwatch.pipeline.contracts import DeadLetter, Record, ScoredDocument
from opinionwatch.pipeline.contracts_trend import Delivery, Episode, Feedback, Silence, Window
from opinionwatch.pipeline.corrections import Correction
from opinionwatch.pipeline.errors import DEAD_REASONS
from opinionwatch.pipeline.registry import nearest
from opinionwatch.pipeline.web_corrections import NewCorrection, correct
from opinionwatch.pipeline.web_feedback import NewFeedback, answer
from opinionwatch.pipeline.web_forms import body
from opinionwatch.pipeline.web_health import Health, LedgerLine
from opinionwatch.pipeline.web_openapi import Operation, document
from opinionwatch.pipeline.web_query import (
    DeadLetters,
    Deliveries,
    Documents,
    Episodes,
    Nothing,
    One,
    Query,
    Series,
    Windows,
    asked,
    wrong,
)
from opinionwatch.pipeline.web_silences import NewSilence, add
from opinionwatch.pipeline.web_site import Site, State, Watched
from opinionwatch.pipeline.web_trend import DAY, Mood, Trend

Asked = TypeVar("Asked", bound=Query)
Thing = TypeVar("Thing", bound=BaseModel)
MOST_WINDOWS = 20_000
LONGEST = timedelta(days=31)


class Items(Record, Generic[Thing]):
    """A list, and whether there was more than is given."""

    items: tuple[Thing, ...]
    truncated: bool = False


class WatchlistLine(Watched):
    """A watchlist at a glance; `episode` is the id of the open episode that its state comes from."""

    state: State
    episode: str | None
    mood: Mood


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One line of the table."""

    path: str
    summary: str
    query: type[Query]
    answer: type[BaseModel]
    reply: Callable[[Site, Request], BaseModel]

    def route(self, site: Site) -> Route:
        """Where it answers."""
        return Route(self.path, lambda request: _json(self.reply(site, request)), methods=["GET"])


def endpoint(
    path: str, summary: str, query: type[Asked], answer: type[BaseModel], reply: Callable[[Site, Asked], BaseModel]
) -> Endpoint:
    """A line whose query is read and checked before `reply` sees it."""
    return Endpoint(path, summary, query, answer, lambda site, request: reply(site, asked(query, request)))


def _watchlists(site: Site, _: Nothing) -> Items[WatchlistLine]:
    return Items(
        items=tuple(
            WatchlistLine(
                id=card.watchlist.id,
                name=card.watchlist.name,
                state=card.state,
                episode=card.episode.id if card.episode else None,
                mood=card.mood,
            )
            for card in site.cards(site.now())
        )
    )


def _documents(site: Site, query: Documents) -> Items[ScoredDocument]:
    return Items(items=tuple(site.archive.documents(query.conditions())))


def _windows(site: Site, query: Windows) -> Items[Window]:
    now = site.now()
    until = query.until or now
    if until is None:
        return Items(items=())
    since = query.since or until - DAY
    if until - since > LONGEST:
        raise HTTPException(400, f"since: at most {LONGEST.days} days before until")
    windows = site.archive.windows(site.watched(query.watchlist).id, since, until)
    return Items(items=tuple(windows[:MOST_WINDOWS]), truncated=len(windows) > MOST_WINDOWS)


def _series(site: Site, query: Series) -> Trend:
    watched, now = site.watched(query.watchlist), site.now()
    if now is None:
        raise HTTPException(503, "there are no windows yet", {"retry-after": "5"})
    return site.trends.trend(watched.id, query.range, now)


def _episodes(site: Site, query: Episodes) -> Items[Episode]:
    return Items(items=tuple(site.archive.episodes(query.watchlist, query.limit)))


def _deliveries(site: Site, query: Deliveries) -> Items[Delivery]:
    return Items(items=tuple(site.archive.deliveries(query.episode, query.limit)))


def _deadletters(site: Site, query: DeadLetters) -> Items[DeadLetter]:
    if query.reason is not None and query.reason not in DEAD_REASONS:
        raise HTTPException(400, f"reason: there is no such reason; {nearest(query.reason, DEAD_REASONS)}")
    return Items(items=tuple(site.archive.deadletters(query.reason, query.limit)))


def _ledger(site: Site, _: Nothing) -> Items[LedgerLine]:
    lines = site.health.ledger()
    return Items(items=tuple(lines[-MOST_WINDOWS:]), truncated=len(lines) > MOST_WINDOWS)


def _silences(site: Site, _: Nothing) -> Items[Silence]:
    silences = site.archive.silences()
    return Items(items=tuple(silences[:1000]), truncated=len(silences) > 1000)


def _feedback(site: Site, query: Deliveries) -> Items[Feedback]:
    return Items(items=tuple(site.archive.feedback(query.episode, query.limit)))


ENDPOINTS: tuple[Endpoint, ...] = (
    endpoint("/api/watchlists", "Every watchlist at a glance", Nothing, Items[WatchlistLine], _watchlists),
    endpoint("/api/documents", "Documents, newest first", Documents, Items[ScoredDocument], _documents),
    endpoint("/api/documents/{id}", "One document", One, ScoredDocument, lambda site, one: site.document(one.id)),
    endpoint("/api/windows", "Counts by source, aspect and 5 minutes", Windows, Items[Window], _windows),
    endpoint("/api/series", "Mood and volume over time, as the chart shows them", Series, Trend, _series),
    endpoint("/api/episodes", "Episodes, newest first", Episodes, Items[Episode], _episodes),
    endpoint("/api/episodes/{id}", "One episode, explained", One, Episode, lambda site, one: site.episode(one.id)),
    endpoint("/api/deliveries", "Who was or will be told", Deliveries, Items[Delivery], _deliveries),
    endpoint("/api/deadletters", "What could not be taken", DeadLetters, Items[DeadLetter], _deadletters),
    endpoint("/api/ledger", "The audit by source and hour", Nothing, Items[LedgerLine], _ledger),
    endpoint("/api/health", "How the pipeline is doing", Nothing, Health, lambda site, _: site.health.health()),
    endpoint("/api/silences", "Silences, newest first; ended ones too", Nothing, Items[Silence], _silences),
    endpoint("/api/feedback", "What people answered, newest first", Deliveries, Items[Feedback], _feedback),
)  # fmt: skip


class Api:
    """The routes of the API."""

    def __init__(self, site: Site) -> None:
        self._site = site
        operations = [Operation("get", one.path, one.summary, one.answer, query=one.query) for one in ENDPOINTS]
        operations.append(
            Operation("post", "/api/silences", "Silence alerts from now on", Silence, body=NewSilence, status=201)
        )
        operations.append(
            Operation(
                "post", "/api/episodes/{id}/feedback", "Answer an episode", Feedback, body=NewFeedback, status=201
            )
        )
        operations.append(
            Operation(
                "post",
                "/api/documents/{id}/correction",
                "Correct the model",
                Correction,
                body=NewCorrection,
                status=201,
            )
        )
        self._document = document(operations)

    def routes(self) -> list[Route]:
        """Where they are."""
        return [
            *(one.route(self._site) for one in ENDPOINTS),
            Route("/api/silences", self.silence, methods=["POST"]),
            Route("/api/episodes/{id}/feedback", self.feedback, methods=["POST"]),
            Route("/api/documents/{id}/correction", self.correction, methods=["POST"]),
            Route("/api/openapi.json", self.openapi, methods=["GET"]),
        ]

    def openapi(self, _: Request) -> Response:
        """The OpenAPI 3.1 document."""
        return JSONResponse(self._document)

    async def silence(self, request: Request) -> Response:
        """Store a silence. JSON only: a content type that a foreign page's form cannot send."""
        try:
            wish = NewSilence.model_validate_json(await body(request, "application/json"))
        except ValidationError as error:
            raise HTTPException(400, wrong(error, NewSilence)) from error
        return _json(await run_in_threadpool(add, self._site, wish), 201)

    async def feedback(self, request: Request) -> Response:
        """Store an answer to an episode. JSON only, as above."""
        try:
            given = NewFeedback.model_validate_json(await body(request, "application/json"))
        except ValidationError as error:
            raise HTTPException(400, wrong(error, NewFeedback)) from error
        return _json(await run_in_threadpool(answer, self._site, request.path_params["id"], given, "api"), 201)

    async def correction(self, request: Request) -> Response:
        """Store what a document really says. JSON only, as above."""
        try:
            given = NewCorrection.model_validate_json(await body(request, "application/json"))
        except ValidationError as error:
            raise HTTPException(400, wrong(error, NewCorrection)) from error
        return _json(await run_in_threadpool(correct, self._site, request.path_params["id"], given, "api"), 201)


def _json(said: BaseModel, status: int = 200) -> Response:
    return Response(said.model_dump_json(), status, media_type="application/json")
