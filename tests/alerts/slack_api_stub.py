"""The part of Slack's Web API that the bot uses, on this machine: messages, threads, metadata, updates."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from tests.alerts.slack_stub import Answer, Request, SlackStub, slack_stub

TOKEN = "xoxb-s3cr3t-bot"
CHANNEL = "C0WATCH"


@dataclass
class SlackApi:
    """What the channel holds; `plan` is what the next posts answer, `lost` posts without answering."""

    stub: SlackStub
    messages: list[dict[str, Any]] = field(default_factory=list)
    updates: list[dict[str, Any]] = field(default_factory=list)
    plan: list[Answer] = field(default_factory=list)
    lost: int = 0
    posted: Callable[[], None] = lambda: None
    """Called when a message is in the channel, before the answer."""
    history: bool = True
    """Whether the bot has the scope to read."""

    @property
    def api(self) -> str:
        return self.stub.url


@contextmanager
def slack_api() -> Iterator[SlackApi]:
    """A workspace with one channel."""

    def usually(request: Request) -> Answer:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return said({"ok": False, "error": "invalid_auth"})
        method, given = request.path.partition("?")[0].rpartition("/")[2], fields(request)
        if given.get("channel") != CHANNEL:
            return said({"ok": False, "error": "channel_not_found"})
        if method == "chat.postMessage":
            return post(given)
        if method == "chat.update":
            api.updates.append(given)
            next(one for one in api.messages if one["ts"] == given["ts"]).update(blocks=given["blocks"])
            return said({"ok": True, "ts": given["ts"]})
        if not api.history:
            return said({"ok": False, "error": "missing_scope"})
        thread = given.get("ts") if method == "conversations.replies" else None
        shown = [
            one for one in reversed(api.messages) if (one.get("thread_ts") if thread else None) == thread
            or (thread is None and one.get("thread_ts") is None)
        ]  # fmt: skip
        return said({"ok": True, "messages": shown, "response_metadata": {"next_cursor": ""}})

    def post(given: dict[str, Any]) -> Answer:
        if api.plan:
            return api.plan.pop(0)
        ts = f"17000{len(api.messages):05d}.000100"
        api.messages.append({**given, "ts": ts})
        api.posted()
        if api.lost:
            api.lost -= 1
            return Answer(drop=True)
        return said({"ok": True, "ts": ts, "channel": CHANNEL})

    with slack_stub("/api/", usually) as stub:
        api = SlackApi(stub)
        yield api


def said(data: dict[str, Any], status: int = 200) -> Answer:
    return Answer(status, json.dumps(data), {"Content-Type": "application/json"})


def fields(request: Request) -> dict[str, Any]:
    """The arguments, sent as JSON or as a form."""
    if "json" in request.headers.get("content-type", ""):
        found: dict[str, Any] = json.loads(request.body)
        return found
    return {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
