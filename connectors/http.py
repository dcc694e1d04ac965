"""One careful HTTP client for everything that polls.

Only http(s), only checked addresses (`guard`), at most five redirects, 8 MB of decoded body, a hundred times its size
on the wire, and so many seconds in all, however slowly the answer drips. No proxies from the environment, no cookies.
Packed only as gzip or deflate, whose unpacking can be stopped at any byte: nothing else is offered (`Accept-Encoding`),
and what comes packed otherwise, as brotli for instance, is refused before a byte of it is unpacked.
"""

import ssl
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from threading import Event
from time import monotonic

import httpcore2
import httpx2

from opinionwatch.connectors.hosts import SHARED, Hosts
from opinionwatch.connectors.quota import Quota, read_quota
from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.guard import Guard
from opinionwatch.pipeline.redact import redact
from opinionwatch.pipeline.wire import Wire, retry_after_s

AGENT = "opinionwatch"
BODY_BYTES = 8_000_000
RATIO = 100
REDIRECTS = 5
SAID_BYTES = 4_096
_RATIO_FREE_BYTES = 1_000_000
_STEP_S = {"connect": 10.0, "read": 15.0, "write": 10.0, "pool": 5.0}
_ENCODINGS = frozenset({"", "identity", "gzip", "x-gzip", "deflate"})
_HARMLESS = frozenset({"accept", "accept-language", "user-agent", "if-none-match", "if-modified-since"})
"""Headers that any server may see. Of the others every service has its own that hold a key."""
_TROUBLE = (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError, httpx2.DecodingError, OSError)


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx or 304 answer, decoded."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    url: str
    """Where it came from in the end."""


class RefusedError(RetryableError):
    """The server answered, and it was no."""

    def __init__(self, message: str, status: int, after_s: float | None, said: bytes = b"") -> None:
        super().__init__(message, after_s)
        self.status = status
        self.said = said
        """The first bytes of what the server said. They may hold anything: never for people's eyes."""


class SignInError(RetryableError):
    """A server that does not speak HTTP refused who we said we are."""


class UnansweredError(RetryableError):
    """No answer that could be read: no address, no connection, too slow, too long, damaged."""


class _Body(httpx2.SyncByteStream):
    def __init__(self, raw: httpcore2.Response) -> None:
        self._raw = raw

    def __iter__(self) -> Iterator[bytes]:
        yield from self._raw.iter_stream()


def agent(contact: str) -> str:
    """How servers see us."""
    return f"{AGENT}/{version(AGENT)}" + (f" ({contact})" if contact else "")


@cache
def tls() -> ssl.SSLContext:
    """One context for all clients: each would cost 0.2 s and some memory."""
    return httpx2.create_ssl_context(trust_env=False)


