"""Errors for people's eyes: one line, short, and without the parts of an address that may hold a secret."""

import re

_ADDRESS = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,20}://)(?:[^\s/?#@\"'<>]*@)?([^\s?#\"'<>]*)[^\s\"'<>]*")
_MARKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_CHARS = 400


def redact(text: str) -> str:
    """Leave out userinfo, query and fragment of every URL, line ends, and what is beyond 400 characters.

    >>> redact("GET https://me:pw@example.org/feed?key=s3cret failed\\nagain")
    'GET https://example.org/feed failed again'
    """
    plain = _ADDRESS.sub(r"\1\2", _MARKS.sub(" ", text[: 4 * _CHARS]))
    return plain if len(plain) <= _CHARS else plain[: _CHARS - 1] + "…"
