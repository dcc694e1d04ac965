"""Correct the shown negative share for how the scorer errs: its confusion, per language, from texts of known label.

Of the negative texts that it is sure about it calls a part s negative (sensitivity), and of the others a part f. So a
share q that it calls negative means a true share p = (q - f) / (s - f) (Rogan, Gladen 1978). The interval carries the
uncertainty of q, s and f by the delta method. "Unsure" texts are in neither. The test itself compares the scorer with
itself, so its alarms need no correction; a scorer that hardly tells (s - f small) is shown as it is.
"""

import math
from collections.abc import Mapping

from opinionwatch.pipeline.contracts import Confusion
from opinionwatch.pipeline.contracts_trend import Interval
from opinionwatch.pipeline.snapshots import Facts

OTHER = "other"
"""Key of the languages that have no figures of their own."""
LEAST = 0.3
"""Below this s - f, dividing by it says more about the division than about the mood."""
REMEMBERED = 2000
Z95 = 1.959964


class Langs:
    """Which languages the sure voices of each row are in: counts that are halved when they grow large."""

    def __init__(self) -> None:
        self._counts: dict[int, dict[str, float]] = {}

    def add(self, voices: Mapping[tuple[int, str], int]) -> None:
        """Count voices, by row and language."""
        for (row, lang), count in sorted(voices.items()):
            counts = self._counts.setdefault(row, {})
            counts[lang] = counts.get(lang, 0.0) + count
            if sum(counts.values()) > REMEMBERED:
                self._counts[row] = {lang: kept / 2 for lang, kept in counts.items()}

    def of(self, row: int) -> Mapping[str, float]:
        """Weights of a row's languages."""
        return self._counts.get(row, {})

    def save(self) -> Facts:
        """All counts."""
        return {"rows": [[row, dict(counts)] for row, counts in self._counts.items()]}

    def load(self, saved: Facts) -> None:
        """Take over what `save` gave."""
        self._counts = dict(saved["rows"])


def corrected(share: Interval, langs: Mapping[str, float], known: Mapping[str, Confusion]) -> Interval:
    """A share as called, as it truly is; unchanged where a language of some weight has no figures.

    >>> half = Confusion(hits=90, negatives=100, false_hits=10, others=100)
    >>> round(corrected(Interval(low=0.4, value=0.5, high=0.6), {"en": 1}, {"en": half}).value, 2)
    0.5
    """
    weights = {lang: weight for lang, weight in langs.items() if weight > 0}
    figures = {lang: known.get(lang, known.get(OTHER)) for lang in weights}
    total = sum(weights.values())
    if not total or any(figure is None for figure in figures.values()):
        return share
    s = f = s_variance = f_variance = 0.0
    for lang, figure in figures.items():
        if figure is not None:
            part = weights[lang] / total
            hit, miss = (figure.hits + 0.5) / (figure.negatives + 1), (figure.false_hits + 0.5) / (figure.others + 1)
            s, f = s + part * hit, f + part * miss
            s_variance += part**2 * hit * (1 - hit) / (figure.negatives + 1)
            f_variance += part**2 * miss * (1 - miss) / (figure.others + 1)
    if s - f < LEAST:
        return share
    low, value, high = (min(max((q - f) / (s - f), 0.0), 1.0) for q in (share.low, share.value, share.high))
    own = Z95 * math.sqrt(value**2 * s_variance + (1 - value) ** 2 * f_variance) / (s - f)
    return Interval(
        low=max(0.0, value - math.hypot(value - low, own)),
        value=value,
        high=min(1.0, value + math.hypot(high - value, own)),
    )
