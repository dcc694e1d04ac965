"""The network under every HTTP client of ours: it connects to checked addresses only and lets no answer drip on."""

import ssl
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Event
from time import monotonic

import httpcore2

from opinionwatch.pipeline.guard import Guard

_LOOK_UP_S = 1.0
"""How often a blocked read looks whether it is to stop."""


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks for (RFC 9110, 10.2.3), None when it says nothing that makes sense.

    >>> retry_after_s("120", datetime(2025, 1, 1, tzinfo=UTC))
    120.0
    """
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdecimal():
        return float(value.strip()[:9])
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - now).total_seconds())


class Wire(httpcore2.NetworkBackend):
    """Resolves, checks and connects. Host header and TLS server name stay those of the URL."""

    def __init__(self, guard: Guard, closing: Event) -> None:
        self.deadline = 0.0
        """Monotonic time by which the present request has to be over, redirects and all."""
        self._guard = guard
        self._closing = closing
        self._plain = httpcore2.SyncBackend()

    def left_s(self, step_s: float | None) -> float:
        """Seconds that a step may take. Raises ReadTimeout when there are none left."""
        left = self.deadline - monotonic()
        if left <= 0 or self._closing.is_set():
            raise httpcore2.ReadTimeout("the time for this request is over")
        return left if step_s is None else min(left, step_s)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect to the first checked address that answers. Raises ConnectError."""
        try:
            addresses = self._guard.addresses(host, port)
        except (ValueError, OSError) as error:
            raise httpcore2.ConnectError(str(error)) from error
        failed: httpcore2.ConnectError | httpcore2.ConnectTimeout | None = None
        for address in addresses:
            try:
                stream = self._plain.connect_tcp(address, port, self.left_s(timeout), local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = error
            else:
                return _Stream(stream, self)
        raise failed or httpcore2.ConnectError("the host has no address")

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """Never."""
        del path, timeout, socket_options
        raise httpcore2.ConnectError("no sockets of this machine")


class _Stream(httpcore2.NetworkStream):
    """A connection whose every step counts against the time of the request."""

    def __init__(self, stream: httpcore2.NetworkStream, wire: Wire) -> None:
        self._stream = stream
        self._wire = wire

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read, looking up every second."""
        end = monotonic() + self._wire.left_s(timeout)
        while True:
            left = self._wire.left_s(max(0.01, end - monotonic()))
            try:
                return self._stream.read(max_bytes, min(left, _LOOK_UP_S))
            except httpcore2.ReadTimeout:
                if monotonic() >= end:
                    raise

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write."""
        self._stream.write(buffer, self._wire.left_s(timeout))

    def close(self) -> None:
        """Close."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        """Encrypt."""
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, self._wire.left_s(timeout)), self._wire)

    def get_extra_info(self, info: str) -> object:
        """Pass on."""
        return self._stream.get_extra_info(info)
