"""Strangers' texts for the page: cut into pieces by what was found in them, and links that are safe to follow.

Nothing here makes HTML: templates do, and they escape everything.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from urllib.parse import urlsplit

from opinionwatch.pipeline.contracts import Label, Match, OpinionTerm, Span

EXCERPT_CHARS = 420


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text in which nothing begins or ends."""

    text: str
    aspect: bool = False
    match: bool = False
    opinion: Label | None = None
    about: tuple[str, ...] = ()
    """Aspects that the opinion in this piece is about."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A text as a template shows it; `cut` says on which side something was left out."""

    pieces: tuple[Piece, ...]
    cut_before: bool = False
    cut_after: bool = False


@dataclass(slots=True)
class _Marks:
    """What covers one stretch."""

    aspect: bool = False
    match: bool = False
    opinions: list[OpinionTerm] = field(default_factory=list)


def shown(
    text: str, opinions: Sequence[OpinionTerm], matches: Iterable[Match] = (), limit: int | None = EXCERPT_CHARS
) -> Shown:
    """The text in pieces, cut to about `limit` characters around the first thing that was found in it.

    Spans that lie outside the text are ignored: a span is a claim about the text, never a reason to show less of it.
    """
    hits = [span for match in matches for span in match.spans]
    begin, end = _excerpt(len(text), [opinion.opinion_span for opinion in opinions] or hits, limit)
    edges = {begin, end}
    for span in (*_spans(opinions), *hits):
        edges.update(edge for edge in span if begin < edge < end)
    ordered = sorted(edges)
    pieces = tuple(_piece(text[left:right], _marks((left, right), opinions, hits)) for left, right in pairwise(ordered))
    return Shown(pieces, cut_before=begin > 0, cut_after=end < len(text))


def _spans(opinions: Iterable[OpinionTerm]) -> Iterable[Span]:
    for opinion in opinions:
        yield opinion.opinion_span
        if opinion.aspect_span is not None:
            yield opinion.aspect_span


def _excerpt(length: int, spans: Sequence[Span], limit: int | None) -> Span:
    if limit is None or length <= limit:
        return 0, length
    first = min((begin for begin, _ in spans if 0 <= begin < length), default=0)
    begin = max(0, min(first - limit // 3, length - limit))
    return begin, min(length, begin + limit)


def _marks(piece: Span, opinions: Iterable[OpinionTerm], hits: Iterable[Span]) -> _Marks:
    marks = _Marks(match=any(_covers(hit, piece) for hit in hits))
    for opinion in opinions:
        if _covers(opinion.opinion_span, piece):
            marks.opinions.append(opinion)
        marks.aspect |= opinion.aspect_span is not None and _covers(opinion.aspect_span, piece)
    return marks


def _covers(span: Span, piece: Span) -> bool:
    return span[0] <= piece[0] and piece[1] <= span[1]


def _piece(text: str, marks: _Marks) -> Piece:
    strongest = max(marks.opinions, key=lambda opinion: opinion.confidence, default=None)
    return Piece(
        text,
        aspect=marks.aspect,
        match=marks.match,
        opinion=None if strongest is None else strongest.polarity,
        about=tuple(dict.fromkeys(opinion.aspect for opinion in marks.opinions if opinion.aspect)),
    )


def web_link(url: str | None) -> str | None:
    """The address if a reader may follow it: plain http(s) with a host; None for everything else.

    >>> web_link("https://forum.example/t/1")
    'https://forum.example/t/1'
    >>> [web_link(url) for url in ("javascript:alert(1)", "//x.example", " https://x.example", "https://", None)]
    [None, None, None, None, None]
    """
    if url is None or len(url) > 4096 or not url.isprintable() or any(c in ' <>"\\' for c in url):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc else None
