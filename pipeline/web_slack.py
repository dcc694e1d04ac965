"""Buttons in Slack: `POST /hooks/slack`, signed by Slack.

Protocol: docs.slack.dev/authentication/verifying-requests-from-slack and /interactivity (read 2026-11): `v0=` and hex
of HMAC-SHA256 over `v0:timestamp:body` in X-Slack-Signature, at most five minutes old; the field `payload` is JSON.
"""

import hmac
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs

from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.web_feedback import NewFeedback, answer
from opinionwatch.pipeline.web_forms import body
from opinionwatch.pipeline.web_silences import NewSilence
from opinionwatch.pipeline.web_silences import add as add_silence
from opinionwatch.pipeline.web_site import Site

PATH = "/hooks/slack"
TOLERANCE_S = 300
SILENCE = timedelta(hours=4)
SHORTEST = 16


class _User(BaseModel):
    id: str = ""
    username: str = ""
    name: str = ""


class _Pressed(BaseModel):
    action_id: str
    value: str = ""


class _Interaction(BaseModel):
    type: str
    user: _User
    actions: list[_Pressed] = []


def read_secret(path: Path) -> bytes:
    """The app's signing secret. Raises SettingsError."""
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"web.slack_signing_secret_file: cannot read {path}") from error
    if len(secret) < SHORTEST or not secret.isascii():
        raise SettingsError(f"web.slack_signing_secret_file: {path} must hold the signing secret of your Slack app")
    return secret.encode()


class SlackButtons:
    """Takes what people press in Slack."""

    def __init__(self, site: Site, secret: bytes, clock: Callable[[], float] = time.time) -> None:
        self._site, self._secret, self._clock = site, secret, clock

    def routes(self) -> list[Route]:
        """Where Slack's "Request URL" leads."""
        return [Route(PATH, self.pressed, methods=["POST"])]

    async def pressed(self, request: Request) -> Response:
        """Believe, and store. 401 for what Slack has not signed just now, 400 for what is no button of ours."""
        raw = await body(request, "application/x-www-form-urlencoded")
        stamp = request.headers.get("x-slack-request-timestamp", "")
        if not stamp.isascii() or not stamp.isdecimal() or abs(int(stamp[:12]) - self._clock()) > TOLERANCE_S:
            raise HTTPException(401, "x-slack-request-timestamp: not of now")
        expected = "v0=" + hmac.new(self._secret, f"v0:{stamp}:".encode() + raw, "sha256").hexdigest()
        given = request.headers.get("x-slack-signature", "")
        if not hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace")):
            raise HTTPException(401, "x-slack-signature: does not fit")
        try:
            [text] = parse_qs(raw.decode(), max_num_fields=5)["payload"]
            said = _Interaction.model_validate_json(text)
        except (UnicodeDecodeError, ValueError, KeyError, ValidationError) as error:
            raise HTTPException(400, "no interaction") from error
        for pressed in said.actions[:1]:
            await run_in_threadpool(self._take, said.user, pressed)
        return PlainTextResponse("")

    def _take(self, user: _User, pressed: _Pressed) -> None:
        who = (user.username or user.name or user.id or "Slack")[:100]
        if pressed.action_id == "silence":
            watchlist = self._site.episode(pressed.value).watchlist
            hours = SILENCE.total_seconds() / 3600
            add_silence(self._site, NewSilence(watchlist=watchlist, hours=hours, comment="Slack", created_by=who))
            return
        try:
            given = NewFeedback.model_validate({"verb": pressed.action_id, "by": who})
        except ValidationError as error:
            raise HTTPException(400, "no button of ours") from error
        answer(self._site, pressed.value, given, "slack")
