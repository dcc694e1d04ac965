"""Weak supervision: opinion terms that the project's lexicon finds where the row's own label agrees.

English triplets whose terms permit shipped weights do not exist. Reviews whose aspects are marked do, and reviews that
are good or bad as a whole; which words say so is not marked there, but a lexicon knows many of them: the opinion words
near an aspect, as in Hu and Liu, Mining and Summarizing Customer Reviews (KDD 2004). What the label contradicts, or
where the lexicon finds nothing, stays unknown and trains nothing.
"""

import re
from dataclasses import replace
from functools import cache

from opinionwatch.models.examples import LABELS, Example, Link, Span, Target
from opinionwatch.models.lexicon_rules import Hit, judge
from opinionwatch.models.lexicon_scan import Scanner
from opinionwatch.models.lexicon_words import words

NEGATIVE, NEUTRAL, POSITIVE = range(len(LABELS))
_LEADING = re.compile(r"^(?:the|a|an|i) (?=\w)", re.IGNORECASE)


def with_terms(example: Example) -> Example:
    """The same row with opinion terms, and with links where its aspects have a sentiment; or as it is."""
    hits = [hit for hit in judge(_scanner().scan(example.text), example.text).hits if hit.value]
    if not hits:
        return example
    if example.targets:
        return _linked(example, hits)
    if example.label in (NEGATIVE, POSITIVE) and all(_polarity(hit) == example.label for hit in hits):
        return replace(example, opinions=tuple(_span(example, hit) for hit in hits))
    return example


def _linked(example: Example, hits: list[Hit]) -> Example:
    """Each term about the nearest aspect of its polarity; unknown unless every aspect and every term finds another."""
    links: list[Link] = []
    for hit in hits:
        about = [target for target in example.targets or () if _may_be(hit, target)]
        if not about:
            return example
        aspect, polarity = min(about, key=lambda target: _gap((hit.start, hit.mark.end), target[0]))
        links.append((aspect, _span(example, hit), polarity))
    if {aspect for aspect, _, _ in links} != {aspect for aspect, _ in example.targets or ()}:
        return example
    return replace(example, opinions=tuple(opinion for _, opinion, _ in links), links=tuple(links))


def _may_be(hit: Hit, target: Target) -> bool:
    (start, end), polarity = target
    apart = end <= hit.start or hit.mark.end <= start
    return apart and polarity == _polarity(hit)


def _gap(one: Span, other: Span) -> int:
    return max(one[0] - other[1], other[0] - one[1])


def _span(example: Example, hit: Hit) -> Span:
    """Without the article or pronoun that an entry begins with: `best` of `the best`."""
    term = example.text[hit.start : hit.mark.end]
    return hit.mark.end - len(_LEADING.sub("", term)), hit.mark.end


def _polarity(hit: Hit) -> int:
    return POSITIVE if hit.value > 0 else NEGATIVE


@cache
def _scanner() -> Scanner:
    return Scanner(words())
