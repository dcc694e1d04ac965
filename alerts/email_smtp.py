"""Alerts by e-mail, over SMTP."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path
from typing import Annotated, Literal

import structlog
from aiosmtplib import SMTP
from aiosmtplib.errors import (
    SMTPAuthenticationError,
    SMTPConnectError,
    SMTPException,
    SMTPHeloError,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPServerDisconnected,
)
from pydantic import Field, SecretStr

from opinionwatch.alerts.channel import ChannelSettings, ReachedError, UncertainError, reveal
from opinionwatch.alerts.digest_body import compose_digest
from opinionwatch.alerts.email_body import compose
from opinionwatch.alerts.escape import one_line
from opinionwatch.pipeline.contracts_digest import Digest
from opinionwatch.pipeline.contracts_trend import Message
from opinionwatch.pipeline.errors import RejectedError, RetryableError, SettingsError
from opinionwatch.pipeline.loopback import is_loopback

log = structlog.get_logger(__name__)
_PORTS = {"starttls": 587, "tls": 465, "none": 25}


class Email:
    """Send each alert as an e-mail: a plain part, and an HTML part with the chart in it.

    Every alert of an episode answers the e-mail that opened it, so that mail programs show one thread. Encrypted
    connections are verified; one that should be encrypted and is not is refused before anything is sent.

    Delivery: at least once. A repetition after a crash or a lost answer is the same e-mail with the same Message-ID,
    which most mailboxes show once. 4xx answers, refused connections and refused log-ins are tried again, 5xx answers to
    the message fail for good. When only some recipients are refused for now, only they get the repetition, as long as
    the process lives. When only some are refused for good, an alert has failed, so that its fallback is told; a digest
    is told, for the next one would tell the others the same again.
    """

    class Settings(ChannelSettings):
        """Settings of the e-mail channel."""

        host: Annotated[str, Field(min_length=1, description="The mail server.")]
        port: Annotated[
            int | None, Field(ge=1, le=65535, description="Its port; by default 587, 465 for tls, 25 for none.")
        ] = None
        security: Annotated[
            Literal["starttls", "tls", "none"],
            Field(description="How the connection is encrypted; none sends alerts in the clear."),
        ] = "starttls"
        ca_file: Annotated[Path | None, Field(description="Certificates to trust instead of the system's.")] = None
        username: Annotated[str | None, Field(description="Name to log in with; without it there is no log-in.")] = None
        password: Annotated[SecretStr | None, Field(description="Password to log in with.")] = None
        password_file: Annotated[Path | None, Field(description="File whose first line is the password.")] = None
        sender: Annotated[str, Field(description="Address that alerts come from.")]
        sender_name: Annotated[str, Field(max_length=64, description="Name beside that address.")] = "opinionwatch"
        recipients: Annotated[tuple[str, ...], Field(min_length=1, description="Addresses that alerts go to.")]
        unsubscribe: Annotated[
            str,
            Field(
                pattern=r"^(mailto:|https://)[!-;=?-~]{3,500}$|^$",
                description="Where readers leave the list: mailto: or https://; the mails' List-Unsubscribe.",
            ),
        ] = ""
        timeout_s: Annotated[float, Field(gt=0, le=300, description="Seconds to wait for each answer.")] = 20.0

    def __init__(self, name: str, settings: Settings) -> None:
        """A channel of that name. Raises SettingsError for an address or a combination that cannot work."""
        self.name = name
        self.settings = settings
        where = f"channels.{name}"
        self._password = reveal(settings.password, settings.password_file, f"{where}.password")
        if (settings.username is None) != (self._password is None):
            raise SettingsError(f"{where}: username and password (or password_file) belong together")
        if self._password is not None and settings.security == "none" and not is_loopback(settings.host):
            raise SettingsError(f"{where}.security: a password needs starttls or tls")
        if settings.ca_file is not None and not settings.ca_file.is_file():
            raise SettingsError(f"{where}.ca_file: there is no file {settings.ca_file}")
        sender = _address(settings.sender, f"{where}.sender")
        self._sender = Address(one_line(settings.sender_name), sender.username, sender.domain)
        self._recipients = tuple(
            _address(recipient, f"{where}.recipients").addr_spec for recipient in settings.recipients
        )
        self._reached: dict[str, frozenset[str]] = {}

    def notify(self, message: Message) -> None:
        """Send it. Raises RetryableError for what may pass, RejectedError when the server refuses it for good."""
        mail = compose(message, self._sender, self._recipients, self.settings.unsubscribe)
        if refused := self._deliver(message.alert_id, mail):
            raise self._refusal(refused)

    def digest(self, digest: Digest) -> None:
        """Send a digest; raises like `notify`. One that somebody has is not refused: a refused one is told again by the
        next, and a dead mailbox, or one that is busy for ever, would make everybody's longer and longer.
        """
        mail = compose_digest(digest, self._sender, self._recipients, self.settings.unsubscribe)
        try:
            refused = self._deliver(digest.id, mail)
        except UncertainError:
            raise
        except RetryableError as error:
            if self._reached.get(digest.id):
                raise ReachedError(str(error), error.after_s) from error
            raise
        if refused and refused.keys() >= set(self._recipients):
            raise self._refusal(refused)
        if refused:
            log.warning("digest not for all", channel=self.name, digest=digest.id, detail=str(self._refusal(refused)))

    def _deliver(self, name: str, mail: EmailMessage) -> dict[str, tuple[int, str]]:
        """Send to whom it has not reached. Returns the recipients that are refused for good, with code and words;
        raises RetryableError when one of them is refused for now.
        """
        reached = self._reached.get(name, frozenset())
        remaining = [recipient for recipient in self._recipients if recipient not in reached]
        refused = self._send(mail, remaining)
        if any(code < 500 for code, _ in refused.values()):
            self._reached[name] = frozenset(self._recipients) - refused.keys()
            raise self._refusal(refused)
        self._reached.pop(name, None)
        return refused

    def _send(self, mail: EmailMessage, recipients: list[str]) -> dict[str, tuple[int, str]]:
        """Send; returns the recipients that were refused, with the server's code and words."""
        try:
            # A thread of its own: a caller may have a running event loop, and a loop cannot run inside another.
            with ThreadPoolExecutor(1, "smtp") as thread:
                return thread.submit(lambda: asyncio.run(self._converse(mail, recipients))).result()
        except SMTPRecipientsRefused as error:
            return {refusal.recipient: (refusal.code, refusal.message) for refusal in error.recipients}
        except SMTPConnectError as error:
            raise RetryableError(f"the mail server cannot be reached ({type(error).__name__})") from None
        except (SMTPServerDisconnected, TimeoutError) as error:
            raise UncertainError(f"the mail server did not answer ({type(error).__name__})") from None
        except (SMTPAuthenticationError, SMTPHeloError) as error:  # the world is wrong, not the message
            raise RetryableError(f"the mail server refuses us: {_words(error.code, error.message)}") from None
        except SMTPResponseException as error:
            said = f"the mail server answered {_words(error.code, error.message)}"
            if error.code >= 500:
                raise RejectedError("channel_refused", said) from None
            raise RetryableError(said) from None
        except SMTPException as error:  # no STARTTLS, no AUTH
            raise RetryableError(f"the mail server lacks what is needed: {one_line(error.message, 200)}") from None
        except OSError as error:  # also certificates that do not hold
            raise RetryableError(f"the mail server cannot be trusted or reached ({type(error).__name__})") from None

    def _refusal(self, refused: dict[str, tuple[int, str]]) -> RetryableError | RejectedError:
        said = "; ".join(sorted({_words(*answer) for answer in refused.values()}))
        count = f"{len(refused)} of {len(self._recipients)} recipients refused"
        if any(code < 500 for code, _ in refused.values()):
            return RetryableError(f"{count} for now: {said}")
        return RejectedError("channel_refused", f"{count}: {said}")

    async def _converse(self, mail: EmailMessage, recipients: list[str]) -> dict[str, tuple[int, str]]:
        chosen = self.settings
        client = _Client(
            hostname=chosen.host,
            port=chosen.port or _PORTS[chosen.security],
            local_hostname=self._sender.domain,
            timeout=chosen.timeout_s,
            use_tls=chosen.security == "tls",
            start_tls=chosen.security == "starttls",
            validate_certs=True,
            cert_bundle=None if chosen.ca_file is None else str(chosen.ca_file),
            username=chosen.username,
            password=None if self._password is None else self._password.get_secret_value(),
        )
        try:
            async with client:
                try:
                    refused, _ = await client.send_message(mail, sender=self._sender.addr_spec, recipients=recipients)
                except OSError as error:  # also time-outs and lost connections: it may have all of the mail
                    raise UncertainError(f"the mail server did not answer ({type(error).__name__})") from None
        finally:
            await asyncio.sleep(0)  # the loop closes the socket in its next round
        return {recipient: (response.code, response.message) for recipient, response in refused.items()}


class _Client(SMTP):
    """Hangs up at once, also when a log-in fails: by then all is said, and TLS's farewell would outlive the loop."""

    def close(self) -> None:
        """Hang up."""
        transport = self.transport
        super().close()
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()


def _words(code: int, message: str) -> str:
    return f"{code} {one_line(message, 200)}".strip()


def _address(text: str, what: str) -> Address:
    """An ASCII addr-spec. Raises SettingsError."""
    try:
        address = Address(addr_spec=text)
    except (HeaderParseError, ValueError, IndexError) as error:
        raise SettingsError(
            f"{what}: '{one_line(text, 100)}' is not an e-mail address such as me@example.org"
        ) from error
    if not text.isascii() or not address.username or not address.domain:
        raise SettingsError(f"{what}: '{one_line(text, 100)}' is not an e-mail address such as me@example.org")
    return address
