"""One careful WebSocket client: checked addresses, bounded messages, bounded waiting, no proxies, no redirects."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Event
from time import monotonic

from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from opinionwatch.connectors.http import RefusedError, UnansweredError, agent, tls
from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.guard import Guard
from opinionwatch.pipeline.redact import redact
from opinionwatch.pipeline.wire import retry_after_s

MESSAGE_BYTES = 1_000_000
QUEUE = 64
"""Messages held before the server has to wait."""
_STEP_S = 10.0
_LOOK_UP_S = 0.5


class Stream:
    """A connection as messages. Raises RetryableError when it breaks: connect again, from the cursor."""

    def __init__(self, connection: ClientConnection, url: str, closing: Event) -> None:
        self._connection = connection
        self._url = url
        self._closing = closing

    @property
    def ending(self) -> bool:
        """Whether it is to end."""
        return self._closing.is_set()

    def send(self, message: bytes) -> None:
        """Say something, as text."""
        try:
            self._connection.send(message, text=True)
        except (WebSocketException, OSError) as error:
            raise self._broken(error) from error

    def message(self, wait_s: float = _LOOK_UP_S) -> bytes | None:
        """The next message; None when there is none in time, or it is to end."""
        deadline = monotonic() + wait_s
        try:
            while not self._closing.is_set():
                try:
                    found = self._connection.recv(timeout=min(_LOOK_UP_S, max(0.0, deadline - monotonic())))
                except TimeoutError:
                    if monotonic() >= deadline:
                        return None
                else:
                    return found.encode("utf-8", "surrogatepass") if isinstance(found, str) else bytes(found)
        except (WebSocketException, OSError) as error:
            raise self._broken(error) from error
        return None

    def _broken(self, error: Exception) -> RetryableError:
        return RetryableError(f"{redact(self._url)}: the stream broke off: {redact(str(error))}")


@contextmanager
def streaming(
    guard: Guard, url: str, closing: Event, headers: Mapping[str, str] | None = None, contact: str = ""
) -> Iterator[Stream]:
    """Connect to a ws: or wss: URL. Raises FatalError when it may never be asked, RetryableError when it fails now."""
    scheme, _, rest = url.partition("://")
    if scheme not in ("ws", "wss"):
        raise FatalError(f"{redact(url)}: a stream's address begins with wss://")
    try:
        target = guard.url(f"{'https' if scheme == 'wss' else 'http'}://{rest}")
    except ValueError as error:
        raise FatalError(f"{redact(url)}: {error}") from error
    host = target.raw_host.decode("ascii")
    port = target.port or (443 if scheme == "wss" else 80)
    try:
        connection = connect(
            url,
            sock=_reach(guard.addresses(host, port), port),
            ssl=tls() if scheme == "wss" else None,
            server_hostname=host if scheme == "wss" else None,
            additional_headers=headers,
            user_agent_header=agent(contact),
            proxy=None,
            open_timeout=_STEP_S,
            close_timeout=1.0,
            max_size=MESSAGE_BYTES,
            max_queue=QUEUE,
            legacy=True,
        )
    except InvalidStatus as error:
        status, told = error.response.status_code, error.response.headers
        after_s = retry_after_s(told.get("Retry-After"), datetime.now(UTC))
        raise RefusedError(
            f"{redact(url)}: answered {status}", status, after_s, bytes(error.response.body or b"")[:4096]
        ) from error
    except (WebSocketException, OSError, ValueError) as error:
        raise UnansweredError(f"{redact(url)}: {redact(str(error)) or type(error).__name__}") from error
    with connection:
        yield Stream(connection, url, closing)


def _reach(addresses: list[str], port: int) -> socket.socket:
    failed: OSError | None = None
    for address in addresses:
        try:
            return socket.create_connection((address, port), timeout=_STEP_S)
        except OSError as error:
            failed = error
    raise failed or OSError("the host has no address")
