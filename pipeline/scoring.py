"""Scoring texts that are no documents: the very stages of the score hop, without a watchlist and without a store."""

from collections.abc import Sequence
from datetime import UTC, datetime

from opinionwatch.pipeline.contracts import DeadLetter, Document, OpinionTerm
from opinionwatch.pipeline.match import MatchedDocument
from opinionwatch.pipeline.ports import Scorer
from opinionwatch.pipeline.read import Read
from opinionwatch.pipeline.score import Score
from opinionwatch.pipeline.settings import Limits

_LONGEST = Limits().text_chars
_NO_TIME = datetime.fromtimestamp(0, UTC)


def score_texts(scorer: Scorer, texts: Sequence[str]) -> list[dict[str, object]]:
    """One answer a text, in order: `lang`, `sentiment`, `opinions` with spans in the text as given, `scorer`.

    A text longer than the length cap is read up to there and says `truncated`. One that the scorer refuses is
    answered with `error` and `detail`.
    """
    read = Read()([_document(number, text) for number, text in enumerate(texts)], _NO_TIME)
    scored = Score(scorer)([MatchedDocument(each, ()) for each in read], _NO_TIME)
    answers: list[dict[str, object]] = []
    for text, outcome in zip(texts, scored, strict=True):
        if isinstance(outcome, DeadLetter):
            answers.append({"error": outcome.reason, "detail": outcome.detail})
            continue
        sentiment = outcome.reading.sentiment
        answer: dict[str, object] = {
            "lang": outcome.lang,
            "sentiment": sentiment.model_dump(),
            "opinions": [_opinion(opinion) for opinion in outcome.reading.opinions],
            "scorer": outcome.scorer,
        }
        if len(text) > _LONGEST:
            answer["truncated"] = True
        answers.append(answer)
    return answers


def _opinion(opinion: OpinionTerm) -> dict[str, object]:
    names = ("aspect", "opinion", "polarity", "aspect_span", "opinion_span", "confidence")
    return {name: getattr(opinion, name) for name in names}


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
