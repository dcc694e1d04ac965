"""The last stages of the score hop: what a text says (`Score`), and whom it concerns (`Mentions`).

Identical texts are scored once: readings are cached by folded text, language, what they are matched by, and scorer
version. A record that the scorer cannot read is found by halving the batch, so it costs its neighbours nothing but a
few calls more.

A post that praises one and blames another counts for each as what it says of it: where a match names something, the
scorer is asked for the sentiment towards that, too. A scorer that cannot tell leaves it at that of the whole text.
"""

import math
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b

from opinionwatch.pipeline.aspects import Aspects, cell
from opinionwatch.pipeline.contracts import DeadLetter, Match, Mention, OpinionTerm, Reading, ScoredDocument, Span
from opinionwatch.pipeline.errors import RejectedError
from opinionwatch.pipeline.fold import Folded
from opinionwatch.pipeline.match import MatchedDocument
from opinionwatch.pipeline.mention import mention_of, reading_of
from opinionwatch.pipeline.ports import Passage, Scorer
from opinionwatch.pipeline.renewable import Renewable
from opinionwatch.pipeline.stages import bury_document
from opinionwatch.pipeline.watchlists import Watchlist

CACHE_SIZE = 50_000
"""Readings remembered; about 1 KB each."""
STAGE = "score"
TOLERANCE = 1e-3
"""How far probabilities may be from 1 in sum."""
# What model code raises when it cannot take an input; anything else is a defect of ours and stays one.
_MODEL_ERRORS = (ArithmeticError, AssertionError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)

Outcome = Reading | RejectedError


class Score:
    """A stage from `MatchedDocument` to `ScoredDocument`, or `DeadLetter` where the scorer refuses or talks nonsense.

    Raises RetryableError when the scorer's device is not ready.
    """

    def __init__(self, scorer: Scorer, cache_size: int = CACHE_SIZE) -> None:
        self._scorer = scorer
        self._renew = scorer.renew if isinstance(scorer, Renewable) else None
        self._size = cache_size
        self._cache: OrderedDict[bytes, Reading] = OrderedDict()

    def __call__(self, batch: Sequence[MatchedDocument], now: datetime) -> list[ScoredDocument | DeadLetter]:
        """Score a batch; the result has the batch's order."""
        del now
        if self._renew is not None:
            self._renew()
        version = self._scorer.version
        keys = [_key(matched, version) for matched in batch]
        outcomes: dict[bytes, Outcome] = {}
        fresh: dict[bytes, Passage] = {}
        for key, matched in zip(keys, batch, strict=True):
            known = self._cache.get(key)
            if known is not None:
                self._cache.move_to_end(key)
                outcomes[key] = known
            else:
                fresh[key] = Passage(matched.read.folded.text, matched.read.language.tag, matched.targets)
        outcomes |= zip(fresh, self._read(list(fresh.values())), strict=True)
        self._remember(fresh, outcomes)
        return [_scored(matched, outcomes[key], version) for key, matched in zip(keys, batch, strict=True)]

    def _read(self, passages: Sequence[Passage]) -> list[Outcome]:
        """Score in one call; halve where that fails."""
        if not passages:
            return []
        try:
            readings = self._scorer.score(passages)
        except RejectedError as error:
            refusal = error
        except _MODEL_ERRORS as error:
            refusal = _refusal(error)
        else:
            if len(readings) == len(passages):
                return [_checked(reading, passage) for reading, passage in zip(readings, passages, strict=True)]
            refusal = RejectedError("model_output", f"{len(readings)} readings for {len(passages)} texts")
        if len(passages) == 1:
            return [refusal]
        middle = len(passages) // 2
        return self._read(passages[:middle]) + self._read(passages[middle:])

    def _remember(self, fresh: Sequence[bytes] | dict[bytes, Passage], outcomes: dict[bytes, Outcome]) -> None:
        for key in fresh:
            outcome = outcomes[key]
            if isinstance(outcome, Reading):
                self._cache[key] = outcome
        while len(self._cache) > self._size:
            self._cache.popitem(last=False)


