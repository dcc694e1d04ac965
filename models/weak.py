"""Weak supervision: opinion terms that the project's lexicon finds where the row's own label agrees.

English triplets whose terms permit shipped weights do not exist. Reviews whose aspects are marked do, and reviews that
are good or bad as a whole; which words say so is not marked there, but a lexicon knows many of them: the opinion words
near an aspect, as in Hu and Liu, Mining and Summarizing Customer Reviews (KDD 2004). What the label contradicts, or
where the lexicon finds nothing, stays unknown and trains nothing.
"""

import re
from dataclasses import replace
from functools import cache

from opinionwatch.models.examples import LABELS, Example, Link, Span
from opinionwatch.models.lexicon_rules import Hit, judge
from opinionwatch.models.lexicon_scan import Scanner
from opinionwatch.models.lexicon_words import words

NEGATIVE, NEUTRAL, POSITIVE = range(len(LABELS))
_LEADING = re.compile(r"^(?:the|an?|i|we) +(?=\w)", re.IGNORECASE)


def with_terms(example: Example) -> Example:
    """The same row with opinion terms, and with links where its aspects have a sentiment; or as it is.

    What a row knows already stays. A face or an emoji is no term, but what it says must agree as well.
    """
    if example.opinions is not None:
        return example
    hits = [hit for hit in judge(_scanner().scan(example.text), example.text).hits if hit.value]
    terms = tuple(_span(example, hit) for hit in hits if _is_said(example, hit))
    if not terms:
        return example
    if example.targets:
        return _linked(example, hits)
    if example.label in (NEGATIVE, POSITIVE) and all(_polarity(hit) == example.label for hit in hits):
        return replace(example, opinions=terms)
    return example


def _linked(example: Example, hits: list[Hit]) -> Example:
    """Each term about the nearest aspect of its polarity; unknown unless every aspect and every term finds another.

    An aspect of which a mood is a part (`value for money`) may be no opinion there: that is unknown, too.
    """
    targets = example.targets or ()
    named = {*(example.aspects or ()), *(aspect for aspect, _ in targets)}
    links: list[Link] = []
    for hit in hits:
        place = (hit.start, hit.mark.end)
        about = [target for target in targets if target[1] == _polarity(hit)]
        if not about or any(_gap(place, aspect) < 0 for aspect in named):
            return example
        aspect, polarity = min(about, key=lambda target: _gap(place, target[0]))
        if _is_said(example, hit):
            links.append((aspect, _span(example, hit), polarity))
    if {aspect for aspect, _, _ in links} != {aspect for aspect, _ in targets}:
        return example
    return replace(example, opinions=tuple(opinion for _, opinion, _ in links), links=tuple(links))


def _is_said(example: Example, hit: Hit) -> bool:
    return example.text[hit.mark.start].isalnum()


def _gap(one: Span, other: Span) -> int:
    """Characters between two places; negative where they overlap."""
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
