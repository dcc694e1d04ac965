"""Alerts to any of the services that the apprise library knows: `pip install 'opinionwatch[apprise]'`."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, SecretStr

from opinionwatch.alerts.channel import ChannelSettings, reveal
from opinionwatch.alerts.markdown import defused
from opinionwatch.alerts.plain import plain
from opinionwatch.pipeline.contracts_trend import Message
from opinionwatch.pipeline.errors import RetryableError, SettingsError

if TYPE_CHECKING:
    import apprise


class Apprise:
    """Send each alert as plain text through apprise (github.com/caronc/apprise, 2.3, read 2026-11), for services that
    have no channel of their own here: Telegram, Discord, ntfy, Google Chat, SMS and many more.

    An alert longer than the service takes comes in parts, so that nothing of it is lost; `?overflow=truncate` in the
    address has it cut instead. Apprise says only whether it worked: every failure is tried again, for about a day. It
    connects wherever its address says, private networks included, and its address is a secret.

    Delivery: at least once. A repetition carries the same alert id, says so, and has every part again.
    """

    class Settings(ChannelSettings):
        """Settings of the apprise channel."""

        url: Annotated[SecretStr | None, Field(description="An apprise address, such as tgram://token/chat.")] = None
        url_file: Annotated[Path | None, Field(description="File whose first line is that address.")] = None

    def __init__(self, name: str, settings: Settings) -> None:
        """A channel of that name. Raises SettingsError when apprise is not installed or does not know the address."""
        self.name = name
        self.settings = settings
        what = f"channels.{name}.url"
        url = reveal(settings.url, settings.url_file, what)
        if url is None:
            raise SettingsError(f"{what}: missing; write an apprise address, or its file as {what}_file")
        self._url = url
        self._service(what)

    def notify(self, message: Message) -> None:
        """Send it. Raises RetryableError when apprise says that it did not work."""
        kinds = {"info": "info", "warning": "warning", "critical": "failure"}
        text = plain(message, defused)
        took = self._service(self.name).notify(
            body=text, title=defused(message.title, 200), body_format="text", notify_type=kinds[message.severity]
        )
        if not took:
            raise RetryableError("apprise could not deliver it; `apprise -vv` with the same address says why")

    def _service(self, what: str) -> "apprise.Apprise":
        try:
            import apprise  # an optional part
        except ImportError as error:
            raise SettingsError(f"{what}: needs apprise; `pip install 'opinionwatch[apprise]'`") from error
        logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)  # it logs addresses, which are secrets
        apprise.NotifyBase.overflow_mode = apprise.OverflowMode.SPLIT  # what holds where the address says nothing
        service = apprise.Apprise()
        if not service.add(self._url.get_secret_value()):
            raise SettingsError(f"{what}: apprise knows no such address; github.com/caronc/apprise lists what there is")
        return service
