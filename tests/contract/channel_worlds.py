"""A small real world for every channel of the registry. A new channel brings one; the contract suite runs in it."""

import base64
import hmac
import io
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, redirect_stderr
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from opinionwatch.pipeline.signature import Verifier, secret_bytes
from tests.alerts.slack_api_stub import CHANNEL, TOKEN, slack_api
from tests.alerts.slack_stub import PATH, Answer, Request, slack_stub
from tests.alerts.smtp_stub import CERTIFICATE, PASSWORD, USER, smtp_stub

SECRET = "SEC-s3cr3t-of-the-robot-0123456789"
ROUTING_KEY = "s3cr3tkey0123456789abcdef0123456"


@dataclass
class World:
    """What a channel talks to, and how to break it for its next message."""

    settings: Mapping[str, object]
    received: Callable[[], list[str]]
    """What readers have, as text, one entry a message."""
    passing: Mapping[str, Callable[[], None]]
    """Faults that pass: the channel raises RetryableError."""
    final: Mapping[str, Callable[[], None]] = field(default_factory=dict)
    """Refusals for good: the channel raises RejectedError."""
    secrets: tuple[str, ...] = ()
    requests: Callable[[], list[Request]] = list
    """What a web hook received, as it came."""
    reconciles: bool = False
    """Whether the channel can look whether an earlier attempt got through."""


@contextmanager
def terminal() -> Iterator[World]:
    """Standard error, captured."""

    class Screen(io.StringIO):
        broken = False

        def write(self, text: str) -> int:
            if self.broken:
                self.broken = False
                raise BrokenPipeError(32, "Broken pipe")
            shown.append(" ".join(text.replace("│", " ").split()))
            return len(text)

    shown: list[str] = []
    screen = Screen()
    with redirect_stderr(screen):
        yield World(
            settings={"width": 200},
            received=lambda: shown,
            passing={"nobody reads": lambda: setattr(screen, "broken", True)},
        )


@contextmanager
def slack() -> Iterator[World]:
    """A web hook on this machine."""

    with slack_stub() as stub:
        yield World(
            settings={"url": stub.url, "allow_loopback": True, "timeout_s": 5},
            received=lambda: [_strings(json.loads(body)["blocks"]) for body in stub.received],
            passing={
                "too many": lambda: stub.plan.append(Answer(429, "rate_limited", {"Retry-After": "1"})),
                "broken": lambda: stub.plan.append(Answer(500)),
                "hung up": lambda: stub.plan.append(Answer(drop=True)),
            },
            final={
                "revoked": lambda: stub.plan.append(Answer(404, "no_service")),
                "not understood": lambda: stub.plan.append(Answer(400, "invalid_payload")),
            },
            secrets=(PATH.rpartition("/")[2],),
        )


@contextmanager
def email() -> Iterator[World]:
    """A mail server on this machine, with STARTTLS and a log-in."""
    with smtp_stub(starttls=True, auth=True) as stub:
        yield World(
            settings={
                "host": "127.0.0.1",
                "port": stub.port,
                "ca_file": str(CERTIFICATE),
                "username": USER,
                "password": PASSWORD,
                "sender": "alerts@watch.example",
                "recipients": ["mei@desk.example"],
            },
            received=lambda: [" ".join(part.get_content() for part in mail.iter_parts()) for mail in stub.mails],
            passing={
                "greylisted": lambda: stub.data.append("451 later"),
                "hung up": lambda: stub.data.append("drop"),
                "recipient busy": lambda: stub.rcpt.update({"mei@desk.example": ["450 busy"]}),
            },
            final={
                "refused": lambda: stub.data.append("554 no"),
                "no such user": lambda: stub.rcpt.update({"mei@desk.example": ["550 who"]}),
            },
            secrets=(PASSWORD,),
        )


def _strings(value: object) -> str:
    """All text in a JSON value."""
    if isinstance(value, dict):
        return " ".join(_strings(inner) for inner in value.values())
    return " ".join(_strings(inner) for inner in value) if isinstance(value, list) else str(value)


