"""Scoring texts that are no documents: the very stages of the score hop, without a watchlist and without a store."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from opinionwatch.pipeline.contracts import DeadLetter, Document, OpinionTerm, Record, ScoredDocument, Sentiment, Span
from opinionwatch.pipeline.errors import DeadReason, RejectedError
from opinionwatch.pipeline.fold import Folded
from opinionwatch.pipeline.match import MatchedDocument, MatchStage
from opinionwatch.pipeline.ports import Scorer
from opinionwatch.pipeline.read import UNKNOWN, Read, ReadDocument
from opinionwatch.pipeline.score import Score
from opinionwatch.pipeline.settings import Limits
from opinionwatch.pipeline.watchlists import TermText, Watchlist

_LONGEST = Limits().text_chars
_NO_TIME = datetime.fromtimestamp(0, UTC)


class Asked(NamedTuple):
    """A text to be read, and the name that somebody wants to know what it says of."""

    text: str
    target: str | None = None
    """As `name` gives it."""


class Toward(Record):
    """What a text says of a name."""

    name: str
    spans: tuple[Span, ...]
    """Where it stands in the text; nowhere, if there are none."""
    sentiment: Sentiment | None
    """None where the name does not stand, and where the scorer cannot tell it from the sentiment of the text."""


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
    target: Toward | None = None
    """What it says of the name that was asked for; None where none was."""


class RefusedText(Record):
    """A text that the scorer cannot read."""

    error: DeadReason
    detail: str


Answer = ScoredText | RefusedText


class TextScorer:
    """Scores texts; equal ones once, as long as they are remembered. For one thread at a time."""

    def __init__(self, scorer: Scorer) -> None:
        self._read, self._score = Read(), Score(scorer)

    def __call__(self, asked: Sequence[Asked]) -> list[Answer]:
        """One answer a text, in order. Raises RetryableError when the scorer's device is not ready."""
        read = self._read([_document(number, each.text) for number, each in enumerate(asked)], _NO_TIME)
        scored = self._score([_matched(each, target) for each, (_, target) in zip(read, asked, strict=True)], _NO_TIME)
        return [_answer(each, outcome) for each, outcome in zip(asked, scored, strict=True)]


def score_texts(scorer: Scorer, asked: Sequence[Asked]) -> list[Answer]:
    """One answer a text, in order."""
    return TextScorer(scorer)(asked)


_NAME = TypeAdapter[str](TermText)


def name(given: object) -> str:
    """A name as people give it. Raises RejectedError(invalid_field) for none, an empty or an endless one."""
    try:
        return _NAME.validate_python(given, strict=True)
    except ValidationError as error:
        raise RejectedError("invalid_field", f"target: {error.errors()[0]['msg']}") from error


def places_of(folded: Folded, target: str) -> tuple[Span, ...]:
    """Where a name stands in a text, found as a watchlist of that name would find it."""
    return next((places for _, places in _finder(target).named(folded, UNKNOWN)), ())


def _matched(read: ReadDocument, target: str | None) -> MatchedDocument:
    named = () if target is None else _finder(target).named(read.folded, UNKNOWN)
    return MatchedDocument(read, tuple(match for match, _ in named), tuple(places for _, places in named))


@lru_cache(maxsize=256)
def _finder(target: str) -> MatchStage:
    return MatchStage([Watchlist(id="target", names=(target,))])


def _answer(asked: Asked, outcome: ScoredDocument | DeadLetter) -> Answer:
    if isinstance(outcome, DeadLetter):
        return RefusedText(error=outcome.reason, detail=outcome.detail)
    toward = None
    if asked.target is not None:
        match = next(iter(outcome.matches), None)
        toward = Toward(
            name=asked.target,
            spans=() if match is None else match.spans,
            sentiment=None if match is None else match.sentiment,
        )
    return ScoredText(
        lang=outcome.lang,
        sentiment=outcome.reading.sentiment,
        opinions=outcome.reading.opinions,
        scorer=outcome.scorer,
        truncated=len(asked.text) > _LONGEST,
        target=toward,
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
