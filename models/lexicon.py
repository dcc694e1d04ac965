"""The lexicon scorer: reads English and Chinese by rules and word lists, without torch and without training.

For tests, for machines where torch is not wanted, and as the yardstick a model has to beat.
"""

import math
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from opinionwatch.models.lexicon_rules import Hit, Verdict, aspect_of, judge
from opinionwatch.models.lexicon_scan import Scanner
from opinionwatch.models.lexicon_words import words
from opinionwatch.pipeline.contracts import Label, OpinionTerm, Reading, Sentiment
from opinionwatch.pipeline.ports import Passage

STEEPNESS, SMOOTHING, NEUTRAL, NEUTRAL_PER_MOOD = 0.69, 1.0, 0.9, 1.03
"""Fitted by maximum likelihood on training rows of ten sources whose terms permit it; the strengths are not fitted."""
IRONY = 0.5
"""Share of the good moods that irony turns bad."""
DECIMALS = 4
WEAK = 0.3
"""Weaker moods are no opinion."""


class LexiconScorer:
    """Scores by word lists and rules; deterministic, and a text is read the same in any company.

    Latin words are matched as words and everything else as the longest run of characters, whatever the language tag
    says, so mixed texts are read as a whole. Linear in the length of a text.
    """

    class Settings(BaseModel):
        """How the lexicon scorer answers."""

        model_config = ConfigDict(frozen=True, extra="forbid")

        unsure_below: float = Field(0.6, ge=0, le=1, description="a best probability under this is unsure")
        max_opinions: int = Field(16, ge=0, description="opinions kept of one text, the strongest")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        table = words()
        self._scanner = Scanner(table)
        self.version = f"lexicon-{table.digest}-{settings.unsure_below:g}-{settings.max_opinions}"

    def score(self, passages: Sequence[Passage]) -> list[Reading]:
        """One reading a passage, in order."""
        return [self._read(passage.text) for passage in passages]

    def _read(self, text: str) -> Reading:
        verdict = judge(self._scanner.scan(text), text)
        return Reading(
            sentiment=_sentiment(verdict, self._settings.unsure_below),
            opinions=tuple(_opinion(hit, verdict, text) for hit in self._strongest(verdict, text)),
        )

    def _strongest(self, verdict: Verdict, text: str) -> list[Hit]:
        # A face or an emoji is a mood, but no opinion about anything.
        said = [hit for hit in verdict.hits if abs(hit.value) >= WEAK and text[hit.mark.start].isalnum()]
        most = self._settings.max_opinions
        if len(said) <= most:
            return said
        kept = sorted(said, key=lambda hit: -abs(hit.value))[:most]
        return sorted(kept, key=lambda hit: hit.start)


def features(verdict: Verdict) -> tuple[float, float]:
    """What the verdict comes down to: the balance of the moods, and how much mood there is."""
    good = sum(hit.value for hit in verdict.hits if hit.value > 0)
    bad = -sum(hit.value for hit in verdict.hits if hit.value < 0)
    if verdict.ironic:
        good, bad = (1 - IRONY) * good, bad + IRONY * good
    return (good - bad) / math.sqrt(good + bad + SMOOTHING), math.log1p(good + bad)


def _sentiment(verdict: Verdict, unsure_below: float) -> Sentiment:
    balance, amount = features(verdict)
    logits = (-STEEPNESS * balance, NEUTRAL - NEUTRAL_PER_MOOD * amount, STEEPNESS * balance)
    top = max(logits)
    weights = [math.exp(logit - top) for logit in logits]
    negative, positive = (round(weights[at] / sum(weights), DECIMALS) for at in (0, 2))
    neutral = max(0.0, round(1 - negative - positive, DECIMALS))
    best = max(negative, neutral, positive)
    label: Label = "neutral" if neutral == best else "negative" if negative == best else "positive"
    return Sentiment(label=label, negative=negative, neutral=neutral, positive=positive, unsure=best < unsure_below)


def _opinion(hit: Hit, verdict: Verdict, text: str) -> OpinionTerm:
    span = (hit.start, hit.mark.end)
    aspect = aspect_of(hit, verdict, text)
    return OpinionTerm(
        aspect=None if aspect is None else text[slice(*aspect)],
        opinion=text[slice(*span)],
        polarity="positive" if hit.value > 0 else "negative",
        aspect_span=aspect,
        opinion_span=span,
        confidence=round(1 - 0.6 * math.exp(-abs(hit.value) / 2), DECIMALS),
    )