@contextmanager
def slack_bot() -> Iterator[World]:
    """A workspace with one channel."""
    with slack_api() as api:
        yield World(
            settings={
                "token": TOKEN, "channel": CHANNEL, "api": api.api, "allow_loopback": True, "timeout_s": 5,
                "buttons": True,
            },
            received=lambda: [_strings(one["blocks"]) for one in api.messages],
            passing={
                "too many": lambda: api.plan.append(
                    Answer(429, '{"ok": false, "error": "ratelimited"}', {"Retry-After": "3"})
                ),
                "broken": lambda: api.plan.append(Answer(503)),
                "an inner error": lambda: api.plan.append(Answer(200, '{"ok": false, "error": "internal_error"}')),
                "hung up": lambda: api.plan.append(Answer(drop=True)),
            },
            final={
                "revoked": lambda: api.plan.append(Answer(200, '{"ok": false, "error": "token_revoked"}')),
                "archived": lambda: api.plan.append(Answer(200, '{"ok": false, "error": "is_archived"}')),
            },
            secrets=(TOKEN,),
            requests=lambda: [one for one in api.stub.requests if one.path.endswith("chat.postMessage")],
            reconciles=True,
        )  # fmt: skip


@contextmanager
def _hook(
    usually: Callable[[Request], Answer],
    *,
    refused: Answer,
    received: Callable[[Request], str] = lambda request: _strings(json.loads(request.body)),
    busy: Answer | None = None,
    query: str = "",
    secrets: tuple[str, ...] = (),
    **settings: object,
) -> Iterator[World]:
    """A web hook that answers as `usually` says; `busy` is its own word for a rate limit."""
    passing = {
        "too many": Answer(429, "slow down", {"Retry-After": "2"}),
        "broken": Answer(502),
        "hung up": Answer(drop=True),
        **({"busy": busy} if busy else {}),
    }
    final = {
        "refused": refused,
        "gone": Answer(410, "gone"),
        "moved": Answer(302, "", {"Location": "https://elsewhere.example/"}),
    }
    with slack_stub(PATH + query, usually) as stub:

        def strike(answer: Answer) -> Callable[[], None]:
            return lambda: stub.plan.append(answer)

        yield World(
            settings={"url": stub.url, "allow_private": True, "timeout_s": 5, **settings},
            received=lambda: [received(request) for request in stub.requests],
            passing={name: strike(answer) for name, answer in passing.items()},
            final={name: strike(answer) for name, answer in final.items()},
            secrets=(PATH.rpartition("/")[2], *secrets),
            requests=lambda: stub.requests,
        )


def webhook() -> AbstractContextManager[World]:
    """A receiver that believes only what is signed."""
    verifier = Verifier([secret_bytes(SECRET, "test")], time.time)

    def usually(request: Request) -> Answer:
        message_id, stamp, signatures = (
            request.headers[f"webhook-{name}"] for name in ("id", "timestamp", "signature")
        )
        try:
            verifier.check(message_id, stamp, signatures, request.body)
        except PermissionError as error:
            return Answer(401, str(error))
        return Answer(204, "")

    return _hook(usually, refused=Answer(422, "no such thing"), secret=SECRET, secrets=(SECRET,))


def teams() -> AbstractContextManager[World]:
    """A workflow, which answers 202."""

    def usually(request: Request) -> Answer:
        card = json.loads(request.body)["attachments"][0]
        taken = card["contentType"] == "application/vnd.microsoft.card.adaptive" and len(request.body) <= 28_000
        return Answer(202, "") if taken else Answer(400, "no card")

    return _hook(usually, refused=Answer(400, '{"error": {"code": "TriggerInputSchemaMismatch"}}'))


