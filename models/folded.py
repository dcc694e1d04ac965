"""Training rows as a scorer will read them.

The pipeline folds a text before anybody reads it (`pipeline/fold.py`): a full-width comma is a comma, what is invisible
is gone. What is trained and measured on is folded too, or a model would learn signs that it never meets again.
"""

from bisect import bisect_left
from dataclasses import replace

from opinionwatch.models.examples import Example, Span
from opinionwatch.pipeline.fold import fold


def folded(example: Example) -> Example:
    """The row with its text folded, and its spans where their characters are now.

    >>> screen, good = (1, 3), (4, 5)
    >>> shown = Example("\\u200b屏幕，好！", "s", "zh", aspects=(screen,), opinions=(good,), links=((screen, good, 2),))
    >>> row = folded(shown)
    >>> row.text, row.aspects, row.opinions, row.links
    ('屏幕,好!', ((0, 2),), ((3, 4),), (((0, 2), (3, 4), 2),))
    """
    found = fold(example.text)
    offsets = found.offsets
    if offsets is None:
        return example if found.text == example.text else replace(example, text=found.text)

    def moved(span: Span) -> Span:
        return bisect_left(offsets, span[0]), bisect_left(offsets, span[1])

    return replace(
        example,
        text=found.text,
        aspects=None if example.aspects is None else tuple(map(moved, example.aspects)),
        opinions=None if example.opinions is None else tuple(map(moved, example.opinions)),
        links=None
        if example.links is None
        else tuple((aspect and moved(aspect), moved(opinion), mood) for aspect, opinion, mood in example.links),
        targets=None if example.targets is None else tuple((moved(span), mood) for span, mood in example.targets),
    )
