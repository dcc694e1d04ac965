"""Fold a text for machines while people keep seeing the original.

Scorer, matcher and fingerprint read a text in which compatibility forms are plain (NFKC: full-width, ligatures, styled
letters), look-alike letters inside Latin words are Latin (a part of the "confusables" of Unicode TS 39), and invisible
characters are gone. Every place in the folded text maps back to a place in the shown one.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from opinionwatch.pipeline.contracts import Span

_ALIKE = """
    A АΑᎪ, B ВΒᏴ, C СϹᏟ, E ЕΕᎬ, H НΗᎻ, I ІΙӀ, J ЈᎫ, K КΚᏦ, M МΜᎷ, N Ν, O ОΟՕ, P РΡᏢ, S ЅᏚ, T ТΤᎢ, V ѴᏙ, W ԜᏔ, X ХΧ,
    Y УΥҮ, Z ΖᏃ, a аαɑᴀ, b ЬьƄʙ, c сϲᴄ, d ԁᴅɗ, e еᴇҽ, f ꜰ, g ɡɢց, h һհʜ, i іιɪı, j јϳᴊ, k кκᴋ, l ӏʟ, m мᴍ, n ոɴп,
    o оοօᴏ, p рρᴘ, q ԛզ, r гᴦʀ, s ѕꜱ, t тτᴛ, u υսᴜ, v νѵᴠ, w ԝաᴡ, x хχ, y уγʏү, z ᴢ
"""
_LOOKALIKES = {ord(alike): pair.strip()[0] for pair in _ALIKE.split(",") for alike in pair.strip()[2:]}
_FOREIGN = re.compile("[" + "".join(map(chr, _LOOKALIKES)) + "\u0370-\u03ff\u0400-\u052f\u0531-\u0587\u13a0-\u13ff]")
_STYLED = re.compile("[\u24b6-\u24e9\U0001d400-\U0001d7ff\U0001f130-\U0001f169]")
_WORD = re.compile(r"[^\W\d_]+")
_LATIN = re.compile(r"[A-Za-z]")
_INVISIBLE = frozenset("\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u2800\u3164\ufeff\uffa0")


@dataclass(frozen=True, slots=True)
class Folded:
    """A folded text and where each of its characters comes from.

    `offsets[i]` is the place in the shown text where folded character `i` begins, `offsets[len(text)]` the shown text's
    length; None when folding moved nothing. They never decrease.
    """

    text: str
    offsets: Sequence[int] | None = None
    obfuscated: bool = False
    """Whether letters were dressed up: look-alikes within a word, or styled alphabets."""

    def span(self, start: int, end: int) -> Span:
        """The shown characters that `text[start:end]` stands for; whole characters, so never empty unless it is.

        >>> fold("ｏｋ ﬁne").span(3, 5)
        (3, 4)
        """
        if self.offsets is None:
            return start, end
        if start >= end:
            return self.offsets[start], self.offsets[start]
        # An end inside the expansion of one shown character takes the whole of it.
        last = self.offsets[end - 1]
        return self.offsets[start], self.offsets[bisect_right(self.offsets, last)]


class _Plain(dict[int, str]):
    """NFKC of one character, found once; invisible ones become nothing."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        invisible = char in _INVISIBLE or (unicodedata.category(char) in ("Cf", "Cs") and char != "\u200d")
        plain = "" if invisible or 0xFE00 <= code <= 0xFE0F else unicodedata.normalize("NFKC", char)
        # İ is the only character whose lower case is two; as I it keeps lower-casing one to one.
        plain = plain.replace("İ", "I")
        # Spacing accents and the like decompose into a blank and a mark; they stay what they are.
        self[code] = plain if plain.strip() or plain in ("", " ", "\n") else " " if char.isspace() else char
        return self[code]


_PLAIN = _Plain()


def fold(text: str) -> Folded:
    """Fold a text. Linear; ASCII costs nothing.

    >>> fold("Ｂａｔｔеry ①").text
    'Battery 1'
    """
    if text.isascii():
        return Folded(text)
    pieces = [_PLAIN[code] for code in map(ord, text)]
    folded = "".join(pieces)
    offsets: list[int] | None = None
    if len(folded) != len(text) or "" in pieces:
        offsets = [at for at, piece in enumerate(pieces) for _ in piece]
        offsets.append(len(text))
    if not unicodedata.is_normalized("NFC", folded):
        folded, offsets = _compose(folded, offsets)
    dressed = _STYLED.search(text) is not None
    undressed = _unmask(folded) if _FOREIGN.search(folded) else folded
    return Folded(undressed, offsets, dressed or undressed != folded)


def _compose(text: str, offsets: list[int] | None) -> tuple[str, list[int]]:
    """NFC, one base character with its marks at a time, so that places stay known."""
    given = offsets or [*range(len(text) + 1)]
    composed: list[str] = []
    places: list[int] = []
    start = 0
    for end in range(1, len(text) + 1):
        if end < len(text) and (unicodedata.combining(text[end]) or _joins(text[end])):
            continue
        piece = unicodedata.normalize("NFC", text[start:end])
        composed.append(piece)
        places += [given[min(start + at, end - 1)] for at in range(len(piece))]
        start = end
    places.append(given[-1])
    return "".join(composed), places


def _joins(char: str) -> bool:
    """Korean vowels and finals join the consonant before them without being marks."""
    return "\u1161" <= char <= "\u1175" or "\u11a8" <= char <= "\u11c2"


def _unmask(text: str) -> str:
    """Look-alikes become Latin inside Latin words, and in whole words of look-alikes where all else is Latin."""
    foreign = {}
    honest = False
    for found in _WORD.finditer(text):
        word = found[0]
        if not _FOREIGN.search(word):
            continue
        plain = word.translate(_LOOKALIKES)
        if not plain.isascii() and not _LATIN.search(word):
            honest = True
        elif plain != word:
            foreign[found.span()] = (plain, bool(_LATIN.search(word)))
    if not foreign:
        return text
    whole = not honest and _LATIN.search(text) is not None
    pieces, at = [], 0
    for (start, end), (plain, mixed) in foreign.items():
        if mixed or whole:
            pieces += [text[at:start], plain]
            at = end
    return "".join([*pieces, text[at:]])
