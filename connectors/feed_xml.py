"""XML of feeds made safe: refused when hostile, repaired when merely careless.

feedparser is thorough and slow, and on some input it takes minutes while nothing else can run. So nothing reaches it
that was not checked in one linear pass of expat: no document type (hence no entities, no external files), bounded
depth, counts and lengths, and well-formed, so that its slower second parser never starts.
"""

import re
from html.entities import html5
from xml.parsers import expat

from lxml import etree  # type: ignore[import-untyped]  # ships no types

DEPTH = 200
ELEMENTS = 150_000
"""feedparser takes about 50 µs for each."""
ATTRIBUTES = 100
NAMESPACES = 100
SHORT_CHARS = 1_000
_PEOPLE = {"author", "name", "email", "creator", "publisher", "contributor", "owner", "webmaster", "managingeditor"}
_DATES = {"pubdate", "published", "updated", "modified", "created", "issued", "date", "lastbuilddate", "expirationdate"}
_SHORT = _PEOPLE | _DATES | {"guid", "id", "link", "url", "uri", "language"}
"""Elements that are short in every honest feed, and that feedparser searches with quadratic patterns."""
_ROOTS = frozenset({"rss", "feed", "rdf"})
_CUT_OFF = frozenset({3, 5, 6, 20})
"""expat's errors at an end that comes too soon."""
_ROOT = re.compile(r"<(?:[\w.-]{1,40}:)?(?:rss|feed|rdf)\b", re.IGNORECASE)
_END = re.compile(r"</(?:[\w.-]{1,40}:)?(?:rss|feed|rdf)\s*>", re.IGNORECASE)
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_AMPERSAND = re.compile(
    r"&(?:(#[0-9]{1,7};|#x[0-9a-fA-F]{1,6};|(?:amp|lt|gt|quot|apos);)|([A-Za-z][A-Za-z0-9]{1,30};))?"
)
_DECLARED = re.compile(r"xmlns:([\w.-]{1,40})\s*=")
_USED = re.compile(r"</?([A-Za-z_][\w.-]{0,39}):[A-Za-z_]")
_KNOWN = {
    "content": "http://purl.org/rss/1.0/modules/content/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "media": "http://search.yahoo.com/mrss/",
    "itunes": "http://www.itunes.com/dtds/podcast-1.0.dtd",
    "atom": "http://www.w3.org/2005/Atom",
}


def checked(text: str) -> bytes:
    """The feed as well-formed UTF-8, from its root element on. Raises ValueError with the reason when it cannot be."""
    data = text.encode("utf-8", "replace")
    try:
        return _Check(data).from_root()
    except expat.ExpatError as error:
        if error.code in _CUT_OFF or not _END.search(text[-2000:]):
            raise ValueError("the feed is cut off before its end") from error
    repaired = _repair(text)
    try:
        return _Check(repaired).from_root()
    except expat.ExpatError:
        lenient = etree.XMLParser(
            recover=True, resolve_entities=False, no_network=True, load_dtd=False, encoding="utf-8"
        )
        root = etree.fromstring(repaired, lenient)
        if root is None:
            raise ValueError("not XML") from None
    try:
        return _Check(etree.tostring(root, encoding="utf-8")).from_root()
    except expat.ExpatError as error:
        raise ValueError(f"not well-formed XML: {error}") from error


class _Check:
    """One pass over a document, counting."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._start = 0
        self._depth = self._elements = self._namespaces = self._short = self._chars = 0
        self._parser = expat.ParserCreate("utf-8", " ")
        self._parser.buffer_text = True
        self._parser.ordered_attributes = True
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._open
        self._parser.EndElementHandler = self._close
        self._parser.CharacterDataHandler = self._text
        self._parser.StartNamespaceDeclHandler = self._namespace

    def from_root(self) -> bytes:
        """The bytes from the root on. Raises ExpatError when malformed, ValueError when refused."""
        self._parser.Parse(self._data, True)
        return self._data[self._start :]

    def _doctype(self, name: str, *rest: object) -> None:
        del name, rest
        raise ValueError("a document type is refused: it could define entities")

    def _open(self, name: str, attributes: list[str]) -> None:
        local = name.rpartition(" ")[2].lower()
        if not self._elements:
            self._start = self._parser.CurrentByteIndex
            if local not in _ROOTS:
                raise ValueError(f"not a feed but <{local[:40]}>")
        self._depth += 1
        self._elements += 1
        if self._short or local in _SHORT:
            self._short += 1
            self._chars = 0 if self._short == 1 else self._chars
        _at_most(DEPTH, self._depth, "elements deep")
        _at_most(ELEMENTS, self._elements, "elements")
        _at_most(ATTRIBUTES, len(attributes) // 2, "attributes at one element")

    def _close(self, name: str) -> None:
        del name
        self._depth -= 1
        self._short = max(0, self._short - 1)

    def _text(self, text: str) -> None:
        if self._short:
            self._chars += len(text)
            _at_most(SHORT_CHARS, self._chars, "characters in an author, a date or an id")

    def _namespace(self, prefix: str | None, uri: str) -> None:
        del prefix, uri
        self._namespaces += 1
        _at_most(NAMESPACES, self._namespaces, "namespaces")


def _at_most(limit: int, count: int, what: str) -> None:
    if count > limit:
        raise ValueError(f"more than {limit:,} {what}: refused as hostile")


def _repair(text: str) -> bytes:
    """Mend the usual carelessness: junk before the root, control characters, HTML entities, bare &, loose prefixes."""
    root = _ROOT.search(text)
    if root is None:
        raise ValueError("not a feed: no <rss>, <feed> or <rdf:RDF>")
    text = _NO_XML.sub("", text[root.start() :])
    parts = []
    at = 0
    while at < len(text):
        start = text.find("<![CDATA[", at)
        start = len(text) if start < 0 else start
        end = text.find("]]>", start)
        end = len(text) if end < 0 else end
        parts += [_AMPERSAND.sub(_entity, text[at:start]), text[start:end]]
        at = end
    mended = "".join(parts)
    missing = set(_USED.findall(mended)) - set(_DECLARED.findall(mended)) - {"xml", "xmlns"}
    _at_most(NAMESPACES, len(missing), "namespaces")
    names = "".join(f' xmlns:{prefix}="{_KNOWN.get(prefix, f"urn:{prefix}")}"' for prefix in sorted(missing))
    tag = root.end() - root.start()
    return f"{mended[:tag]}{names}{mended[tag:]}".encode("utf-8", "replace")


def _entity(found: re.Match[str]) -> str:
    if found[1]:
        return found[0]
    return html5.get(found[2], f"&amp;{found[2]}") if found[2] else "&amp;"
