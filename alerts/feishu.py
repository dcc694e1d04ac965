"""Alerts in Feishu (飞书) and Lark, by a custom group bot."""

import base64
import hmac
from collections.abc import Callable, Iterator
from time import time

import orjson
from pydantic import JsonValue, SecretStr

from opinionwatch.alerts.escape import one_line, quote, safe_url
from opinionwatch.alerts.hook import SignedHookSettings, settle
from opinionwatch.alerts.plain import origin
from opinionwatch.alerts.stories import fitted, more
from opinionwatch.alerts.words import WORDS
from opinionwatch.pipeline.contracts_trend import Message, Severity

MOST_BYTES = 20_000
"""The bot takes 20 KB."""
_PASSING = frozenset({11232, 11233, 99991400, 2200, 55001})
"""Too often; server errors."""
_COLOURS: dict[Severity, str] = {"info": "blue", "warning": "orange", "critical": "red"}


class Feishu:
    """Post each alert to a Feishu or Lark group as a card, signed as the bot's security setting asks.

    Everything but the button is `plain_text`, which knows neither markup nor mentions. Protocol:
    open.feishu.cn/document/client-docs/bot-v3/add-custom-bot (read 2026-11): the body carries `timestamp` in seconds
    and `sign`, base64 of HMAC-SHA256 with the key "timestamp\\nsecret" over nothing; the answer holds a `code`,
    which is what counts under status 400 too, where clients of its message API have met rate limits.

    Delivery: at least once. The bot cannot be asked what it has: a repetition carries the same alert id and says so.
    Rate limits (11232) and outages are waited out, every other code fails for good.
    """

    class Settings(SignedHookSettings):
        """Settings of the Feishu channel."""

    def __init__(self, name: str, settings: Settings, clock: Callable[[], float] = time) -> None:
        """A channel of that name. Raises SettingsError when the address is missing or not one to post secrets to."""
        self.name = name
        self.settings = settings
        self._url = settings.address(name)
        self._secret = settings.signing_secret(name)
        self._post = settings.post("Feishu", judged={400})
        self._clock = clock

    def notify(self, message: Message) -> None:
        """Post it. Raises RetryableError for what may pass, RejectedError for every other refusal."""
        signed: dict[str, JsonValue] = {}
        if self._secret is not None:
            stamp = round(self._clock())
            signed = {"timestamp": str(stamp), "sign": signature(self._secret, stamp)}
        settle("Feishu", self._post(self._url.get_secret_value(), body(message, signed)), _PASSING)


def signature(secret: SecretStr, timestamp_s: int) -> str:
    """The value of `sign`.

    >>> signature(SecretStr("demo"), 1599360473)
    'l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8='
    """
    key = f"{timestamp_s}\n{secret.get_secret_value()}".encode()
    return base64.b64encode(hmac.digest(key, b"", "sha256")).decode()


def body(message: Message, signed: dict[str, JsonValue]) -> bytes:
    """The request: examples, then other stories, are left out from the last when it would be too long."""
    return fitted(
        message, lambda shown: orjson.dumps({"msg_type": "interactive", "card": card(shown), **signed}), MOST_BYTES
    )


def card(message: Message) -> dict[str, JsonValue]:
    """The card."""
    return {
        "config": {"wide_screen_mode": True},
        "header": {"title": _plain(one_line(message.title, 200)), "template": _COLOURS[message.severity]},
        "elements": list(_elements(message)),
    }


def _elements(message: Message) -> Iterator[JsonValue]:
    words = WORDS[message.lang]
    yield {"tag": "div", "text": _plain(one_line(message.summary, 600))}
    for label, value in (*message.facts, *message.reasons)[:16]:
        yield {"tag": "div", "text": _plain(f"{one_line(label, 60)}  {one_line(value, 250)}")}
    for other in message.others:
        yield {
            "tag": "div",
            "text": _plain(f"{one_line(other.title, 120)}\n{one_line(other.summary, 250)}"),
            **({"extra": _button(other, "default")} if safe_url(other.link) else {}),
        }
    for label, number in more(message):
        yield {"tag": "div", "text": _plain(f"{one_line(label, 60)}  {number}")}
    if message.examples:
        yield {"tag": "hr"}
        yield {"tag": "div", "text": _plain(words.labels["examples"])}
    for example in message.examples[:3]:
        yield {"tag": "div", "text": _plain(f"{words.quoted.format(text=quote(example))}\n{origin(example)}")}
    if safe_url(message.link):
        yield {"tag": "action", "actions": [_button(message, "primary")]}
    yield {"tag": "note", "elements": [_plain(f"{words.labels['id']} {one_line(message.alert_id, 64)}")]}


def _button(message: Message, kind: str) -> JsonValue:
    label = WORDS[message.lang].labels["link"]
    return {"tag": "button", "text": _plain(label), "url": safe_url(message.link), "type": kind}


def _plain(text: str) -> JsonValue:
    return {"tag": "plain_text", "content": text}
