"""Bytes from outside as people may see them: decoded, personal data masked, controls escaped, bounded."""

import re
from collections.abc import Iterable

from opinionwatch.pipeline.clean import SLACK
from opinionwatch.pipeline.pii import mask

HEADERS, NAME_CHARS, VALUE_CHARS = 32, 100, 256
"""What is kept of a record's headers: so many, and so much of each."""
HIDDEN = "[hidden]"
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
_SECRET = re.compile(r"(?i)auth|cookie|credential|passw|secret|session|signature|token|api.?key")


def cut(text: str, limit: int, *, whole: bool) -> str:
    """At most `limit` characters; of a text that was cut before, the end may hold half of something personal."""
    return text[:limit] if whole else text[: max(len(text) - SLACK, 0)][:limit].rstrip()


def printable(text: str) -> str:
    r"""The text on one line, with what cannot be seen written as an escape.

    >>> printable("a\x00\nb\u202e")
    'a\\x00 b\\u202e'
    """
    return UNPRINTABLE.sub(_escape, text)


def headers(given: Iterable[tuple[str, bytes]]) -> tuple[tuple[str, str], ...]:
    """A record's headers as a dead letter keeps them: the first 32, and nothing of what is called like a secret.

    >>> headers([("trace", b"7f"), ("mail", b"to ann@example.org"), ("X-Auth-Token", b"hunter2")])
    (('trace', '7f'), ('mail', 'to [email]'), ('X-Auth-Token', '[hidden]'))
    """
    kept = list(given)[:HEADERS]
    return tuple((_of(name.encode("utf-8", "surrogatepass"), NAME_CHARS), _value(name, value)) for name, value in kept)


def _value(name: str, value: bytes) -> str:
    return HIDDEN if _SECRET.search(name) else _of(value, VALUE_CHARS)


def _of(value: bytes, limit: int) -> str:
    window = 2 * (limit + SLACK)
    text = value[: 4 * window].decode("utf-8", "backslashreplace")
    whole = len(value) <= 4 * window and len(text) <= window
    return printable(cut(mask(text[:window]), limit, whole=whole))[:limit]


def _escape(found: re.Match[str]) -> str:
    if found[0] in "\t\n\r":  # between the parts of pretty JSON; an escape there would spoil it
        return " "
    return found[0].encode("unicode_escape").decode("ascii")
