"""How common each class is in a source, taken off what a model learns.

Of one source's tweets 15 % are negative, of another's 60 %: what was collected, not what people mean. A model that
learns these shares repeats them wherever the texts look alike. So while training, the logarithm of how much commoner
than on average a class is in a row's source is added to its logits (Menon et al., Long-Tail Learning via Logit
Adjustment, ICLR 2021), and what the network says itself is for classes that are equally likely.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from math import log

from opinionwatch.models.examples import Example

Prior = tuple[float, float, float]
"""To add to the logits of LABELS."""
NONE: Prior = (0.0, 0.0, 0.0)
FEWEST = 50
"""Labelled rows; of a smaller source nothing is said."""


def priors(examples: Iterable[Example], strength: float) -> dict[str, Prior]:
    """By source. A source of two classes says nothing of `neutral`; one row more of each class, so that none is absent.

    >>> rows = [Example("", "chat", "en", label=label) for label in [0] * 9 + [1] * 49 + [2] * 39]
    >>> [round(number, 2) for number in priors(rows, 1)["chat"]]
    [-1.2, 0.41, 0.18]
    """
    counts: defaultdict[str, Counter[int]] = defaultdict(Counter)
    classes: dict[str, int] = {}
    for example in examples:
        if example.label is not None:
            counts[example.source][example.label] += 1
            classes[example.source] = example.classes
    return {
        source: _prior(count, (0, 1, 2) if classes[source] == 3 else (0, 2), strength)
        for source, count in counts.items()
        if count.total() >= FEWEST
    }


def _prior(count: Counter[int], known: tuple[int, ...], strength: float) -> Prior:
    whole = count.total() + len(known)
    told = {kind: strength * log(len(known) * (count[kind] + 1) / whole) for kind in known}
    return told.get(0, 0.0), told.get(1, 0.0), told.get(2, 0.0)