class Mentions:
    """A stage from `ScoredDocument` to itself and one `Mention` a match, counted in the watchlist's own aspects."""

    def __init__(self, watchlists: Sequence[Watchlist]) -> None:
        shared = Aspects()
        self._aspects = {each.id: Aspects(each.aspects) if each.aspects else shared for each in watchlists}
        self._shared = shared

    def __call__(self, batch: Sequence[ScoredDocument], now: datetime) -> list[ScoredDocument | Mention]:
        """Each scored document, followed by its mentions in the order of its matches."""
        del now
        outcome: list[ScoredDocument | Mention] = []
        for scored in batch:
            outcome.append(scored)
            for match in scored.matches:
                aspects = self._aspects.get(match.watchlist, self._shared)
                place = cell(reading_of(scored, match.watchlist), scored.document.text, aspects)
                revised_at = scored.document.revised_at
                outcome.append(mention_of(scored, match.watchlist, place.aspect, place.aspects, revised_at))
        return outcome


def _key(matched: MatchedDocument, version: str) -> bytes:
    digest = blake2b(digest_size=16)
    for part in (version, matched.read.language.tag, matched.read.folded.text, repr(matched.targets)):
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(4, "big") + data)
    return digest.digest()


def _refusal(error: Exception) -> RejectedError:
    room = isinstance(error, MemoryError) or "out of memory" in str(error).lower()
    words = " ".join(str(error).split())[:200]
    return RejectedError("out_of_memory" if room else "stage_failed", f"{type(error).__name__}: {words}")


def _checked(reading: Reading, passage: Passage) -> Outcome:
    """The reading, if it can be one of this passage."""
    for mood in (reading.sentiment, *reading.targets):
        chances = (mood.negative, mood.neutral, mood.positive)
        if not all(math.isfinite(chance) for chance in chances) or abs(sum(chances) - 1) > TOLERANCE:
            return RejectedError("model_output", f"probabilities {chances}")
    if reading.targets and len(reading.targets) != len(passage.targets):
        return RejectedError("model_output", f"{len(reading.targets)} sentiments for {len(passage.targets)} targets")
    for opinion in reading.opinions:
        spans = [span for span in (opinion.aspect_span, opinion.opinion_span) if span is not None]
        if not math.isfinite(opinion.confidence) or any(not 0 <= a < b <= len(passage.text) for a, b in spans):
            return RejectedError("model_output", f"a span outside the text: {spans}")
    return reading


def _scored(matched: MatchedDocument, outcome: Outcome, version: str) -> ScoredDocument | DeadLetter:
    read = matched.read
    if isinstance(outcome, RejectedError):
        return bury_document(read.document, STAGE, outcome, version)
    return ScoredDocument(
        document=read.document,
        lang=read.language.tag,
        lang_confidence=read.language.confidence,
        fingerprint=read.fingerprint,
        matches=_matches(matched, outcome),
        reading=_shown(outcome, read.folded, read.document.text),
        scorer=version,
    )


def _matches(matched: MatchedDocument, reading: Reading) -> tuple[Match, ...]:
    """The matches, each with what is said of it where the scorer can tell."""
    if not reading.targets:
        return matched.matches
    pairs = zip(matched.matches, reading.targets, strict=True)
    return tuple(match.model_copy(update={"sentiment": mood}) for match, mood in pairs)


def _shown(reading: Reading, folded: Folded, text: str) -> Reading:
    """The reading of the text alone, with places and words of the text that people see."""
    if reading.targets:
        reading = reading.model_copy(update={"targets": ()})
    if not reading.opinions or (folded.offsets is None and folded.text == text):
        return reading
    return reading.model_copy(update={"opinions": tuple(_moved(term, folded, text) for term in reading.opinions)})


def _moved(term: OpinionTerm, folded: Folded, text: str) -> OpinionTerm:
    def move(span: Span) -> tuple[Span, str]:
        start, end = folded.span(*span)
        return (start, end), text[start:end]

    opinion_span, opinion = move(term.opinion_span)
    aspect_span, aspect = move(term.aspect_span) if term.aspect_span else (None, term.aspect)
    return term.model_copy(
        update={"opinion": opinion, "opinion_span": opinion_span, "aspect": aspect, "aspect_span": aspect_span}
    )
