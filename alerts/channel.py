"""What channels share: how they are told apart, where secrets come from, and the error of an uncertain attempt."""

from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from opinionwatch.pipeline.errors import RetryableError, SettingsError
from opinionwatch.pipeline.guard import is_public
from opinionwatch.pipeline.loopback import is_loopback
from opinionwatch.pipeline.reveal import reveal as reveal  # channels take it from here
from opinionwatch.pipeline.settings import Section


class ChannelSettings(Section):
    """What every channel can be told."""

    info: Annotated[
        bool, Field(description="Whether information (a volume surge, a change of sources) comes here too.")
    ] = False


class UncertainError(RetryableError):
    """The attempt may have got through: the connection broke before the answer. A second one must say so."""


class ReachedError(RetryableError):
    """Somebody has it, and somebody else is to get it later. When that is given up, it counts as told."""


def webhook_url(
    secret: SecretStr | None, what: str, *, allow_loopback: bool = False, allow_private: bool | None = None
) -> SecretStr:
    """The address of a web hook if messages may go there: https to a public host; elsewhere, also by plain http, only
    as far as that is allowed. `allow_private` (None: the channel has no such setting) includes this very machine.

    Raises SettingsError that says what to write instead. It never shows the address, which is itself the secret.
    """
    if secret is None:
        raise SettingsError(f"{what}: missing; write the web hook's address, or its file as {what}_file")
    try:
        parts = urlsplit(secret.get_secret_value())
        host, port = parts.hostname, parts.port
    except ValueError:
        raise SettingsError(f"{what}: not an address; it looks like https://host/path") from None
    if parts.scheme not in ("http", "https") or not host or port == 0 or "@" in parts.netloc:
        raise SettingsError(f"{what}: not a web address; it looks like https://host/path, without user or password")
    if allow_private:
        return secret
    mean = "use a public host name" if allow_private is None else "write `allow_private: true` if that is meant"
    if is_loopback(host):
        if not allow_loopback:
            mean = "write `allow_loopback: true` if that is meant" if allow_private is None else mean
            raise SettingsError(f"{what}: points to this machine; {mean}")
    elif not _is_public(host):
        raise SettingsError(f"{what}: points into a private network; {mean}")
    elif parts.scheme != "https":
        raise SettingsError(f"{what}: must begin with https://, for whoever reads the address can post")
    return secret


def _is_public(host: str) -> bool:
    try:
        return is_public(ip_address(host))
    except ValueError:  # a name: its addresses are looked at when it is connected to
        return True