def pagerduty() -> AbstractContextManager[World]:
    """The events API."""

    def usually(request: Request) -> Answer:
        event = json.loads(request.body)
        if event["routing_key"] != ROUTING_KEY or not event["dedup_key"] or len(event["payload"]["summary"]) > 1024:
            return Answer(400, '{"status": "invalid event"}')
        return Answer(202, json.dumps({"status": "success", "dedup_key": event["dedup_key"]}))

    def received(request: Request) -> str:
        event = json.loads(request.body)
        details = event["payload"]["custom_details"]
        return " ".join((_strings(event), *details))

    return _hook(
        usually,
        received=received,
        refused=Answer(400, '{"status": "invalid event", "message": "Event object is invalid"}'),
        routing_key=ROUTING_KEY,
        secrets=(ROUTING_KEY,),
    )


def dingtalk() -> AbstractContextManager[World]:
    """A robot with the signing of its security settings."""

    def usually(request: Request) -> Answer:
        given = {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}
        text = f"{given['timestamp']}\n{SECRET}".encode()
        expected = base64.b64encode(hmac.new(SECRET.encode(), text, "sha256").digest()).decode()
        if given["sign"] != expected or abs(int(given["timestamp"]) / 1000 - time.time()) > 3600:
            return Answer(200, '{"errcode": 310000, "errmsg": "sign not match"}')
        return Answer(200, '{"errcode": 0, "errmsg": "ok"}')

    return _hook(
        usually,
        refused=Answer(200, '{"errcode": 310000, "errmsg": "keywords not in content"}'),
        busy=Answer(200, '{"errcode": 130101, "errmsg": "send too fast"}'),
        query="?access_token=s3cr3t-token",
        secret=SECRET,
        secrets=(SECRET, "s3cr3t-token"),
    )


def feishu() -> AbstractContextManager[World]:
    """A bot with the signing of its security settings."""

    def usually(request: Request) -> Answer:
        body = json.loads(request.body)
        key = f"{body['timestamp']}\n{SECRET}".encode()
        if body["sign"] != base64.b64encode(hmac.new(key, b"", "sha256").digest()).decode():
            return Answer(200, '{"code": 19021, "msg": "sign match fail"}')
        if len(request.body) > 20_480:
            return Answer(200, '{"code": 9499, "msg": "Bad Request"}')
        return Answer(200, '{"code": 0, "msg": "success", "data": {}}')

    return _hook(
        usually,
        refused=Answer(400, '{"code": 9499, "msg": "Bad Request"}'),
        busy=Answer(200, '{"code": 11232, "msg": "frequency limited"}'),
        secret=SECRET,
        secrets=(SECRET,),
    )


def wecom() -> AbstractContextManager[World]:
    """A group robot."""

    def usually(request: Request) -> Answer:
        content = json.loads(request.body)["markdown"]["content"]
        if len(content.encode()) > 4096:
            return Answer(200, '{"errcode": 40058, "errmsg": "content exceed max length"}')
        return Answer(200, '{"errcode": 0, "errmsg": "ok"}')

    return _hook(
        usually,
        refused=Answer(200, '{"errcode": 93000, "errmsg": "invalid webhook url"}'),
        busy=Answer(200, '{"errcode": 45009, "errmsg": "api freq out of limit"}'),
        query="?key=s3cr3t-key",
        secrets=("s3cr3t-key",),
    )


@contextmanager
def apprise() -> Iterator[World]:
    """One of its services, a JSON web hook on this machine; it can only say that something did not work."""

    def received(request: Request) -> str:
        body = json.loads(request.body)
        return f"{body['title']} {body['message']}"

    with slack_stub("/s3cr3t") as stub:
        yield World(
            settings={"url": stub.url.replace("http://", "json://")},
            received=lambda: [received(request) for request in stub.requests],
            passing={"broken": lambda: stub.plan.append(Answer(500))},
            secrets=("s3cr3t",),
            requests=lambda: stub.requests,
        )


WORLDS: dict[str, Callable[[], AbstractContextManager[World]]] = {
    "apprise": apprise,
    "dingtalk": dingtalk,
    "email": email,
    "feishu": feishu,
    "pagerduty": pagerduty,
    "slack": slack,
    "slack_bot": slack_bot,
    "teams": teams,
    "terminal": terminal,
    "webhook": webhook,
    "wecom": wecom,
}
