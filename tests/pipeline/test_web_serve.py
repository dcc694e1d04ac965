"""The page on its thread: whether it still answers."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from opinionwatch.pipeline.settings import Web
from opinionwatch.pipeline.web_serve import started


def test_a_page_whose_event_loop_hangs_does_not_answer_and_one_that_goes_on_does() -> None:
    hung, go_on = Event(), Event()

    async def healthz(_: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")

    async def hang(_: Request) -> PlainTextResponse:
        hung.set()
        go_on.wait(30)
        return PlainTextResponse("late")

    app = Starlette(routes=[Route("/healthz", healthz), Route("/hang", hang)])
    with started(app, Web(port=0)) as serving:
        assert serving.answers()
        url = serving.url + "/hang"
        with ThreadPoolExecutor(1) as pool:
            late = pool.submit(httpx2.get, url, timeout=30)
            assert hung.wait(10)
            assert serving.alive
            assert not serving.answers(within_s=0.5)
            go_on.set()
            assert late.result().text == "late"
        assert serving.answers()


def test_a_page_that_has_stopped_does_not_answer() -> None:
    with started(Starlette(), Web(port=0)) as serving:
        assert serving.answers(), "a refusal is an answer"
    assert not serving.answers(within_s=0.5)
