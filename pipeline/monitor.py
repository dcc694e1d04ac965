"""`/healthz`, `/readyz` and `/metrics` of a daemon, on this machine only unless the settings say otherwise."""

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from opinionwatch.pipeline.metrics import Metrics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def monitor(metrics: Metrics, alive: Callable[[], bool], ready: Callable[[], bool]) -> Starlette:
    """The application. `alive`: not wedged, so a restart would not help; `ready`: does its work now."""

    def answer(good: bool, word: str) -> Response:
        return PlainTextResponse(f"{word}\n" if good else f"not {word}\n", 200 if good else 503)

    async def healthz(_: Request) -> Response:
        return answer(alive(), "alive")

    async def readyz(_: Request) -> Response:
        return answer(alive() and ready(), "ready")

    return Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz), numbers(metrics.text)])


def numbers(text: Callable[[], bytes]) -> Route:
    """`/metrics`: what `text` gives, on a thread of its own."""

    def answer(_: Request) -> Response:
        return Response(text(), media_type=CONTENT_TYPE)

    return Route("/metrics", answer)
