"""Push: others send their texts here, and are told that they are taken when they are."""

import asyncio
import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Self

import structlog
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from opinionwatch.connectors.pushed import split
from opinionwatch.connectors.renames import Renames
from opinionwatch.pipeline.errors import OpinionwatchError, RetryableError, SettingsError
from opinionwatch.pipeline.ports import Intake, Item, Page
from opinionwatch.pipeline.signature import Seen, Verifier, secret_bytes

_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
_KEPT = ("content-type", "user-agent", "webhook-id", "webhook-timestamp", "traceparent")
_LINES = ("application/x-ndjson", "application/jsonl", "application/x-jsonlines")
_BUSY_S = 5
log = structlog.get_logger(__name__)


class Webhook:
    """Take documents that others POST to `/hooks/NAME`.

    The body is one `Submission`, a JSON array of them, or JSON lines; foreign JSON with `fields`. Each request is
    signed (Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature`); two secrets may be active.
    Answers: 200 taken, also when it was taken before · 400 not JSON · 401 signature or time · 408 too slow · 409 the id
    was used for another body · 413 too long · 415 packed · 503 with Retry-After, busy. Single records that are broken
    are taken and become dead letters.

    History: none to bring. It is told and asks nobody: let the sender send it again, ids tell what is known.

    Delivery: at least once, if the sender repeats what was not answered 200. 200 is sent only after the records are
    durable; a repetition is recognised by its webhook-id for ten minutes, and by the documents' ids for ever.
    """

    kind = "webhook"

    class Settings(BaseModel):
        """Settings of a `webhook` source."""

        model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

        secrets: tuple[SecretStr, ...] = Field(
            default=(), max_length=2, description="The one or two secrets that senders sign with."
        )
        secret_files: tuple[Path, ...] = Field(
            default=(), max_length=2, description="Files that hold the secrets instead, one each."
        )
        instance: str | None = Field(default=None, description="Identity in document ids; the name if not given.")
        fields: Renames = {}
        body_bytes: int = Field(default=5_000_000, gt=0, le=100_000_000, description="A longer body is answered 413.")
        at_once: int = Field(default=8, gt=0, le=256, description="Requests worked on at once; more are answered 503.")
        timeout_s: float = Field(default=30.0, gt=0, le=300, description="Seconds to send a body, and to store it.")

        @model_validator(mode="after")
        def _has_a_secret(self) -> Self:
            if not 1 <= len(self.secrets) + len(self.secret_files) <= 2:
                raise ValueError("one or two secrets are needed, in `secrets` or `secret_files`")
            return self

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self.instance = settings.instance or name
        self.interval_s: float | None = None
        self.replays = False
        self._settings = settings
        self._verifier = Verifier(_keys(name, settings), time.time)
        self._seen = Seen(time.time)
        self._renames = tuple(settings.fields.items())
        self._busy = 0
        self._threads = ThreadPoolExecutor(settings.at_once, thread_name_prefix=f"source-{name}")
        self._closing = Event()

    def fetch(self, cursor: str | None) -> Iterator[Page]:
        """Nothing: pages come through the routes. Ends when closed."""
        del cursor
        self._closing.wait()
        return iter(())

    def close(self) -> None:
        """Take no more; requests are answered 503."""
        self._closing.set()

    def routes(self, intake: Intake) -> Sequence[Route]:
        """What the page mounts."""

        async def receive(request: Request) -> Response:
            if self._closing.is_set() or self._busy >= self._settings.at_once:
                return _answer(503, "busy", _BUSY_S)
            self._busy += 1
            try:
                return await self._receive(request, intake)
            finally:
                self._busy -= 1

        return [Route(f"/hooks/{self.name}", receive, methods=["POST"])]

    async def _receive(self, request: Request, intake: Intake) -> Response:
        given = [request.headers.getlist(name) for name in _HEADERS]
        if any(len(values) != 1 for values in given):
            return _answer(401, f"each of {', '.join(_HEADERS)} is needed once")
        message_id, timestamp, signatures = (values[0] for values in given)
        try:
            self._verifier.check_time(message_id, timestamp)
            body = await self._body(request)
            if isinstance(body, Response):
                return body
            self._verifier.check(message_id, timestamp, signatures, body)
        except PermissionError as error:
            return _answer(401, str(error))
        try:
            if self._seen.taken(message_id, body):
                return JSONResponse({"accepted": 0, "duplicate": True})
        except ValueError as error:
            return _answer(409, str(error))
        try:
            lines = request.headers.get("content-type", "").partition(";")[0].strip().lower() in _LINES
            records = await asyncio.get_running_loop().run_in_executor(self._threads, split, body, lines)
        except ValueError as error:
            return _answer(400, str(error))
        refusal = await self._store(records, _told(request), intake)
        if refusal is None:
            self._seen.take(message_id, body)
        return refusal or JSONResponse({"accepted": len(records)})

    async def _body(self, request: Request) -> bytes | Response:
        limit = self._settings.body_bytes
        if request.headers.get("content-encoding", "identity") != "identity":
            return _answer(415, "send the body unpacked")
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length[:12]) > limit:
            return _answer(413, f"at most {limit} bytes")
        body = bytearray()
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                async for piece in request.stream():
                    body += piece
                    if len(body) > limit:
                        return _answer(413, f"at most {limit} bytes")
        except TimeoutError:
            return _answer(408, "the body came too slowly")
        except ClientDisconnect:
            return _answer(400, "the body is cut off")
        return bytes(body)

    async def _store(
        self, records: list[bytes], headers: tuple[tuple[str, bytes], ...], intake: Intake
    ) -> Response | None:
        """None once the records are durable, else the answer."""
        page = Page([Item(record, fields=self._renames, headers=headers) for record in records], "")
        loop = asyncio.get_running_loop()
        try:
            durable: Future[None] = await loop.run_in_executor(self._threads, intake.submit, self, page)
        except OpinionwatchError as error:
            return _answer(503, "busy", getattr(error, "after_s", None))
        stored = asyncio.wrap_future(durable)
        # Not wait_for: it would cancel a future that the runtime is going to set.
        done, _ = await asyncio.wait({stored}, timeout=self._settings.timeout_s)
        if not done:
            stored.add_done_callback(lambda late: late.cancelled() or late.exception())
            return _answer(503, "not stored in time", _BUSY_S)
        failure = stored.exception()
        if failure is None:
            return None
        if not isinstance(failure, RetryableError):
            log.error("webhook.failed", source=self.name, reason=str(failure))
        return _answer(503, "not stored", getattr(failure, "after_s", None))


def _told(request: Request) -> tuple[tuple[str, bytes], ...]:
    """What is worth knowing of a request when a record of it is broken: no signature, and no address of a person."""
    return tuple((name, request.headers[name].encode()) for name in _KEPT if name in request.headers)


def _answer(status: int, reason: str, after_s: float | None = None) -> Response:
    headers = {"Retry-After": str(math.ceil(after_s or _BUSY_S))} if status == 503 else {}
    if status == 413:
        headers["Connection"] = "close"
    return JSONResponse({"error": reason}, status, headers)


def _keys(name: str, settings: Webhook.Settings) -> list[bytes]:
    keys = [secret_bytes(secret.get_secret_value(), f"sources.{name}.secrets") for secret in settings.secrets]
    for path in settings.secret_files:
        try:
            keys.append(secret_bytes(path.read_text("utf-8"), f"sources.{name}.secret_files: {path}"))
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"sources.{name}.secret_files: cannot read {path}") from error
    return keys
