"""Which names stand beside a watchlist's own in the same texts: what a longer list would add.

A candidate is a run of capitalised words or of words with digits, a hashtag, or (Chinese has no capitals) a quoted
title or a gram of two to four characters whose neighbours vary on both sides, which is how new words are found in text
without a dictionary. What is also written in lower case is a word and no name. Candidates are ranked by the
log-likelihood ratio G² of standing in matched texts and not in others (Dunning 1993).
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

MIN_TEXTS = 3
"""A name that stands in fewer matched texts is chance."""
MIN_G2 = 10.83
"""The 0.1 % point of χ² with one degree of freedom."""
MAX_CHARS = 2_000
"""Of a text that is looked at."""
_LOWER_SHARE = 0.3
_PIECE = 0.8
_KEPT = 200_000

_NAME = re.compile(r"(?:[A-Z][\w'’&-]*|\w*\d[\w-]*)(?: (?:[A-Z][\w'’&-]*|\d[\w-]*)){0,2}", re.ASCII)
_WORD = re.compile(r"[a-z][\w'’&-]*", re.ASCII)
_TAG = re.compile(r"#([^\s#@]{2,40})#|#(\w{2,40})")
_TITLE = re.compile(r"《([^《》]{2,20})》|「([^「」]{2,20})」|“([^“”]{2,20})”")
_PLAIN = re.compile(r"[A-Z][a-z'’-]*")
_BEGINNING = re.compile(r"(?:^|[.!?:\n。！？：])[\s\"'“”‘’(]*$")
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]+")
FUNCTION = frozenset(
    "的了是在我你他她它们这那有和就不都也很要说去到会着没看好自上下个之与及或而但因为所以如果吗吧呢啊呀哦嗯么什怎还又再"
    "让给把被对从向以于其此每各将已更最太只可能得过来出起用想跟等才像比真"
)
"""Particles, pronouns, and other characters of which no name is made."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A name that often stands beside a watchlist's own."""

    name: str
    beside: int
    """Matched texts that it stands in."""
    alone: int
    """Texts that the watchlist does not match and that it stands in: what naming it would add."""
    g2: float


class Cooccurring:
    """Counts candidates in matched and other texts of one watchlist; each text once."""

    def __init__(self, own: Iterable[str]) -> None:
        """`own` are the terms that the watchlist has already."""
        self._own = {term.lower() for term in own}
        bounded = [rf"\b{re.escape(term)}\b" if term.isascii() else re.escape(term) for term in sorted(self._own)]
        self._cut = re.compile("|".join(bounded) or r"(?!)", re.IGNORECASE)
        self._beside: Counter[str] = Counter()
        self._alone: Counter[str] = Counter()
        self._words: Counter[str] = Counter()
        self._quoted: set[str] = set()
        self._before: dict[str, set[str]] = {}
        self._after: dict[str, set[str]] = {}
        self._texts = [0, 0]

    def add(self, text: str, *, matched: bool) -> None:
        """Count one text."""
        text = self._cut.sub("\0", text[:MAX_CHARS])
        self._texts[matched] += 1
        counts = self._beside if matched else self._alone
        if len(counts) > _KEPT:
            for name in [name for name, count in counts.items() if count == 1]:
                del counts[name]
        quoted = set(_quoted(text))
        self._quoted |= quoted
        found = quoted | set(_latin(text))
        self._words.update(set(_WORD.findall(text)))
        for run in _HAN.findall(text):
            for gram, before, after in _grams(run):
                found.add(gram)
                if matched:
                    self._before.setdefault(gram, set()).add(before)
                    self._after.setdefault(gram, set()).add(after)
        counts.update(found)

    def best(self, limit: int) -> list[Candidate]:
        """The candidates worth a look, strongest first, none a piece of another."""
        found = [
            Candidate(name, beside, self._alone[name], self._g2(name))
            for name, beside in self._beside.items()
            if beside >= MIN_TEXTS and self._is_name(name)
        ]
        chosen: list[Candidate] = []
        for candidate in sorted(found, key=lambda one: (-one.g2, -len(one.name), one.name)):
            if candidate.g2 < MIN_G2 or len(chosen) == limit:
                break
            if not any(_same(candidate, other) for other in chosen):
                chosen.append(candidate)
        longer = [one for one in chosen if not self._is_piece(one, chosen)]
        return longer[:limit]

    def _is_name(self, name: str) -> bool:
        low = name.lower()
        if any(low in own or own in low for own in self._own):
            return False
        if not _HAN.fullmatch(name):
            written = self._beside[name] + self._alone[name]
            return self._words[low] < _LOWER_SHARE * (written + self._words[low])
        if name in self._quoted:
            return True
        return min(len(self._before.get(name, "-")), len(self._after.get(name, "-"))) > 1

    def _is_piece(self, one: Candidate, others: Sequence[Candidate]) -> bool:
        return any(
            one.name != other.name and one.name in other.name and other.beside >= _PIECE * one.beside
            for other in others
        )

    def _g2(self, name: str) -> float:
        """Zero when it stands in matched texts no more often than in others."""
        here, there = self._beside[name], self._alone[name]
        matched, others = self._texts[1], self._texts[0]
        if here * others <= there * matched:
            return 0.0
        both = (here + there) / (matched + others)
        terms = ((here, matched * both), (there, others * both), (matched - here, matched * (1 - both)),
                 (others - there, others * (1 - both)))  # fmt: skip
        return 2 * math.fsum(seen * math.log(seen / expected) for seen, expected in terms if seen > 0 and expected > 0)


def _latin(text: str) -> Iterator[str]:
    for found in _NAME.finditer(text):
        name = found[0].strip("'’&-").removesuffix("'s").removesuffix("’s")
        # Any word has a capital where a sentence begins.
        begins = _PLAIN.fullmatch(name) and _BEGINNING.search(text, 0, found.start())
        if len(name) > 1 and not name.isdigit() and not begins:
            yield name


def _quoted(text: str) -> Iterator[str]:
    for pattern in (_TAG, _TITLE):
        for found in pattern.finditer(text):
            yield next(part for part in found.groups() if part)


def _grams(run: str) -> Iterator[tuple[str, str, str]]:
    """Each gram of two to four characters, with the characters before and after it (`-` at an end)."""
    for size in (2, 3, 4):
        for start in range(len(run) - size + 1):
            gram = run[start : start + size]
            if FUNCTION.isdisjoint(gram):
                yield gram, run[start - 1 : start] or "-", run[start + size : start + size + 1] or "-"


def _same(one: Candidate, other: Candidate) -> bool:
    """Whether two stand for one name: the end of one is the start of the other, as grams of a longer word are."""
    if not (_HAN.fullmatch(one.name) and _HAN.fullmatch(other.name)):
        return False
    if one.name in other.name:
        return other.beside >= _PIECE * one.beside
    return any(one.name[-size:] == other.name[:size] or other.name[-size:] == one.name[:size] for size in (1, 2, 3))
