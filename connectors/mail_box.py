"""A connection to a mail server: to a checked address, with answers that are bounded in size and time."""

import imaplib
import io
import socket
from time import monotonic
from typing import TYPE_CHECKING

from opinionwatch.connectors.http import tls
from opinionwatch.pipeline.guard import Guard

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LITERAL_BYTES = 2_000_000
"""Most that one part of an answer may hold."""
ANSWER_BYTES = 40_000_000
ANSWER_S = 600.0
"""So much, and for so long, a server may send until it has answered a command."""
LINE_BYTES = 1_000_000
STEP_S = 15.0
"""So long a server may say nothing."""


class Box(imaplib.IMAP4):
    """A connection to a checked address whose answers are bounded."""

    def __init__(self, guard: Guard, host: str, port: int, *, encrypted: bool) -> None:
        self._addresses = guard.addresses(host, port)
        self._encrypted = encrypted
        super().__init__(host, port, STEP_S)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        failed: OSError | None = None
        for address in self._addresses:
            try:
                plain = socket.create_connection((address, self.port), timeout)
            except OSError as error:
                failed = error
            else:
                return tls().wrap_socket(plain, server_hostname=self.host) if self._encrypted else plain
        raise failed or OSError("the host has no address")

    def open(self, host: str = "", port: int = 143, timeout: float | None = None) -> None:
        """Connect."""
        super().open(host, port, timeout)
        self._answer = _Answer(self.sock)
        self._buffered = io.BufferedReader(self._answer)

    def send(self, data: bytes) -> None:  # type: ignore[override]  # the library sends nothing else
        """Say something, and expect an answer."""
        self._answer.expect()
        super().send(data)

    def read(self, size: int) -> bytes:
        """A literal; the server says how long it is, so it is not believed."""
        if size > LITERAL_BYTES:
            raise self.abort("the server sends more than was asked for")
        return self._buffered.read(size)

    def readline(self) -> bytes:
        """A line."""
        line = self._buffered.readline(LINE_BYTES + 1)
        if len(line) > LINE_BYTES:
            raise self.abort("the server sends a line without end")
        return line

    def end(self) -> None:
        """Sign out if the server still listens."""
        try:
            self.logout()
        except (imaplib.IMAP4.error, OSError):
            self.shutdown()


class _Answer(io.RawIOBase):
    """What a server sends until it has answered: so much at most, and only for so long."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.expect()

    def expect(self) -> None:
        """Begin to wait for another answer."""
        self._left, self._deadline = ANSWER_BYTES, monotonic() + ANSWER_S

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Read what is there."""
        left_s = self._deadline - monotonic()
        if left_s <= 0 or self._left <= 0:
            raise OSError("the server sends more than was asked for" if left_s > 0 else "the answer has no end")
        self._connection.settimeout(min(STEP_S, left_s))
        size = self._connection.recv_into(buffer)
        self._left -= size
        return size
