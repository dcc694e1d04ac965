"""The figures by which a model is judged, from gold and predicted labels and triplets."""

from collections.abc import Sequence, Set
from typing import NamedTuple

import numpy as np

from opinionwatch.models.bootstrap import macro_f1s
from opinionwatch.models.examples import LABELS, Link


class Found(NamedTuple):
    """Precision, recall and F1, each in [0, 1]."""

    precision: float
    recall: float
    f1: float


def accuracy(gold: list[int], predicted: list[int]) -> float:
    """Share of equal labels.

    >>> accuracy([0, 1, 2, 2], [0, 1, 2, 0])
    0.75
    """
    return sum(map(int.__eq__, gold, predicted)) / len(gold)


def macro_f1(gold: list[int], predicted: list[int]) -> float:
    """Mean F1 over the classes that occur in `gold`; other classes that are predicted only cost recall.

    >>> macro_f1([0, 0, 2, 2], [0, 1, 2, 2])
    0.8333333333333333
    """
    confusion = np.zeros((len(LABELS), len(LABELS)))
    np.add.at(confusion, (gold, predicted), 1)
    return float(macro_f1s(confusion))


def found(gold: Sequence[Set[object]], predicted: Sequence[Set[object]]) -> Found:
    """Micro-averaged over rows: each row has a set of right answers and a set of given ones.

    >>> found([{"a", "b"}, set()], [{"a"}, {"c"}])
    Found(precision=0.5, recall=0.5, f1=0.5)
    """
    hits = sum(len(right & given) for right, given in zip(gold, predicted, strict=True))
    given, right = sum(map(len, predicted)), sum(map(len, gold))
    precision, recall = hits / given if given else 0.0, hits / right if right else 0.0
    return Found(precision, recall, 2 * precision * recall / (precision + recall) if hits else 0.0)


def triplets_f1(gold: Sequence[Sequence[Link]], predicted: Sequence[Sequence[Link]]) -> Found:
    """Exact triplets: both spans and the polarity."""
    return found([set(row) for row in gold], [set(row) for row in predicted])


def opinions_f1(gold: Sequence[Sequence[Link]], predicted: Sequence[Sequence[Link]]) -> Found:
    """Opinion span and polarity alone, whatever the aspect."""
    return found([{link[1:] for link in row} for row in gold], [{link[1:] for link in row} for row in predicted])
