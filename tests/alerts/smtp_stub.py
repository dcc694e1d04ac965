# ruff: noqa: ARG002 - the library calls with more than we need
"""A mail server on this machine that answers by plan and keeps what it was sent."""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

CERTIFICATE = Path(__file__).parent / "tls" / "localhost.pem"
"""Self-signed for 127.0.0.1 and localhost; its key protects nothing."""
USER, PASSWORD = "alerts", "s3cr3t-mail"


class SmtpStub:
    """Answers RCPT and DATA in the order of `rcpt` and `data`, then with 250; keeps envelopes and raw mails."""

    def __init__(self) -> None:
        self.port = 0
        self.rcpt: dict[str, list[str]] = {}
        self.data: list[str] = []
        self.received: list[bytes] = []
        self.taken: Callable[[], None] = lambda: None
        """Called when a mail is there, before the answer."""
        self.recipients: list[list[str]] = []

    @property
    def mails(self) -> list[EmailMessage]:
        return [message_from_bytes(raw, policy=default) for raw in self.received]


class _Handler:
    """What the library asks. It looks at every attribute, properties too, at every connection: so it gets no mails."""

    def __init__(self, stub: SmtpStub) -> None:
        self._stub = stub

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        plan = self._stub.rcpt.get(address, [])
        if plan and (answer := plan.pop(0)):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        answer = self._stub.data.pop(0) if self._stub.data else "250 OK"
        if answer.startswith("250") or answer == "drop":
            self._stub.received.append(envelope.original_content or b"")
            self._stub.recipients.append(list(envelope.rcpt_tos))
            self._stub.taken()
        if answer == "drop":
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()  # taken, and then the line goes dead
        return answer


def _log_in(server: SMTP, session: Session, envelope: Envelope, mechanism: str, credentials: object) -> AuthResult:
    good = LoginPassword(login=USER.encode(), password=PASSWORD.encode())
    return AuthResult(success=credentials == good, handled=False)


class _Controller(Controller):
    def _trigger_server(self) -> None:
        """Learn the port that was chosen, before the library greets itself on it."""
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]  # the library's


@contextmanager
def smtp_stub(*, starttls: bool = False, auth: bool = False) -> Iterator[SmtpStub]:
    """A stub on a free port of the loopback address."""
    stub = SmtpStub()
    context = None
    if starttls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(CERTIFICATE)
    controller = _Controller(
        _Handler(stub),
        hostname="127.0.0.1",
        port=0,
        tls_context=context,
        require_starttls=starttls,
        authenticator=_log_in if auth else None,
        auth_required=auth,
        auth_require_tls=starttls,
    )
    controller.start()
    try:
        stub.port = controller.port
        yield stub
    finally:
        controller.stop()
