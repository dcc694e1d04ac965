"""Strangers' text made harmless before any channel adds its own markup.

Removed are control characters (they forge lines and drive terminals), bidirectional controls (they make a text read as
something else; Unicode TR36 §2.10.3), other invisible format characters, and lone surrogates. What letters need stays:
joiners (U+200C, U+200D), which Persian and emoji are written with.
"""

import unicodedata
from urllib.parse import urlsplit

from opinionwatch.pipeline.contracts_trend import Exemplar

_JOINERS = "\u200c\u200d"
QUOTE_CHARS = 280
"""Most characters of a post that is quoted."""


def one_line(text: str, limit: int | None = None) -> str:
    r"""The text in one line, of at most `limit` characters, without anything that is not to be seen.

    >>> one_line("all\r\nBcc: you\u202e\x1b[31m")
    'all Bcc: you [31m'
    >>> one_line("battery", limit=4)
    'bat…'
    """
    line = " ".join("".join(map(_shown, text)).split())
    return line if limit is None or len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _shown(character: str) -> str:
    match unicodedata.category(character):
        case "Cc" | "Cs":
            return " "
        case "Cf" if character not in _JOINERS:
            return ""
        case _:
            return character


def quote(exemplar: Exemplar) -> str:
    """A post as it is quoted: one line, cut to a length that people read."""
    return one_line(exemplar.text, QUOTE_CHARS)


def safe_url(url: str | None) -> str | None:
    """The address if it is plain http(s) without credentials or characters that end markup; else None.

    >>> safe_url("https://forum.example/t/1")
    'https://forum.example/t/1'
    >>> safe_url("javascript:alert(1)") is safe_url("https://x|<!channel>") is None
    True
    """
    if (
        url is None
        or len(url) > 2048
        or not url.isascii()
        or any(c in " <>|\"'`\\" or not c.isprintable() for c in url)
    ):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc else None
