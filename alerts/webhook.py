"""Alerts to any web hook, as signed JSON."""

from collections.abc import Callable
from pathlib import Path
from time import time
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from opinionwatch.alerts.channel import reveal
from opinionwatch.alerts.escape import one_line, quote, safe_url
from opinionwatch.alerts.hook import HookSettings
from opinionwatch.pipeline.contracts import Record, Utc
from opinionwatch.pipeline.contracts_trend import Message, Severity
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.signature import secret_bytes, sign


class Quoted(Record):
    """A post as evidence."""

    text: str
    source: str
    lang: str
    url: str | None
    published_at: Utc


class Other(Record):
    """Another story of the same group."""

    type: str
    alert_id: str
    episode_id: str
    severity: Severity
    title: str
    summary: str
    link: str


class Told(Record):
    """An alert in words. Every text is one clean line without markup; what shows it as HTML still has to escape it."""

    alert_id: str
    episode_id: str
    severity: Severity
    lang: Literal["en", "zh"]
    title: str
    summary: str
    facts: tuple[tuple[str, str], ...]
    reasons: tuple[tuple[str, str], ...]
    examples: tuple[Quoted, ...]
    link: str
    others: tuple[Other, ...]
    """Every other story of its group."""
    repeat: bool
    """An earlier attempt may have got through; `alert_id` is the same."""


class Body(Record):
    """What is posted."""

    type: str
    """`alert.opened`, `alert.escalated`, `alert.updated`, `alert.resolved`, `alert.test`, …"""
    timestamp: Utc
    data: Told


class Webhook:
    """Post each alert as JSON to a web hook of your own, signed as the Standard Webhooks specification has it.

    `webhook-id` is the alert's id and so the idempotency key of a repetition; `webhook-signature` is `v1,` and base64
    of HMAC-SHA256 over `id.timestamp.body` (github.com/standard-webhooks, spec of 2023-12, read 2026-11). 2xx is
    success, redirects are not followed, 410 and other 4xx fail for good, 429 and 5xx are waited out.

    Delivery: at least once; whoever remembers ids sees every alert once.
    """

    class Settings(HookSettings):
        """Settings of the webhook channel."""

        secret: Annotated[
            SecretStr | None, Field(description="Signing secret: whsec_ and base64, or 16 bytes and more.")
        ] = None
        secret_file: Annotated[Path | None, Field(description="File whose first line is that secret.")] = None

    def __init__(self, name: str, settings: Settings, clock: Callable[[], float] = time) -> None:
        """A channel of that name. Raises SettingsError when address or secret is missing or too weak."""
        self.name = name
        self.settings = settings
        self._url = settings.address(name)
        what = f"channels.{name}.secret"
        secret = reveal(settings.secret, settings.secret_file, what)
        if secret is None:
            raise SettingsError(f"{what}: missing; make one with `openssl rand -hex 32` and give it to the receiver")
        secret_bytes(secret.get_secret_value(), what)
        self._secret = secret
        self._post = settings.post("the web hook")
        self._clock = clock

    def notify(self, message: Message) -> None:
        """Post it. Raises RetryableError for 429 (with Retry-After), 5xx and time-outs, RejectedError for other 4xx."""
        body, stamp = told(message).model_dump_json().encode(), int(self._clock())
        key = secret_bytes(self._secret.get_secret_value(), "secret")
        headers = {
            "webhook-id": message.alert_id,
            "webhook-timestamp": str(stamp),
            "webhook-signature": sign(key, message.alert_id, stamp, body),
        }
        self._post(self._url.get_secret_value(), body, headers)


def told(message: Message) -> Body:
    """The body, with strangers' text made harmless."""
    return Body(
        type=f"alert.{message.event}",
        timestamp=message.at,
        data=Told(
            alert_id=message.alert_id,
            episode_id=message.episode_id,
            severity=message.severity,
            lang=message.lang,
            title=one_line(message.title, 500),
            summary=one_line(message.summary, 2000),
            facts=_clean(message.facts),
            reasons=_clean(message.reasons),
            examples=tuple(
                Quoted(
                    text=quote(one),
                    source=one_line(one.source, 64),
                    lang=one_line(one.lang, 16),
                    url=safe_url(one.url),
                    published_at=one.published_at,
                )
                for one in message.examples
            ),
            link=message.link,
            others=tuple(
                Other(
                    type=f"alert.{one.event}",
                    alert_id=one.alert_id,
                    episode_id=one.episode_id,
                    severity=one.severity,
                    title=one_line(one.title, 500),
                    summary=one_line(one.summary, 2000),
                    link=one.link,
                )
                for one in message.others
            ),
            repeat=message.repeat,
        ),
    )


def _clean(pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return tuple((one_line(label, 200), one_line(value, 2000)) for label, value in pairs)
