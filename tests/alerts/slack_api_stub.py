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
    uploads: list[tuple[str, bytes]] = field(default_factory=list)
    """Where bytes were posted, and what."""
    sizes: list[int] = field(default_factory=list)
    shared: list[dict[str, Any]] = field(default_factory=list)
    refuse: str = ""
    """A method that answers `missing_scope`."""
    history: bool = True
    """Whether the bot has the scope to read."""

    def post(self, given: dict[str, Any]) -> Answer:
        """A message, unless the plan says otherwise."""
        if self.plan:
            return self.plan.pop(0)
        ts = f"17000{len(self.messages):05d}.000100"
        self.messages.append({**given, "ts": ts})
        self.posted()
        if self.lost:
            self.lost -= 1
            return Answer(drop=True)
        return said({"ok": True, "ts": ts, "channel": CHANNEL})

    def filed(self, request: Request) -> Answer:
        """What uploads and the methods about files answer."""
        method = request.path.partition("?")[0].rpartition("/")[2]
        if "/upload/" in request.path:
            self.uploads.append((request.headers["content-type"], request.body))
            return Answer(200, "OK")
        given = fields(request)
        if method == self.refuse:
            return said({"ok": False, "error": "missing_scope"})
        if method == "files.getUploadURLExternal":
            self.sizes.append(int(given["length"]))
            return said({"ok": True, "upload_url": f"{self.api}upload/F1", "file_id": f"F{len(self.sizes)}"})
        self.shared.append(given)
        return said({"ok": True, "files": [{"id": "F1"}]})

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
            return api.post(given)
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

    def anything(request: Request) -> Answer:
        return api.filed(request) if "/files." in request.path or "/upload/" in request.path else usually(request)

    with slack_stub("/api/", anything) as stub:
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
