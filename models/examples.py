"""The one shape of a training row, whatever file it came from. What a row does not know is None, and trains nothing."""

from dataclasses import dataclass
from typing import Literal

LABELS = ("negative", "neutral", "positive")
"""Sentiment classes, in the order of every probability vector."""
NO_PAIR = 0
"""Class of a pair without a link; polarity classes follow as 1 + index in LABELS."""

Span = tuple[int, int]
"""Half-open character offsets."""
Link = tuple[Span | None, Span, int]
"""Aspect (None: only implied), opinion term, polarity as an index into LABELS."""


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


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was left out: where it stands (lines count from 1) and why."""

    file: str
    line: int
    reason: str
