"""Which text encodings are taken from the outside, and how bytes of unknown encoding become text."""

import codecs
import re

_TEXT = re.compile(
    r"ascii|utf-(8(-sig)?|16|32)(-[bl]e)?|gb2312|gbk|gb18030|hz|big5(hkscs)?|cp\d+|euc_\w+|shift_jis\w*|"
    r"iso2022_\w+|iso8859-\d+|koi8-[rut]|mac-\w+|tis-620|johab"
)
"""Encodings of natural text. Others that Python knows (punycode, unicode_escape, …) are slow or mean something else."""


def known_encoding(name: str) -> str | None:
    """The canonical name of a text encoding, None if it is none.

    >>> known_encoding("GB2312"), known_encoding("punycode"), known_encoding("zip")
    ('gb2312', None, None)
    """
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        return None
    return found if _TEXT.fullmatch(found) else None