class Client:
    """Asks for URLs, one at a time; a source has one of its own.

    Raises FatalError when the URL can never be asked, and when it is gone (410); RetryableError for everything else,
    with `after_s` from Retry-After or the service's own rate-limit headers (`quota`). Messages hold no query strings
    and no userinfo.
    """

    def __init__(
        self,
        guard: Guard,
        contact: str = "",
        total_s: float = 60.0,
        hosts: Hosts | None = None,
        body_bytes: int = BODY_BYTES,
        hidden: str = "",
    ) -> None:
        """`hidden`: a part of addresses that no message may show, for services that want their token there."""
        self._guard = guard
        self._hidden = hidden
        self._agent = agent(contact)
        self._total_s = total_s
        self._hosts = hosts or SHARED
        self._body_bytes = body_bytes
        self.quota: Quota | None = None
        """What the service said last about how much may still be asked; None when it never says."""
        self._closing = Event()
        self._wire = Wire(guard, self._closing)
        self._pool: httpcore2.ConnectionPool | None = None

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        """GET a URL, following redirects; secrets go to the same host, scheme and port, or from http to its https."""
        return self._follow(url, headers, None)

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """POST to a URL. It may be repeated, so only what changes nothing is to be asked this way; no redirects."""
        return self._follow(url, headers, body)

    def _follow(self, url: str, headers: Mapping[str, str] | None, body: bytes | None) -> Answer:
        try:
            target = self._guard.url(url)
        except ValueError as error:
            raise FatalError(f"{self._shown(url)}: {error}") from error
        self._wire.deadline = monotonic() + self._total_s
        sent = {name.lower(): value for name, value in (headers or {}).items()}
        for _ in range(REDIRECTS + 1):
            try:
                answer = self._ask(target, sent, body)
            except _TROUBLE as error:
                raise UnansweredError(f"{self._shown(target)}: {_in_words(error)}") from error
            if isinstance(answer, Answer):
                return answer
            if body is not None:
                raise RetryableError(f"{self._shown(url)}: redirects, and what was posted goes nowhere else")
            sent = carried(sent, target, answer)
            target = answer
        raise RetryableError(f"{self._shown(url)}: more than {REDIRECTS} redirects")

    def _shown(self, url: httpx2.URL | str) -> str:
        return redact(str(url).replace(self._hidden, "…") if self._hidden else str(url))

    def pause(self, host: str, seconds: float) -> None:
        """Ask a host nothing for a while, for it said so in its own way."""
        self._hosts.pause(host, min(seconds, 3600))

    def learn(self, remaining: float | None, limit: float | None = None) -> None:
        """What a service says in its answer, instead of in its headers, about how much may still be asked."""
        if remaining is not None:
            self.quota = Quota(remaining, limit=limit)

    def close(self) -> None:
        """End what is being read, within a second."""
        self._closing.set()

    def _ask(self, url: httpx2.URL, sent: Mapping[str, str], body: bytes | None) -> Answer | httpx2.URL:
        """One request: its answer, or where it redirects to."""
        host = url.raw_host.decode("ascii")
        self._hosts.take_turn(host, self._closing)
        if self._pool is None:
            self._pool = httpcore2.ConnectionPool(
                ssl_context=tls(), network_backend=self._wire, max_keepalive_connections=0
            )
        headers = {"user-agent": self._agent, **sent, "accept-encoding": "gzip, deflate"}
        if body is not None:
            headers["content-length"] = str(len(body))
        with self._pool.stream(
            "GET" if body is None else "POST",
            httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=[(b"host", url.netloc), *((name.encode(), value.encode()) for name, value in headers.items())],
            content=body,
            extensions={"timeout": _STEP_S},
        ) as raw:
            response = httpx2.Response(raw.status, headers=raw.headers, stream=_Body(raw))
            self._learn_quota(host, response)
            if response.has_redirect_location:
                return self._next(url, response.headers["location"])
            if not response.is_success and raw.status != 304:
                raise self._refusal(url, host, response)
            told = b"" if raw.status == 304 else self._read(response)
            return Answer(raw.status, {name.lower(): value for name, value in response.headers.items()}, told, str(url))

    def _learn_quota(self, host: str, response: httpx2.Response) -> None:
        now = datetime.now(UTC)
        self.quota = read_quota({name.lower(): value for name, value in response.headers.items()}, now) or self.quota
        wait_s = self.quota.wait_s(now) if self.quota else None
        if wait_s:
            self._hosts.pause(host, min(wait_s, 3600))

    def _refusal(self, url: httpx2.URL, host: str, response: httpx2.Response) -> FatalError | RetryableError:
        now = datetime.now(UTC)
        after_s = retry_after_s(response.headers.get("retry-after"), now)
        if after_s is None and self.quota is not None:
            after_s = self.quota.wait_s(now)
        if after_s and response.status_code in (429, 503):
            self._hosts.pause(host, min(after_s, 3600))
        words = f"{self._shown(url)}: answered {response.status_code} {response.reason_phrase}".rstrip()
        if response.status_code == 410:
            return FatalError(words)
        return RefusedError(words, response.status_code, after_s, self._beginning(response))

    @staticmethod
    def _beginning(response: httpx2.Response) -> bytes:
        """Some bytes of a refusal: services name their reason there. Unpacked no further than that."""
        try:
            raw = next(response.iter_raw(), b"")
            packed = response.headers.get("content-encoding", "identity") != "identity"
            return zlib.decompressobj(47).decompress(raw, SAID_BYTES) if packed else raw[:SAID_BYTES]
        except (*_TROUBLE, zlib.error):
            return b""

    def _next(self, url: httpx2.URL, location: str) -> httpx2.URL:
        try:
            return self._guard.url(str(url.join(location)))
        except (ValueError, httpx2.InvalidURL) as error:
            raise RetryableError(f"{self._shown(url)}: a redirect is not followed: {error}") from error

    def _read(self, response: httpx2.Response) -> bytes:
        codings = [coding.strip().lower() for coding in response.headers.get("content-encoding", "").split(",")]
        if len(codings) > 2 or not _ENCODINGS.issuperset(codings):
            raise httpx2.DecodingError(f"packed as {', '.join(codings)[:40]!r}, which was not asked for: left packed")
        length = response.headers.get("content-length", "")
        if length.isdecimal() and int(length[:12]) > self._body_bytes:
            raise httpx2.DecodingError(f"longer than {self._body_bytes:,} bytes")
        body = bytearray()
        for piece in response.iter_bytes():
            body += piece
            if len(body) > self._body_bytes:
                raise httpx2.DecodingError(f"longer than {self._body_bytes:,} bytes")
            if len(body) > _RATIO_FREE_BYTES and len(body) > RATIO * response.num_bytes_downloaded:
                raise httpx2.DecodingError(f"unpacks to more than {RATIO} times its size")
        return bytes(body)


def carried(sent: Mapping[str, str], before: httpx2.URL, after: httpx2.URL) -> dict[str, str]:
    """The headers (names in lower case) that go along with a redirect: to another server only the harmless ones."""
    same = (before.scheme, before.raw_host, before.port) == (after.scheme, after.raw_host, after.port)
    safer = (before.scheme, after.scheme) == ("http", "https") and before.raw_host == after.raw_host
    return {name: value for name, value in sent.items() if same or safer or name in _HARMLESS}


def _in_words(error: Exception) -> str:
    if isinstance(error, httpcore2.TimeoutException):
        return "no answer in time"
    if isinstance(error, httpcore2.LocalProtocolError):  # it quotes the header, which may hold a key
        return "the request cannot be sent like this: look for odd characters in the key or token"
    return str(error) or type(error).__name__
