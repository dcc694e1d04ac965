"""One pass over a text: the lexicon's entries in it, and where clauses and sentences end."""

import re
from itertools import pairwise
from typing import NamedTuple

from opinionwatch.models.lexicon_words import WORD, Entry, Phrase, Words

_PAUSES = ",;:，；：—"
_ENDS = ".!?\n。！？…~" + _PAUSES
_IS_WORD, _MAY_BEGIN = 1, 2
_LONG = re.compile(r"([a-z])\1\1")
_RUN = re.compile(r"([a-z])\1{2,}")


class Mark(NamedTuple):
    """An entry at its place."""

    entry: Entry
    start: int
    end: int
    word: int
    """Number of words before it; -1 for a run of characters, whose distances are counted in characters."""


class End(NamedTuple):
    """The end of a clause, or of a sentence."""

    sentence: bool


class Scanner:
    """Finds the longest entry at every place. Linear in the text."""

    def __init__(self, words: Words) -> None:
        self._words = words
        starts = "".join(re.escape(first) for first in sorted(words.starts))
        self._token = re.compile(
            rf"https?://\S+|www\.\S+|@[a-z0-9_]+|({WORD})|([{starts}])|([!?\n。！？…~,;:，；：—]|\.(?!\w))"
        )

    def scan(self, text: str) -> list[Mark | End]:
        """Marks and ends in order; marks do not overlap. A URL or a mention of somebody is passed over."""
        low = text.lower()
        if len(low) != len(text):
            low = "".join(each if len(each := char.lower()) == 1 else char for char in text)
        if not low.isascii():
            low = low.translate(self._words.simplify)
        found: list[Mark | End] = []
        tokens = list(self._token.finditer(low))
        words = [token for token in tokens if token.lastindex == _IS_WORD]
        stretched = _LONG.search(low) is not None
        reached, at = 0, -1
        for token in tokens:
            kind, start = token.lastindex, token.start()
            at += kind == _IS_WORD
            if kind is None or start < reached:
                continue
            mark = None
            if kind == _IS_WORD:
                mark = self._phrase(low, words, at, stretched)
            elif kind == _MAY_BEGIN:
                mark = self._run(low, start)
            if mark is not None:
                found.append(mark)
                reached = mark.end
            elif token[0] in _ENDS:
                found.append(End(token[0] not in _PAUSES))
        return found

    def _phrase(self, low: str, words: "list[re.Match[str]]", at: int, stretched: bool) -> Mark | None:
        first = words[at]
        word = first[0].replace("’", "'")
        phrases = self._words.phrases.get(word)
        if phrases is None and stretched:
            phrases = self._squeezed(word)
        for rest, entry in phrases or ():
            if not rest:
                return Mark(entry, first.start(), first.end(), at)
            found = words[at : at + len(rest) + 1]
            if rest == tuple(each[0].replace("’", "'") for each in found[1:]) and _together(low, found):
                return Mark(entry, first.start(), found[-1].end(), at)
        return None

    def _squeezed(self, word: str) -> tuple[Phrase, ...] | None:
        """`sooooo goooood` as `so good`."""
        return self._words.phrases.get(_RUN.sub(r"\1\1", word)) or self._words.phrases.get(_RUN.sub(r"\1", word))

    def _run(self, low: str, start: int) -> Mark | None:
        for length in self._words.lengths.get(low[start : start + 2], ()):
            run = low[start : start + length]
            entry = self._words.runs.get(run)
            if entry is not None and not (run[-1].isascii() and run[-1].isalnum() and _in_word(low, start, length)):
                # At the end of a text there may be fewer characters than were asked for.
                return Mark(entry, start, start + len(run), -1)
        entry = self._words.runs.get(low[start])
        return Mark(entry, start, start + 1, -1) if entry is not None else None


def _together(low: str, words: "list[re.Match[str]]") -> bool:
    """Whether nothing but blanks, hyphens and slashes is between the words."""
    return all(not low[one.end() : other.start()].strip(" -/") for one, other in pairwise(words))


def _in_word(low: str, start: int, length: int) -> bool:
    """Whether an emoticon such as `:d` or `/s` is only a part of something else."""
    sides = low[max(0, start - 1) : start] + low[start + length : start + length + 1]
    return any(char.isascii() and char.isalnum() for char in sides)
