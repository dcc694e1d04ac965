"""The page and its API: an application built from an archive and nothing else.

Server-rendered, without a build step and without anything from elsewhere. It reads; what people write are
silences and answers. Everything in it is strangers' text until a template has escaped it.
"""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from opinionwatch.pipeline.answers import Answers
from opinionwatch.pipeline.archive import Archive
from opinionwatch.pipeline.corrections import Corrections
from opinionwatch.pipeline.errors import OpinionwatchError, RetryableError
from opinionwatch.pipeline.settings import Web
from opinionwatch.pipeline.web_access import Access, check_exposure
from opinionwatch.pipeline.web_api import Api
from opinionwatch.pipeline.web_corrections import CorrectionViews
from opinionwatch.pipeline.web_episodes import EpisodeViews
from opinionwatch.pipeline.web_feedback import FeedbackViews
from opinionwatch.pipeline.web_guard import HEADERS, Guard
from opinionwatch.pipeline.web_health import Status
from opinionwatch.pipeline.web_live import Live
from opinionwatch.pipeline.web_login import Login
from opinionwatch.pipeline.web_page import STATIC, Pages
from opinionwatch.pipeline.web_serve import Serving, serve
from opinionwatch.pipeline.web_silences import SilenceViews
from opinionwatch.pipeline.web_site import Site
from opinionwatch.pipeline.web_slack import SlackButtons, read_secret
from opinionwatch.pipeline.web_tongue import Lang
from opinionwatch.pipeline.web_views import Views
from opinionwatch.pipeline.web_why import Explain, WhyViews

log = logging.getLogger(__name__)


def build(
    archive: Archive,
    *,
    watchlists: Sequence[tuple[str, str]],
    settings: Web,
    lang: Lang,
    extra_routes: Sequence[BaseRoute] = (),
    status: Status | None = None,
    budget: float | None = None,
    answers: Answers | None = None,
    explain: Explain | None = None,
    corrections: Corrections | None = None,
) -> Starlette:
    """The application. `watchlists` are (id, display name), in the order of the overview.

    `extra_routes` are push sources and the like; those under `/hooks/` authenticate themselves, all others are behind
    the token, too. `status` says what a runtime knows about its sources, `budget` how many false alarms per
    watchlist-week were asked for; `answers` reads signed addresses, `explain` says which words decided, `corrections`
    keeps what people say of documents. Raises SettingsError when the token file is not usable.
    """
    access = Access(settings)
    site = Site(archive, watchlists, settings, lang, status, budget, corrections)
    pages = Pages(site)
    live = Live(site)
    slack = read_secret(settings.slack_signing_secret_file) if settings.slack_signing_secret_file else None

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        live.start()
        try:
            yield
        finally:
            await live.join()

    app = Starlette(
        routes=[
            *(WhyViews(pages, explain).routes() if explain else ()),
            *Views(pages, explains=explain is not None).routes(),
            *EpisodeViews(pages).routes(),
            *SilenceViews(pages).routes(),
            *FeedbackViews(pages, answers).routes(),
            *CorrectionViews(pages).routes(),
            *(SlackButtons(site, slack).routes() if slack else ()),
            *Login(pages, access).routes(),
            *Api(site).routes(),
            Route("/live", live.stream, methods=["GET"], name="live"),
            Route("/healthz", _alive),
            Route("/readyz", partial(_ready, archive)),
            Mount("/static", StaticFiles(directory=STATIC), name="static"),
            *extra_routes,
        ],
        middleware=[Middleware(Guard, access=access)],
        exception_handlers={
            HTTPException: partial(_refused, pages),
            OpinionwatchError: partial(_failed, pages),
            Exception: partial(_broken, pages),
        },
        lifespan=lifespan,
    )
    app.state.live = live
    return app


def _alive(_: Request) -> Response:
    return PlainTextResponse("ok\n")


async def _ready(archive: Archive, _: Request) -> Response:
    try:
        await run_in_threadpool(archive.revision)
    except OpinionwatchError:
        return PlainTextResponse("not ready\n", 503, {"retry-after": "5"})
    return PlainTextResponse("ready\n")


async def _refused(pages: Pages, request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise TypeError from error
    headers = dict(error.headers or {})
    detail = error.detail if error.detail != HTTPStatus(error.status_code).phrase else ""
    return _answer(pages, request, error.status_code, detail, headers)


async def _failed(pages: Pages, request: Request, error: Exception) -> Response:
    if isinstance(error, RetryableError):
        return _answer(pages, request, 503, "", {"retry-after": str(max(1, round(error.after_s or 5)))})
    log.error("the page cannot answer: %s", error)
    return _answer(pages, request, 500, "", {})


async def _broken(pages: Pages, request: Request, _: Exception) -> Response:
    # This answer is given outside all middleware.
    return _answer(pages, request, 500, "", HEADERS)


def _answer(pages: Pages, request: Request, status: int, detail: str, headers: Mapping[str, str]) -> Response:
    """An error in the form that was asked for. Starlette logs what broke; the reader gets a sentence."""
    tongue = pages.tongue(request)
    path = request.url.path
    if path.startswith(("/api/", "/live", "/hooks/")):
        words = detail or HTTPStatus(status).phrase
        return JSONResponse({"status": status, "error": words}, status, headers)
    response = pages.bare(request, "error.html", status, status=status, detail=tongue.known(detail))
    response.headers.update(headers)
    return response


__all__ = ["Serving", "build", "check_exposure", "serve"]
