"""Alerts in WeCom (企业微信), by a group robot."""

import orjson

from opinionwatch.alerts.hook import HookSettings, settle
from opinionwatch.alerts.markdown import markdown
from opinionwatch.pipeline.contracts_trend import Message

MOST_BYTES = 4096
"""Of `markdown.content`, in UTF-8."""
_PASSING = frozenset({-1, 6000, 45009, 45033})
"""System busy; conflicting calls; more than 20 messages a minute; too many at once."""


class WeCom:
    """Post each alert to a WeCom group through its robot, as Markdown of at most 4,096 bytes.

    Protocol: developer.work.weixin.qq.com/document/path/91770 (read 2026-11); the key in the address is the only
    secret, there is no signature; the answer is 200 with an `errcode`.

    Delivery: at least once. The robot cannot be asked what it has: a repetition carries the same alert id and says so.
    Rate limits (45009) and outages are waited out, every other code fails for good.
    """

    class Settings(HookSettings):
        """Settings of the WeCom channel."""

    def __init__(self, name: str, settings: Settings) -> None:
        """A channel of that name. Raises SettingsError when the address is missing or not one to post secrets to."""
        self.name = name
        self.settings = settings
        self._url = settings.address(name)
        self._post = settings.post("WeCom")

    def notify(self, message: Message) -> None:
        """Post it. Raises RetryableError for what may pass, RejectedError for every other refusal."""
        body = {"msgtype": "markdown", "markdown": {"content": markdown(message, MOST_BYTES)}}
        settle("WeCom", self._post(self._url.get_secret_value(), orjson.dumps(body)), _PASSING)
