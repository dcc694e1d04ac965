"""E-mail messages as texts: the part a person reads, without what they quote."""

import re
from datetime import UTC
from email import message_from_bytes, policy
from email.errors import MessageError
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import parseaddr
from functools import lru_cache

from opinionwatch.connectors.charset import decode_labelled
from opinionwatch.connectors.entry import Entry

_QUOTED = re.compile(
    r"(?m)^(?:>|-{2,}\s*(?:Original Message|原始邮件|Forwarded message)"
    r"|On .{1,200} wrote:|在.{1,100}写道[::]|发件人[::])"
)
_NARROW = re.compile(r"=\?(?:gb2312|gbk)\?", re.IGNORECASE)
"""Labels of encoded words (RFC 2047) that the library would take at their word."""
_KEPT_CHARS = 200
HEADER_CHARS = 2_000
"""Of a longer header only the beginning is parsed: the library takes hours for one that fills a whole letter."""
_DEFECTS = (MessageError, ValueError, LookupError, AttributeError, TypeError, AssertionError, RecursionError)
"""What the library may raise on hostile messages."""


class _Policy(EmailPolicy):
    """The library's own, which parses a header anew each time it is looked at: here, those that come again are kept."""

    def header_fetch_parse(self, name: str, value: str) -> str:
        """A header, parsed."""
        value = _NARROW.sub("=?gb18030?", value[:HEADER_CHARS])
        return _kept(name, value) if len(value) <= _KEPT_CHARS else super().header_fetch_parse(name, value)


@lru_cache(maxsize=1_024)
def _kept(name: str, value: str) -> str:
    found: str = policy.default.header_fetch_parse(name, value)
    return found


_POLICY = _Policy()


def read(raw: bytes) -> EmailMessage:
    """Parse a message. Raises ValueError when it cannot be read at all."""
    try:
        found = message_from_bytes(raw, policy=_POLICY)
    except _DEFECTS as error:
        raise ValueError(f"no message: {type(error).__name__}") from error
    if not isinstance(found, EmailMessage):
        raise ValueError("no message: another kind of one")  # noqa: TRY004  # one kind of error for callers
    return found


def text_of(message: EmailMessage) -> tuple[str, bool]:
    """What is to be read in it, and whether that is HTML; attachments are not."""
    try:
        part = message.get_body(("plain", "html"))
        if part is None:
            return "", False
        content = part.get_payload(decode=True)
        if not isinstance(content, bytes):
            return "", False
        # The library's own `get_content` decodes with whatever the letter names, be it no encoding of text at all.
        return decode_labelled(content, part.get_content_charset("ascii")), part.get_content_subtype() == "html"
    except _DEFECTS:
        return "", False


def header(message: EmailMessage, name: str) -> str:
    """A header as text; empty when it is not there or not to be read."""
    try:
        return str(message[name] or "").strip()
    except _DEFECTS:
        return ""


def entry_of(raw: bytes, otherwise: str) -> Entry | None:
    """A message as a text; `otherwise` names it when it has no Message-ID. None when there is nothing to read."""
    try:
        message = read(raw)
    except ValueError:
        return None
    text, is_html = text_of(message)
    title = header(message, "subject")
    if not text.strip() and not title:
        return None
    if not is_html:
        quoted = _QUOTED.search(text)
        text = text[: quoted.start()].rstrip() if quoted and text[: quoted.start()].strip() else text
    return Entry(
        header(message, "message-id")[:512] or otherwise,
        text,
        title=title or None,
        author=parseaddr(header(message, "from"))[1].lower() or None,
        published_at=_date(message),
        html=is_html,
    )


def _date(message: EmailMessage) -> str | None:
    try:
        at = message["date"].datetime
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).isoformat() if at else None
    except _DEFECTS:
        return None
