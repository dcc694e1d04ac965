"""Scoring texts that are no documents: the very stages of the score hop, without a watchlist and without a store."""

from collections.abc import Sequence
from datetime import UTC, datetime

from opinionwatch.pipeline.contracts import DeadLetter, Document, OpinionTerm, Record, ScoredDocument, Sentiment
from opinionwatch.pipeline.errors import DeadReason
from opinionwatch.pipeline.match import MatchedDocument
from opinionwatch.pipeline.ports import Scorer
from opinionwatch.pipeline.read import Read
from opinionwatch.pipeline.score import Score
from opinionwatch.pipeline.settings import Limits

_LONGEST = Limits().text_chars
_NO_TIME = datetime.fromtimestamp(0, UTC)


class ScoredText(Record):
    """What a text says. Spans count Unicode code points of the text as given."""

    lang: str
    """BCP-47 primary tag, `und` if unknown."""
    sentiment: Sentiment
    opinions: tuple[OpinionTerm, ...]
    scorer: str
    """Version of the model that read it."""
    truncated: bool = False
    """The text was longer than the cap, and was read up to there."""


class RefusedText(Record):
    """A text that the scorer cannot read."""

    error: DeadReason
    detail: str


Answer = ScoredText | RefusedText


class TextScorer:
    """Scores texts; equal ones once, as long as they are remembered. For one thread at a time."""

    def __init__(self, scorer: Scorer) -> None:
        self._read, self._score = Read(), Score(scorer)

    def __call__(self, texts: Sequence[str]) -> list[Answer]:
        """One answer a text, in order. Raises RetryableError when the scorer's device is not ready."""
        read = self._read([_document(number, text) for number, text in enumerate(texts)], _NO_TIME)
        scored = self._score([MatchedDocument(each, ()) for each in read], _NO_TIME)
        return [_answer(text, outcome) for text, outcome in zip(texts, scored, strict=True)]


def score_texts(scorer: Scorer, texts: Sequence[str]) -> list[Answer]:
    """One answer a text, in order."""
    return TextScorer(scorer)(texts)


def _answer(text: str, outcome: ScoredDocument | DeadLetter) -> Answer:
    if isinstance(outcome, DeadLetter):
        return RefusedText(error=outcome.reason, detail=outcome.detail)
    return ScoredText(
        lang=outcome.lang,
        sentiment=outcome.reading.sentiment,
        opinions=outcome.reading.opinions,
        scorer=outcome.scorer,
        truncated=len(text) > _LONGEST,
    )


def _document(number: int, text: str) -> Document:
    return Document(
        id=str(number),
        tenant="",
        source="",
        source_kind="",
        instance="",
        native_id=str(number),
        text=text[:_LONGEST],
        author=None,
        url=None,
        published_at=_NO_TIME,
        accepted_at=_NO_TIME,
    )
