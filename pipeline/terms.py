"""Many terms found in one pass over a text: the one index behind watchlists and aspects.

Scripts with blanks between words are matched word by word, so `seat` is not in `seated`; Chinese, Japanese, Korean and
Thai are matched as substrings. A look-up by first word or first two characters finds the few candidates, so the time a
text takes does not grow with the number of terms.

* White space in a term stands for any white space, hyphen or underscore: `air force` finds `air-force`; between
  Chinese and Latin it may be missing or added: `iPhone16手机` finds `iPhone16 手机`.
* `#LumoraFail` and `@LumoraCare` count as the words that their capitals show; `#airforce` as `air force`.
* Case does not matter unless asked for; accents never do.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from opinionwatch.pipeline.contracts import Span
from opinionwatch.pipeline.fold import fold

_D = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u30ff\u3400-\u9fff"
    "\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Scripts without blanks between words, or (Korean) with endings glued to them."""
_DENSE = re.compile(f"[{_D}]")
_WORD = re.compile(rf"[^\W_{_D}]+")
_TAG = re.compile(rf"[#@]([^\W{_D}]+)")
_HUMP = re.compile(r"[^\W\d_a-z]+(?![a-z])|[^\W\d_]?[a-z]+|\d+|[^\W\d_]")
_MAX_HUMPS = 12
_NOTHING = re.compile(r"(?!)")
_GAP = r"[\s_-]{1,4}"
_MAY_GAP = r"[\s_-]{0,4}"


class Term(NamedTuple):
    """Something to look for."""

    text: str
    case_sensitive: bool = False


class _Plan(NamedTuple):
    """How one term is found: where to look, and what must stand there."""

    term: int
    back: int
    """Characters of the term before its anchor."""
    literal: str
    """What must stand there literally, if no pattern is needed."""
    simple: bool
    """Whether the literal alone decides; else its pattern does."""
    case_sensitive: bool


class _Bare(dict[int, str]):
    """Every character without its accents and with plain apostrophes, one for one."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        parts = unicodedata.normalize("NFD", char)
        bare = parts[0] if len(parts) > 1 and all(unicodedata.combining(mark) for mark in parts[1:]) else char
        self[code] = "'" if char in "’‘ʼ＇" else bare
        return self[code]


_BARE = _Bare()


def bare(text: str) -> str:
    """The text as terms see it, character for character."""
    return text if text.isascii() else text.translate(_BARE)


class Terms:
    """An index of terms, known by their position in the given order."""

    def __init__(self, terms: Iterable[Term]) -> None:
        self._by_word: dict[str, list[_Plan]] = {}
        self._by_dense: dict[str, list[_Plan]] = {}
        self._by_tag: dict[str, list[_Plan]] = {}
        for number, term in enumerate(terms):
            self._add(number, term)
        starts = {key[0] for key in self._by_dense}
        self._starts = re.compile("[" + re.escape("".join(sorted(starts))) + "]") if starts else _NOTHING

    def _add(self, number: int, term: Term) -> None:
        shown = bare(fold(" ".join(term.text.split())).text)
        text = shown if term.case_sensitive else shown.lower()
        if not text:
            raise ValueError("an empty term matches nothing")
        word, dense = _WORD.search(text), _DENSE.search(text)
        if word and (not dense or word.start() < dense.start()):
            simple = word[0] == text
            plan = _Plan(number, word.start(), text, simple, term.case_sensitive)
            self._by_word.setdefault(word[0].lower(), []).append(plan)
        else:
            at = dense.start() if dense else 0
            simple = " " not in text and (word is None or all(_DENSE.match(char) for char in text))
            plan = _Plan(number, at, text, simple, term.case_sensitive)
            pair = len(text) > at + 1 and dense and _DENSE.match(text[at + 1])
            self._by_dense.setdefault(text[at : at + 2] if pair else text[at], []).append(plan)
        squashed = re.sub(r"[\s_-]", "", text)
        if _WORD.fullmatch(squashed):
            plan = _Plan(number, 0, squashed, True, term.case_sensitive)
            self._by_tag.setdefault(squashed.lower(), []).append(plan)

    def find(self, text: str) -> dict[int, list[Span]]:
        """Where each term stands in a folded text; terms that do not stand there are left out."""
        cased = bare(text)
        low = cased.lower()
        found: dict[int, list[Span]] = {}
        for plan, start in self._candidates(low):
            here = cased if plan.case_sensitive else low
            if not plan.simple:
                match = _pattern(plan.literal).match(here, start)
                if match:
                    found.setdefault(plan.term, []).append(match.span())
            elif here.startswith(plan.literal, start):
                found.setdefault(plan.term, []).append((start, start + len(plan.literal)))
        if self._by_tag and ("#" in text or "@" in text):
            self._find_in_tags(cased, found)
        return found

    def _candidates(self, low: str) -> Iterator[tuple[_Plan, int]]:
        """Plans whose anchor stands in the text, and where their term would begin."""
        for word in _WORD.finditer(low):
            for plan in self._by_word.get(word[0], ()):
                if word.start() >= plan.back:
                    yield plan, word.start() - plan.back
        for first in self._starts.finditer(low):
            at = first.start()
            for plan in (*self._by_dense.get(low[at : at + 2], ()), *self._by_dense.get(first[0], ())):
                if at >= plan.back:
                    yield plan, at - plan.back

    def _find_in_tags(self, cased: str, found: dict[int, list[Span]]) -> None:
        for tag in _TAG.finditer(cased):
            humps = [hump.span() for hump in _HUMP.finditer(cased, *tag.span(1))][:_MAX_HUMPS]
            for first, (start, _) in enumerate(humps):
                for _, end in humps[first:]:
                    piece = cased[start:end]
                    for plan in self._by_tag.get(piece.lower(), ()):
                        span = (start, end)
                        if (not plan.case_sensitive or piece == plan.literal) and span not in found.get(plan.term, ()):
                            found.setdefault(plan.term, []).append(span)


@lru_cache(maxsize=100_000)
def _pattern(text: str) -> re.Pattern[str]:
    """Boundaries where a word begins or ends, free white space, optional blanks between scripts. Linear: no nesting."""
    pieces: list[str] = []
    if _WORD.match(text[0]):
        pieces.append(rf"(?<![^\W_{_D}])")
    for at, char in enumerate(text):
        before, after = text[at - 1 : at], text[at + 1 : at + 2]
        if char in " _-" and before and after:
            pieces.append(_MAY_GAP if _DENSE.match(before) or _DENSE.match(after) else _GAP)
            continue
        if before and before not in " _-" and bool(_DENSE.match(char)) != bool(_DENSE.match(before)):
            pieces.append(r"\s?")
        pieces.append(re.escape(char))
    if _WORD.match(text[-1]):
        pieces.append(rf"(?![^\W_{_D}])")
    return re.compile("".join(pieces))
