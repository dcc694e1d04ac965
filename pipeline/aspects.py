"""What people complain about, under one name: the taxonomy of aspects, in English and Chinese.

The built-in one is `aspects.yaml`; a watchlist adds its own terms, which win over the built-in ones.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

import yaml

from opinionwatch.pipeline.contracts import OpinionTerm, Reading, Span
from opinionwatch.pipeline.fold import fold
from opinionwatch.pipeline.terms import Term, Terms

GENERAL = "general"
"""The cell of a mention whose aspect is not known."""


class Aspect(NamedTuple):
    """An aspect term found in a text."""

    name: str
    span: Span


@lru_cache
def built_in() -> Mapping[str, tuple[str, ...]]:
    """The taxonomy that ships with the program: canonical name to terms."""
    text = files("opinionwatch.pipeline").joinpath("aspects.yaml").read_text(encoding="utf-8")
    return {str(name): tuple(map(str, terms)) for name, terms in yaml.safe_load(text).items()}


class _Index:
    """Terms of a taxonomy, their plurals, and the aspect that each one means."""

    def __init__(self, taxonomy: Mapping[str, Sequence[str]]) -> None:
        names = {form: name for name, terms in taxonomy.items() for term in terms for form in _forms(term)}
        self._names = list(names.values())
        self._terms = Terms(Term(term) for term in names)

    def find(self, text: str) -> list[Aspect]:
        """Every aspect term in a folded text."""
        found = self._terms.find(text).items()
        return [Aspect(self._names[number], span) for number, spans in found for span in spans]


@lru_cache
def _built_in_index() -> _Index:
    return _Index(built_in())


class Aspects:
    """A taxonomy: the built-in one, with `custom` terms over it. An aspect with an empty list of terms is left out."""

    def __init__(self, custom: Mapping[str, Sequence[str]] | None = None) -> None:
        own = {name: (name, *terms) for name, terms in (custom or {}).items() if terms}
        self._left_out = frozenset(name for name, terms in (custom or {}).items() if not terms)
        self._own = _Index(own)
        self._shared = _built_in_index()
        self._known: dict[str, str | None] = {}

    def canonical(self, term: str) -> str | None:
        """The aspect that a term of an opinion means; None when it means none that is known.

        >>> Aspects().canonical("Batteries"), Aspects().canonical("手机续航能力"), Aspects().canonical("vibes")
        ('battery', 'battery', None)
        """
        if term not in self._known:
            if len(self._known) > 10_000:
                self._known.clear()
            found = self.find(fold(term).text)
            # In English the head of a compound comes last, in Chinese too: 屏幕质量 is about 质量.
            best = max(found, key=lambda aspect: (_length(aspect.span), aspect.span), default=None)
            self._known[term] = best.name if best else None
        return self._known[term]

    def find(self, text: str) -> list[Aspect]:
        """The aspects in a folded text, by place; of overlapping terms the longest."""
        own = self._own.find(text)
        shared = [aspect for aspect in self._shared.find(text) if aspect.name not in self._left_out]
        # The sort is stable: of two terms of one length the watchlist's own stands.
        found = sorted([*own, *shared], key=lambda aspect: -_length(aspect.span))
        kept: list[Aspect] = []
        for aspect in found:
            start, end = aspect.span
            if all(end <= other.span[0] or other.span[1] <= start for other in kept):
                kept.append(aspect)
        return sorted(kept, key=lambda aspect: aspect.span)


class Cell(NamedTuple):
    """Where a mention is counted, and every aspect it is about."""

    aspect: str
    aspects: tuple[str, ...]


def cell(reading: Reading, text: str, aspects: Aspects) -> Cell:
    """The aspect of the strongest opinion that has one; else of the taxonomy term nearest to it; else `general`.

    The strongest opinion of a negative document is its strongest negative one, and so for the other labels: a complaint
    about the battery that praises the screen is counted as a complaint about the battery.
    """
    label = reading.sentiment.label
    opinions = sorted(reading.opinions, key=lambda opinion: (opinion.polarity != label, -opinion.confidence))
    named = [name for opinion in opinions if (name := _named(opinion, aspects))]
    if not named:
        found = aspects.find(fold(text).text)
        place = opinions[0].opinion_span[0] if opinions else 0
        named = [aspect.name for aspect in sorted(found, key=lambda aspect: abs(aspect.span[0] - place))]
    distinct = tuple(dict.fromkeys(named))
    return Cell(distinct[0] if distinct else GENERAL, distinct)


def _named(opinion: OpinionTerm, aspects: Aspects) -> str | None:
    """What an opinion is about by its aspect term, else by its opinion term: `rude` is about staff."""
    return aspects.canonical(opinion.aspect or "") or aspects.canonical(opinion.opinion)


def _length(span: Span) -> int:
    return span[1] - span[0]


def _forms(term: str) -> list[str]:
    """An English noun and its plural; everything else alone."""
    if not term.isascii() or not term[-1:].isalpha() or len(term) < 3:
        return [term]
    if term[-1] == "y" and term[-2] not in "aeiou":
        return [term, term[:-1] + "ies"]
    return [term] if term[-1] == "s" else [term, term + ("es" if term.endswith(("sh", "ch", "x")) else "s")]
