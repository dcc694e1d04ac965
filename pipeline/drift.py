"""Has what people write moved away from what the model is used to? Label mix, confidence, vocabulary. Pure.

The label mix is compared by the population stability index: the sum over labels of (p - q) ln(p / q); by convention
under 0.1 is calm and over 0.25 is a shift (Siddiqi, Credit Risk Scorecards, 2006). Words that nobody used before are
counted as a share of all words now, beside the same share among the earlier texts themselves, which is what is usual.
Only texts that one model has read are compared: another model is another mix.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from opinionwatch.pipeline.contracts import Record, ScoredDocument, Sentiment
from opinionwatch.pipeline.fold import fold

CALM, SHIFTED = 0.1, 0.25
CONFIDENCE_DROP = 0.05
UNKNOWN_RISE = 2.0
"""So many times as many unknown words as usual are a shift."""
FEWEST = 200
"""Texts on each side; of fewer nothing is said."""
CHARS = 1000
_WORD = re.compile(r"[a-z][a-z'’]+|[\u3400-\u9fff]+")
Verdict = Literal["calm", "look", "shifted", "too few"]


class Drift(Record):
    """Now against before."""

    scorer: str
    before: int
    """Texts."""
    now: int
    label_psi: float = 0.0
    confidence_before: float = 0.0
    """Mean probability of the label."""
    confidence_now: float = 0.0
    unsure_before: float = 0.0
    unsure_now: float = 0.0
    unknown_before: float = 0.0
    """Share of words in the last quarter of the earlier texts that the first three quarters do not have."""
    unknown_now: float = 0.0
    """Share of words now that the first three quarters of the earlier texts do not have."""
    verdict: Verdict
    reasons: tuple[str, ...] = ()


def drift(before: Sequence[ScoredDocument], now: Sequence[ScoredDocument]) -> Drift:
    """Compare; `before` in order of time. The scorer is the one that has read the last of `now`."""
    scorer = now[-1].scorer if now else ""
    before, now = [[each for each in part if each.scorer == scorer] for part in (before, now)]
    if min(len(before), len(now)) < FEWEST:
        return Drift(scorer=scorer, before=len(before), now=len(now), verdict="too few")
    moods = [[each.reading.sentiment for each in part] for part in (before, now)]
    cut = 3 * len(before) // 4
    known = {word for each in before[:cut] for word in _words(each)}
    found = Drift(
        scorer=scorer,
        before=len(before),
        now=len(now),
        label_psi=round(stability(*(Counter[str](mood.label for mood in part) for part in moods)), 4),
        confidence_before=_mean(map(_confidence, moods[0])),
        confidence_now=_mean(map(_confidence, moods[1])),
        unsure_before=_mean(mood.unsure for mood in moods[0]),
        unsure_now=_mean(mood.unsure for mood in moods[1]),
        unknown_before=_mean(word not in known for each in before[cut:] for word in _words(each)),
        unknown_now=_mean(word not in known for each in now for word in _words(each)),
        verdict="calm",
    )
    reasons = tuple(_reasons(found))
    worst: Verdict = "shifted" if reasons else "look" if found.label_psi > CALM else "calm"
    return found.model_copy(update={"verdict": worst, "reasons": reasons})


def stability(before: Counter[str], now: Counter[str]) -> float:
    """Population stability index of two counts; half a text is added to each so that none is empty.

    >>> stability(Counter(a=50, b=50), Counter(a=50, b=50))
    0.0
    >>> stability(Counter(a=50, b=50), Counter(a=90, b=10)) > SHIFTED
    True
    """
    names = {*before, *now}
    sums = [sum(part.values()) + len(names) / 2 for part in (before, now)]
    shares = [[(part[name] + 0.5) / total for name in names] for part, total in zip((before, now), sums, strict=True)]
    return math.fsum((new - old) * math.log(new / old) for old, new in zip(*shares, strict=True))


def _reasons(found: Drift) -> Iterator[str]:
    if found.label_psi > SHIFTED:
        yield f"the label mix has shifted (stability index {found.label_psi:.2f})"
    if found.confidence_now < found.confidence_before - CONFIDENCE_DROP:
        yield f"confidence fell from {found.confidence_before:.0%} to {found.confidence_now:.0%}"
    if found.unknown_now > UNKNOWN_RISE * max(found.unknown_before, 0.01):
        yield f"{found.unknown_now:.0%} of the words are new; {found.unknown_before:.0%} is usual"


def _words(scored: ScoredDocument) -> Iterator[str]:
    """Words of alphabets; of Chinese, pairs of characters."""
    for found in _WORD.findall(fold(scored.document.text[:CHARS]).text.lower()):
        if found[0] > "z":
            yield from (found[at : at + 2] for at in range(max(1, len(found) - 1)))
        else:
            yield found


def _confidence(mood: Sentiment) -> float:
    return max(mood.negative, mood.neutral, mood.positive)


def _mean(values: Iterable[float]) -> float:
    total, count = 0.0, 0
    for value in values:
        total, count = total + value, count + 1
    return round(total / count, 4) if count else 0.0
