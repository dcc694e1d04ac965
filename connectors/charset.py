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


_DECLARED = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})["']""")
_IN_HEADER = re.compile(r"""charset\s*=\s*["']?([A-Za-z0-9._:-]{1,40})""", re.IGNORECASE)
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_SEVEN_BIT = re.compile(r"hz|iso2022_\w+|utf-(16|32)(-[bl]e)?")
"""Encodings whose bytes may look like harmless UTF-8."""
SUPERSETS = {"gb2312": "gb18030", "gbk": "gb18030", "iso8859-1": "cp1252"}
"""Browsers read these as more than they are, and so do the people who write them."""


def decode(body: bytes, content_type: str) -> str:
    """Text of a document from the web, whatever it claims to be encoded in; undecodable bytes become U+FFFD.

    A byte order mark decides; then what the bytes are, since valid UTF-8 with anything but ASCII in it is hardly ever
    something else; then the document's own word, and the server's last: a wrong header is the commonest mistake.

    >>> decode("<a>é</a>".encode(), "text/xml; charset=iso-8859-1")
    '<a>é</a>'
    >>> decode("<a>中</a>".encode("gbk"), "text/xml; charset=gb2312")
    '<a>中</a>'
    """
    for mark, name in _BOMS:
        if body.startswith(mark):
            return body.decode(name, "replace")
    if body.startswith((b"<\x00", b"\x00<")):  # XML 1.0, appendix F
        return body.decode("utf-16-le" if body.startswith(b"<") else "utf-16-be", "replace")
    inside, outside = _DECLARED.search(body[:400]), _IN_HEADER.search(content_type[:200])
    named = [found[1].decode() for found in [inside] if found] + [found[1] for found in [outside] if found]
    declared = [known for name in named if (known := known_encoding(name))]
    declared = [SUPERSETS.get(name, name) for name in declared]
    eight_bit = [name for name in declared if not _SEVEN_BIT.fullmatch(name)]
    for name in ["utf-8", *eight_bit] if declared == eight_bit else [*declared, "utf-8"]:
        try:
            return body.decode(name)
        except UnicodeError:
            continue
    return body.decode((eight_bit or ["utf-8"])[0], "replace")


def decode_labelled(body: bytes, label: str) -> str:
    """Text whose writer labelled it, as mail programs do: the label is believed as far as it fits the bytes.

    Otherwise, and when it names no encoding of text, the bytes are read like a document from the web.

    >>> decode_labelled("囧".encode("gbk"), "gb2312"), decode_labelled("é".encode(), "us-ascii")
    ('囧', 'é')
    """
    known = known_encoding(label)
    if known is None:
        return decode(body, "")
    name = SUPERSETS.get(known, known)
    try:
        return body.decode(name)
    except UnicodeError:
        return body.decode(name, "replace") if _SEVEN_BIT.fullmatch(name) else decode(body, f"charset={known}")
