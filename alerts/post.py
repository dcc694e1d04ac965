"""One careful POST for every channel that speaks JSON over HTTP.

Only checked addresses (`pipeline.guard`), no redirects, no proxies from the environment, 64 KiB of answer, and so many
seconds in all. What the address is (it is a secret) stands in no message and no log.
"""

import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from ipaddress import ip_address
from threading import Event
from time import monotonic
from urllib.parse import urlsplit

import httpcore2

from opinionwatch.alerts.channel import UncertainError
from opinionwatch.alerts.escape import one_line
from opinionwatch.pipeline.errors import RejectedError, RetryableError
from opinionwatch.pipeline.guard import Guard
from opinionwatch.pipeline.redact import redact
from opinionwatch.pipeline.wire import Wire, retry_after_s

ANSWER_BYTES = 65_536
_BEFORE = (httpcore2.ConnectError, httpcore2.ConnectTimeout, httpcore2.PoolTimeout, httpcore2.UnsupportedProtocol)
"""The service had nothing of it yet."""
_AFTER = (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError, OSError)
_PASSING = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Reply:
    """What the service answered."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def words(self) -> str:
        """The start of the body, as one line that may be shown."""
        return redact(one_line(self.body.decode("utf-8", "replace"), 120))


class Post:
    """Posts to one service."""

    def __init__(self, service: str, *, timeout_s: float, allow_private: bool, judged: Collection[int] = ()) -> None:
        """`service` is what errors call it. Without `allow_private` only the open internet is connected to. Answers
        with a status in `judged` are returned: whoever calls judges them by their body.
        """
        self._judged = judged
        self._service, self._timeout_s, self._allow_private = service, timeout_s, allow_private

    def __call__(self, url: str, body: bytes, headers: Mapping[str, str] | None = None) -> Reply:
        """Post JSON. Raises RetryableError for 408, 425, 429 (with Retry-After), 5xx and when nobody can be reached,
        UncertainError when the answer is lost, RejectedError for every other answer that is not 2xx or judged.
        """
        reply = self._ask(url, body, {"content-type": "application/json; charset=utf-8", **(headers or {})})
        said = f"{self._service} answered {reply.status} {reply.words}".rstrip()
        if reply.status in _PASSING or reply.status >= 500:
            raise RetryableError(said, after_s=retry_after_s(reply.headers.get("retry-after"), datetime.now(UTC)))
        if not 200 <= reply.status < 300 and reply.status not in self._judged:
            raise RejectedError("channel_refused", said)
        return reply

    def _ask(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        guard = Guard([_bracketed(host)] if self._allow_private else [])
        self._refuse_private(guard, host, port)
        wire = Wire(guard, Event())
        wire.deadline = monotonic() + self._timeout_s
        sent = {"user-agent": f"opinionwatch/{version('opinionwatch')}", "accept": "application/json", **headers}
        try:
            with (
                httpcore2.ConnectionPool(ssl_context=_tls(), network_backend=wire, max_keepalive_connections=0) as pool,
                pool.stream(
                    "POST",
                    url,
                    headers=[(name.encode(), value.encode()) for name, value in sent.items()],
                    content=body,
                    extensions={"timeout": {"connect": 10.0, "read": self._timeout_s, "write": 10.0, "pool": 5.0}},
                ) as raw,
            ):
                return Reply(raw.status, _headers(raw), _read(raw))
        except _BEFORE as error:
            raise RetryableError(f"{self._service} cannot be reached ({type(error).__name__})") from None
        except _AFTER as error:
            raise UncertainError(f"no answer from {self._service} ({type(error).__name__})") from None

    def _refuse_private(self, guard: Guard, host: str, port: int) -> None:
        """The connection is checked again where it is made: here a refusal gets its own words, and is for good."""
        try:
            guard.addresses(host, port)
        except ValueError:
            raise RejectedError(
                "channel_refused",
                f"{host} points into a private network; write `allow_private: true` for the channel if that is meant",
            ) from None
        except OSError as error:
            raise RetryableError(f"{self._service} cannot be found ({type(error).__name__})") from None


@cache
def _tls() -> ssl.SSLContext:
    """One context for all: each would cost 0.2 s."""
    return httpcore2.default_ssl_context()


def _bracketed(host: str) -> str:
    try:
        return f"[{host}]" if ip_address(host).version == 6 else host
    except ValueError:
        return host


def _headers(raw: httpcore2.Response) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in raw.headers}


def _read(raw: httpcore2.Response) -> bytes:
    body = bytearray()
    for piece in raw.iter_stream():
        body += piece
        if len(body) > ANSWER_BYTES:
            break
    return bytes(body[:ANSWER_BYTES])
