"""A small real world for every channel of the registry. A new channel brings one; the contract suite runs in it."""

import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, redirect_stderr
from dataclasses import dataclass, field

from tests.alerts.slack_stub import PATH, Answer, slack_stub
from tests.alerts.smtp_stub import CERTIFICATE, PASSWORD, USER, smtp_stub


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

    def texts(value: object) -> str:
        if isinstance(value, dict):
            return " ".join(texts(inner) for inner in value.values())
        return " ".join(texts(inner) for inner in value) if isinstance(value, list) else str(value)

    with slack_stub() as stub:
        yield World(
            settings={"url": stub.url, "allow_loopback": True, "timeout_s": 5},
            received=lambda: [texts(json.loads(body)["blocks"]) for body in stub.received],
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


WORLDS: dict[str, Callable[[], AbstractContextManager[World]]] = {"terminal": terminal, "slack": slack, "email": email}
