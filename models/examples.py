"""The one shape of a training row, whatever file it came from. What a row does not know is None, and trains nothing."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from opinionwatch.pipeline.contracts import Label

LABELS: tuple[Label, ...] = get_args(Label)
"""Sentiment classes, in the order of every probability vector."""
NO_PAIR = 0
"""Class of a pair without a link; polarity classes follow as 1 + index in LABELS."""

Span = tuple[int, int]
"""Half-open character offsets."""
Link = tuple[Span | None, Span, int]
"""Aspect (None: only implied), opinion term, polarity as an index into LABELS."""
Target = tuple[Span, int]
"""Where somebody or something is named, and the sentiment towards it as an index into LABELS."""


@dataclass(frozen=True, slots=True)
class Example:
    """A text and whatever is known about it. Absent knowledge is None; an empty tuple means `known to have none`."""

    text: str
    source: str
    lang: str
    label: int | None = None
    classes: Literal[2, 3] = 3
    """2: the source has no neutral rows, so the label only tells negative from positive."""
    aspects: tuple[Span, ...] | None = None
    opinions: tuple[Span, ...] | None = None
    links: tuple[Link, ...] | None = None
    targets: tuple[Target, ...] | None = None


def targets_of(links: Iterable[Link]) -> tuple[Target, ...]:
    """The aspects as targets: what all opinions of an aspect agree on is the sentiment towards it.

    >>> targets_of([((0, 3), (7, 11), 2), ((20, 25), (7, 11), 0), ((20, 25), (30, 34), 2), (None, (40, 44), 0)])
    (((0, 3), 2),)
    """
    moods: dict[Span, set[int]] = {}
    for aspect, _, polarity in links:
        if aspect is not None:
            moods.setdefault(aspect, set()).add(polarity)
    return tuple((aspect, mood.pop()) for aspect, mood in moods.items() if len(mood) == 1)


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was left out: where it stands (lines count from 1) and why."""

    file: str
    line: int
    reason: str
