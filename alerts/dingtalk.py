"""Alerts in DingTalk (钉钉), by a custom group robot."""

import base64
import hmac
from collections.abc import Callable
from time import time
from urllib.parse import quote_plus

import orjson
from pydantic import SecretStr

from opinionwatch.alerts.hook import SignedHookSettings, settle
from opinionwatch.alerts.markdown import defused, markdown
from opinionwatch.pipeline.contracts_trend import Message

MOST_BYTES = 18_000
"""The robot takes 20,000 bytes."""
_PASSING = frozenset({-1, 130101, 130102, 410100})
"""System busy; more than 20 messages a minute, for which it shuts the robot up for ten."""


class DingTalk:
    """Post each alert to a DingTalk group through a custom robot, signed as the robot's security setting asks.

    Protocol: open.dingtalk.com/document/robots/custom-robot-access and /customize-robot-security-settings (read
    2026-11): the query carries `timestamp` in milliseconds and `sign`, base64 of HMAC-SHA256 over "timestamp\\nsecret";
    the answer is 200 with an `errcode`.

    Delivery: at least once. The robot cannot be asked what it has: a repetition carries the same alert id and says so.
    Rate limits and outages are waited out, every other code fails for good.
    """

    class Settings(SignedHookSettings):
        """Settings of the DingTalk channel."""

    def __init__(self, name: str, settings: Settings, clock: Callable[[], float] = time) -> None:
        """A channel of that name. Raises SettingsError when the address is missing or not one to post secrets to."""
        self.name = name
        self.settings = settings
        self._url = settings.address(name)
        self._secret = settings.signing_secret(name)
        self._post = settings.post("DingTalk")
        self._clock = clock

    def notify(self, message: Message) -> None:
        """Post it. Raises RetryableError for what may pass, RejectedError for every other refusal."""
        body = {
            "msgtype": "markdown",
            "markdown": {"title": defused(message.title, 64), "text": markdown(message, MOST_BYTES)},
            "at": {"isAtAll": False},
        }
        settle("DingTalk", self._post(self._signed(), orjson.dumps(body)), _PASSING)

    def _signed(self) -> str:
        url = self._url.get_secret_value()
        if self._secret is None:
            return url
        stamp = round(self._clock() * 1000)
        return f"{url}{'&' if '?' in url else '?'}timestamp={stamp}&sign={signature(self._secret, stamp)}"


def signature(secret: SecretStr, timestamp_ms: int) -> str:
    """The value of `sign`, ready for a query.

    >>> signature(SecretStr("this is secret"), 1577262236757)
    'hmPWwU%2B7lVdm3ZZz0r9tSfx0L4Q26jWOZr9%2BGs6EZQM%3D'
    """
    key = secret.get_secret_value().encode()
    digest = hmac.digest(key, f"{timestamp_ms}\n".encode() + key, "sha256")
    return quote_plus(base64.b64encode(digest))
