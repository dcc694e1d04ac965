"""Versions: of one text, which of two stands, whichever came first; and of this program."""

from datetime import UTC, datetime
from functools import cache
from hashlib import blake2b
from importlib.metadata import version

DELETED = 1 << 62
"""The version of a text that its author or its source has taken back: above all others, and the last one."""
_HASH_BITS = 10
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def version_of(edited_at: datetime | None, text: str) -> int:
    """The version of a text as it was when it was edited then: the later edit is the higher one; of two edits of one
    moment their contents decide. 0: as it was first published.

    A function of immutable content, so the order of arrival has no say.

    >>> at = datetime(2026, 3, 1, tzinfo=UTC)
    >>> version_of(None, "a") < version_of(at, "b") < version_of(at.replace(hour=1), "a") < DELETED
    True
    """
    if edited_at is None:
        return 0
    since = edited_at - _EPOCH
    micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    digest = int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=2).digest(), "big")
    return (micros << _HASH_BITS) | (digest & ((1 << _HASH_BITS) - 1))


@cache
def program() -> str:
    """The version of this program: dead letters say which one buried them."""
    return version("opinionwatch")
