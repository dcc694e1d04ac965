"""The digests that Google Alerts sends: what they announce, one text a result."""

from collections.abc import Iterator
from email.utils import parseaddr
from urllib.parse import parse_qs, urlsplit

from selectolax.lexbor import LexborHTMLParser

from opinionwatch.connectors.entry import Entry
from opinionwatch.connectors.found import Found
from opinionwatch.connectors.mail import header, read
from opinionwatch.pipeline.contracts import content_id
from opinionwatch.pipeline.errors import RetryableError

SENDER = "googlealerts-noreply@google.com"
RESULTS = 500
_PAGE_CHARS = 500_000


def announced(raw: bytes) -> Iterator[Entry]:
    """The results in a digest; none when the message is not one of Google Alerts.

    They stand in the mail's HTML twice: for people, and as JSON in `<script data-scope="inboxmarkup">` (from memory:
    Google documents neither, and nothing was found on 2026-11-26). The JSON is taken, so a new look changes nothing.
    Who claims to be the sender is not checked here: the mail server does that.
    """
    try:
        message = read(raw)
        part = message.get_body(("html",))
        page = part.get_content() if part is not None else ""
    except (ValueError, LookupError, AttributeError, TypeError):
        return
    if parseaddr(header(message, "from"))[1].lower() != SENDER or not isinstance(page, str):
        return
    date = header(message, "date") or None
    for script in LexborHTMLParser(page[:_PAGE_CHARS]).css('script[data-scope="inboxmarkup"]')[:1]:
        try:
            digest = Found.read(script.text().encode(), "Google Alerts")
        except RetryableError:
            return
        widgets = [widget for card in digest.each("cards") for widget in card.each("widgets")]
        for widget in widgets[:RESULTS]:
            address = target(widget.text("url") or "")
            title, text = widget.text("title"), widget.text("description")
            if title or text:
                key = address or content_id(title or "", text or "")
                yield Entry(key[:512], text or "", title=title, url=address, published_at=date, source=_host(address))


def target(address: str) -> str | None:
    """Where a link of the digest leads in the end.

    >>> target("https://www.google.com/url?rct=j&sa=t&url=https://news.example/a%3Fb%3D1&ct=ga")
    'https://news.example/a?b=1'
    """
    try:
        parts = urlsplit(address)
        if parts.hostname in ("www.google.com", "google.com") and parts.path == "/url":
            query = parse_qs(parts.query)
            return next(iter([*query.get("url", ()), *query.get("q", ())]), None)
    except ValueError:
        return None
    return address or None


def _host(address: str | None) -> str | None:
    try:
        return (urlsplit(address or "").hostname or "").removeprefix("www.")[:64] or None
    except ValueError:
        return None
