"""Cuts texts into batches by a token budget, sorted by length, with no timers.

In a group a text is padded to a width that depends on its own length only, never on its neighbours; in a pack it is not
padded at all. So the arithmetic of a text is the same whatever batch it falls into, up to what the matrix library does
with the number of rows.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

STEP_SHORT, STEP_LONG, SHORT = 4, 16, 64
"""Widths are multiples of 4 up to 64 tokens and of 16 beyond: at most a few per cent of padding."""


class Group(NamedTuple):
    """Texts that share a width: their indices in the order given, and the width in tokens."""

    indices: list[int]
    width: int


def width(tokens: int) -> int:
    """The padded width of a text.

    >>> [width(n) for n in (2, 4, 5, 64, 65, 128)]
    [4, 4, 8, 64, 80, 128]
    """
    step = STEP_SHORT if tokens <= SHORT else STEP_LONG
    return -(-tokens // step) * step


def groups(lengths: Sequence[int], budget: int) -> Iterator[Group]:
    """Longest first, so that a lack of memory shows at once; each group holds at most `budget` padded tokens, and at
    least one text.
    """
    order = sorted(range(len(lengths)), key=lambda at: (-width(lengths[at]), at))
    group: list[int] = []
    for at in order:
        wide = width(lengths[at])
        if group and (wide != width(lengths[group[0]]) or (len(group) + 1) * wide > budget):
            yield Group(group, width(lengths[group[0]]))
            group = []
        group.append(at)
    if group:
        yield Group(group, width(lengths[group[0]]))


def packs(lengths: Sequence[int], budget: int) -> Iterator[Group]:
    """For a body that needs no padding: texts of any lengths, equal ones beside each other, the longest first. Each
    holds at most `budget` real tokens, and at least one text; the width is that of its longest.
    """
    order = sorted(range(len(lengths)), key=lambda at: (-lengths[at], at))
    group: list[int] = []
    tokens = 0
    for at in order:
        if group and tokens + lengths[at] > budget:
            yield Group(group, lengths[group[0]])
            group, tokens = [], 0
        group.append(at)
        tokens += lengths[at]
    if group:
        yield Group(group, lengths[group[0]])
