"""Which of a foreign model's classes mean negative, neutral and positive."""

import re
from collections.abc import Mapping

from opinionwatch.models.examples import LABELS
from opinionwatch.pipeline.contracts import Label
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.registry import nearest

_BY_NUMBER: dict[int, tuple[Label, ...]] = {
    2: ("negative", "positive"),
    3: ("negative", "neutral", "positive"),
    5: ("negative", "negative", "neutral", "positive", "positive"),
}
"""What unnamed classes (LABEL_0 …) and stars mean, by how many there are: the order is worst to best by convention."""
_WORDS: dict[Label, re.Pattern[str]] = {
    "negative": re.compile(r"neg|消极|负面|负向|差评|\bbad\b"),
    "neutral": re.compile(r"neu|中性|中立|中评"),
    "positive": re.compile(r"pos|积极|正面|正向|好评|\bgood\b"),
}
_UNNAMED = re.compile(r"label_(\d+)")
_STARS = re.compile(r"([1-5])\s*(?:stars?|星)?")


def label_map(names: Mapping[int, str], given: Mapping[str, Label]) -> tuple[int, ...]:
    """For each class its index in LABELS: as given, else guessed from the model's own names.

    Raises SettingsError that lists the classes that stay unknown, or given ones that the model does not have.

    >>> label_map({0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}, {})
    (0, 1, 2)
    >>> label_map({0: "1 star", 1: "2 stars", 2: "3 stars", 3: "4 stars", 4: "5 stars"}, {})
    (0, 0, 1, 2, 2)
    """
    known = [names[number] for number in sorted(names)]
    for name in given:
        if name not in known:
            raise SettingsError(f"scorer.labels: the model has no label '{name}'; {nearest(name, known)}")
    meanings = [given.get(name) or _guess(name, len(known)) for name in known]
    unknown = [name for name, meaning in zip(known, meanings, strict=True) if meaning is None]
    if unknown:
        raise SettingsError(
            f"scorer.labels: what does {', '.join(map(repr, unknown))} mean? Say it: labels: {{{unknown[0]}: negative}}"
        )
    found = tuple(LABELS.index(meaning) for meaning in meanings if meaning)
    if not {0, 2} <= set(found):
        raise SettingsError(f"scorer.labels: {', '.join(known)} leave no class for negative or none for positive")
    return found


def _guess(name: str, classes: int) -> Label | None:
    plain = name.strip().lower()
    by_number = _BY_NUMBER.get(classes, ())
    if (unnamed := _UNNAMED.fullmatch(plain)) and int(unnamed[1]) < len(by_number):
        return by_number[int(unnamed[1])]
    if (stars := _STARS.fullmatch(plain)) and classes == 5:
        return by_number[int(stars[1]) - 1]
    fitting = [label for label, words in _WORDS.items() if words.search(plain)]
    return fitting[0] if len(fitting) == 1 else None
