"""The article behind a feed entry: fetched with manners, read by trafilatura."""

from time import monotonic
from urllib.robotparser import RobotFileParser

import httpx2
import structlog
import trafilatura
from lxml import etree  # type: ignore[import-untyped]  # ships no types

from opinionwatch.connectors.charset import decode
from opinionwatch.connectors.hosts import BusyError
from opinionwatch.connectors.http import AGENT, Client, RefusedError
from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.redact import redact

PAGE_BYTES = 2_000_000
ELEMENTS = 10_000
SIBLINGS = 1_000
"""Beyond, trafilatura's searches take minutes, and nothing else can run meanwhile."""
_ROBOTS_S = 24 * 3600.0
_UNTOLD_S = 600.0
"""So long a site that does not say is not asked again, and taken to forbid everything (RFC 9309, 2.3.1.4)."""
_NOTHING = ["User-agent: *", "Disallow: /"]
_ROBOTS_HOSTS = 500
_ROBOTS_BYTES = 512_000
_log = structlog.get_logger(__name__)


def is_modest(page: str) -> bool:
    """Whether a page has no more elements, and no more of them side by side, than articles have."""
    root = etree.fromstring(page.encode("utf-8", "replace"), etree.HTMLParser(encoding="utf-8", no_network=True))
    if root is None:
        return False
    return all(len(element) <= SIBLINGS and number < ELEMENTS for number, element in enumerate(root.iter()))


class FullText:
    """Fetches articles that robots.txt (RFC 9309) allows. A page that cannot be had leaves the feed's own summary."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._robots: dict[str, tuple[float, RobotFileParser]] = {}

    def of(self, address: str) -> str | None:
        """The main text of a page, None when there is none to be had."""
        try:
            if not self._allowed(address):
                return None
            answer = self._client.get(address, {"accept": "text/html"})
        except (RetryableError, FatalError) as error:
            _log.info("fulltext.missing", reason=str(error))
            return None
        except (httpx2.InvalidURL, ValueError) as error:  # the feed's link, or a path in robots.txt, is no address
            _log.info("fulltext.missing", reason=redact(f"{address}: {error}"))
            return None
        if "html" not in answer.headers.get("content-type", "html") or len(answer.body) > PAGE_BYTES:
            return None
        text = decode(answer.body, answer.headers.get("content-type", ""))
        if not is_modest(text):
            _log.info("fulltext.immodest", url=redact(address))
            return None
        found = trafilatura.extract(text, include_comments=False, include_tables=False)
        return found or None

    def _allowed(self, address: str) -> bool:
        url = httpx2.URL(address)
        origin = f"{url.scheme}://{url.netloc.decode('ascii')}"
        known = self._robots.get(origin)
        if known is None or known[0] < monotonic():
            if len(self._robots) >= _ROBOTS_HOSTS:
                self._robots.clear()
            known = self._robots[origin] = self._ask(f"{origin}/robots.txt")
        return known[1].can_fetch(AGENT, address)

    def _ask(self, address: str) -> tuple[float, RobotFileParser]:
        """Rules of a site, and until when they hold; none when it has none. Raises BusyError when it was not asked."""
        rules = RobotFileParser()
        lasts_s = _ROBOTS_S
        lines: list[str] = []
        try:
            body = self._client.get(address, {"accept": "text/plain"}).body
            lines = body[:_ROBOTS_BYTES].decode("utf-8", "replace").splitlines()
        except BusyError:
            raise
        except RetryableError as error:
            if not isinstance(error, RefusedError) or error.status >= 500 or error.status == 429:
                lines, lasts_s = _NOTHING, _UNTOLD_S
                _log.info("fulltext.missing", reason=str(error))
        except FatalError:
            lines = []  # 410 Gone
        try:
            rules.parse(lines)
        except ValueError as error:  # a path that is no address, a number of other digits
            rules = RobotFileParser()
            rules.parse(_NOTHING)
            _log.info("fulltext.robots_unreadable", url=redact(address), reason=str(error))
        return monotonic() + lasts_s, rules
