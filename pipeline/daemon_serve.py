"""`opinionwatch serve`: the scorer as a service, without a store."""

from collections.abc import Callable
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opinionwatch.pipeline import live_scorer
from opinionwatch.pipeline.daemon_life import Life
from opinionwatch.pipeline.errors import FatalError
from opinionwatch.pipeline.metrics import Metrics
from opinionwatch.pipeline.ports import Scorer
from opinionwatch.pipeline.score_queue import ScoreQueue
from opinionwatch.pipeline.scoring import TextScorer
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.settings_serve import Serve
from opinionwatch.pipeline.web_access import Access, check_exposure
from opinionwatch.pipeline.web_guard import HEADERS, Guard
from opinionwatch.pipeline.web_score import ScoreApi
from opinionwatch.pipeline.web_serve import started

LOOK_S = 0.5
"""Seconds between two looks whether it goes on."""
DRAIN_S = 20.0
"""What waits at SIGTERM has so long to be answered."""


def serve(
    settings: Settings,
    life: Life,
    ready: Callable[[str], None],
    scorer: Callable[[Settings], Scorer] = live_scorer.scorer,
) -> None:
    """Serve until told to stop; what is in hand by then is answered, what comes after is put off with 503.

    Raises SettingsError when strangers could reach it without a token, FatalError when the server ends by itself. A
    pass that takes longer than the watchdog is patient ends the process.
    """
    check_exposure(settings.serve, "serve")
    metrics = life.metrics

    def passed(texts: int, seconds: float) -> None:
        metrics.observe("opinionwatch_batch_entries", texts)
        metrics.observe("opinionwatch_batch_seconds", seconds)
        metrics.set("opinionwatch_waiting_chars", queue.waiting_chars)

    queue = ScoreQueue(TextScorer(scorer(settings)), settings.serve.waiting_chars, passed)
    try:
        app = build(queue, settings.serve, metrics, life.ready.is_set)
        with started(app, settings.serve, what="serve.port") as serving:
            life.ready.set()
            ready(serving.url)
            seen: int | None = None
            while not life.stop.wait(LOOK_S):
                if not serving.alive:
                    raise FatalError("the service has stopped by itself")
                reading = queue.reading
                if reading is None or reading != seen:
                    life.watchdog.alive(waiting=True)
                seen = reading
            life.ready.clear()
            queue.close(DRAIN_S)
    finally:
        queue.close(0)


def build(queue: ScoreQueue, settings: Serve, metrics: Metrics, is_ready: Callable[[], bool]) -> Starlette:
    """The application. Raises SettingsError when the token file is not usable."""

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        return PlainTextResponse("ready\n") if is_ready() else PlainTextResponse("not ready\n", 503)

    return Starlette(
        routes=[*ScoreApi(queue, settings, metrics).routes(), Route("/healthz", healthz), Route("/readyz", readyz)],
        middleware=[Middleware(_Counted, metrics=metrics), Middleware(Guard, access=Access(settings, "serve"))],
        exception_handlers={HTTPException: _refused, Exception: _broken},
    )


class _Counted:
    """ASGI middleware: counts answers by their status."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.count("opinionwatch_requests_total", label=str(message["status"]))
            await send(message)

        await self._app(scope, receive, counted)


async def _refused(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise TypeError from error
    words = error.detail or HTTPStatus(error.status_code).phrase
    return JSONResponse({"status": error.status_code, "error": words}, error.status_code, error.headers)


async def _broken(_: Request, __: Exception) -> Response:
    # Given outside all middleware; what broke is in the log.
    return JSONResponse({"status": 500, "error": "Internal Server Error"}, 500, HEADERS)
