"""`POST /api/score`: texts in, what they say out. Bounded in every direction, and honest about being busy.

The whole body is read before anything else is spent on it, and refused as soon as it is too large or too slow. What
the service cannot take now is put off with `Retry-After`: 429 to an address that asks for more than its share, 503
to everybody when too much waits. Logs hold no text but what the scorer refused, with personal data masked.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Sequence
from time import monotonic
from typing import Annotated

import orjson
import structlog
from pydantic import ConfigDict, Field, StringConstraints, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from opinionwatch.pipeline.contracts import Record
from opinionwatch.pipeline.errors import OpinionwatchError, RejectedError, RetryableError
from opinionwatch.pipeline.metrics import Metrics
from opinionwatch.pipeline.pii import mask
from opinionwatch.pipeline.redact import redact
from opinionwatch.pipeline.score_queue import ScoreQueue
from opinionwatch.pipeline.scoring import Answer, RefusedText
from opinionwatch.pipeline.settings_serve import Serve
from opinionwatch.pipeline.submission import load
from opinionwatch.pipeline.watchlists import TermText
from opinionwatch.pipeline.web_openapi import Operation, document
from opinionwatch.pipeline.web_query import wrong

JSON = "application/json"
EXCERPT = 80
log = structlog.get_logger(__name__)


class Texts(Record):
    """What is to be read."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    texts: Annotated[
        list[Annotated[str, StringConstraints(max_length=1_000_000)]],
        Field(description="Each is read up to `limits.text_chars`; equal ones are read once."),
    ]
    target: Annotated[
        TermText | None,
        Field(description="A name: what does each text say of it, where it stands there? Found as a watchlist's are."),
    ] = None


class Scores(Record):
    """One answer a text, in order."""

    items: tuple[Answer, ...]


class ScoreApi:
    """The route, and the OpenAPI document that describes it."""

    def __init__(self, queue: ScoreQueue, settings: Serve, metrics: Metrics) -> None:
        self._queue, self._settings, self._metrics = queue, settings, metrics
        self._busy: Counter[str] = Counter()
        operation = Operation("post", "/api/score", "What texts say", Scores, body=Texts)
        self._document = document([operation])

    def routes(self) -> list[Route]:
        """Where they are."""
        return [
            Route("/api/score", self.score, methods=["POST"]),
            Route("/api/openapi.json", self.openapi, methods=["GET"]),
        ]

    def openapi(self, _: Request) -> Response:
        """The OpenAPI 3.1 document."""
        return Response(orjson.dumps(self._document), media_type=JSON)

    async def score(self, request: Request) -> Response:
        """Read texts."""
        begun = monotonic()
        client = request.client.host if request.client else ""
        self._admit(client)
        self._busy[client] += 1
        try:
            answers = await self._answers(await self._given(request), request)
        finally:
            self._busy[client] -= 1
            if not self._busy[client]:
                del self._busy[client]
            self._metrics.observe("opinionwatch_request_seconds", monotonic() - begun)
        return Response(Scores(items=tuple(answers)).model_dump_json(), media_type=JSON)

    def _admit(self, client: str) -> None:
        """Raises HTTPException 429 or 503 when there are too many requests in hand."""
        if self._busy[client] >= self._settings.of_one:
            raise _later(429, f"at most {self._settings.of_one} requests at once from one address")
        if self._busy.total() >= self._settings.at_once:
            raise _later(503, "busy")

    async def _given(self, request: Request) -> Texts:
        data = await self._body(request)
        try:
            given = Texts.model_validate(load(data, self._settings.body_bytes))
        except RejectedError as error:
            raise HTTPException(400, error.reason) from error
        except ValidationError as error:
            raise HTTPException(400, wrong(error, Texts)) from error
        if len(given.texts) > self._settings.texts:
            raise HTTPException(413, f"at most {self._settings.texts} texts")
        return given

    async def _body(self, request: Request) -> bytes:
        limit = self._settings.body_bytes
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
            raise HTTPException(415, f"send it as {JSON}")
        if request.headers.get("content-encoding", "identity") != "identity":
            raise HTTPException(415, "send the body unpacked")
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length[:12]) > limit:
            raise _too_large(limit)
        data = bytearray()
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                async for piece in request.stream():
                    data += piece
                    if len(data) > limit:
                        raise _too_large(limit)
        except TimeoutError as error:
            raise HTTPException(408, "the body came too slowly", {"connection": "close"}) from error
        except ClientDisconnect as error:
            raise HTTPException(400, "the body is cut off") from error
        return bytes(data)

    async def _answers(self, given: Texts, request: Request) -> list[Answer]:
        texts = given.texts
        try:
            wanted = self._queue.submit(texts, given.target)
        except RetryableError as error:
            raise _later(503, str(error), error.after_s) from error
        self._metrics.set("opinionwatch_waiting_chars", self._queue.waiting_chars)
        waiting = asyncio.wrap_future(wanted)
        gone = asyncio.ensure_future(_gone(request))
        either: set[asyncio.Future[list[Answer]] | asyncio.Future[None]] = {waiting, gone}
        try:
            done, _ = await asyncio.wait(either, timeout=self._settings.timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
        if waiting not in done:
            wanted.cancel()
            raise _later(503, "not read in time")
        failure = waiting.exception()
        if isinstance(failure, RetryableError):
            raise _later(503, "the scorer is not ready", failure.after_s) from failure
        if failure is not None:
            words = str(failure) if isinstance(failure, OpinionwatchError) else type(failure).__name__
            log.error("serve.failed", reason=mask(redact(words)), texts=len(texts))
            raise HTTPException(500, "the scorer failed")
        answers = waiting.result()
        self._tell(texts, answers)
        return answers

    def _tell(self, texts: Sequence[str], answers: Sequence[Answer]) -> None:
        for text, answer in zip(texts, answers, strict=True):
            refused = isinstance(answer, RefusedText)
            self._metrics.count("opinionwatch_scored_texts_total", label="refused" if refused else "read")
            if isinstance(answer, RefusedText):
                # Masked before it is cut: half a number would pass for none.
                excerpt = mask(text[: 20 * EXCERPT])[:EXCERPT]
                log.warning("serve.refused", reason=answer.error, detail=mask(redact(answer.detail)), text=excerpt)


async def _gone(request: Request) -> None:
    """Ends when the caller has hung up."""
    while (await request.receive())["type"] != "http.disconnect":
        continue


def _later(status: int, why: str, after_s: float | None = None) -> HTTPException:
    return HTTPException(status, why, {"retry-after": str(math.ceil(after_s or 1))})


def _too_large(limit: int) -> HTTPException:
    return HTTPException(413, f"at most {limit} bytes", {"connection": "close"})
