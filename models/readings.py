"""What a scorer says of labelled rows, which reach it as they do in the pipeline: cut to the length cap, folded."""

from collections.abc import Sequence

from opinionwatch.models.evaluate_read import Labelled
from opinionwatch.models.examples import LABELS, Link
from opinionwatch.pipeline.contracts import Reading
from opinionwatch.pipeline.errors import RejectedError
from opinionwatch.pipeline.fold import Folded, fold
from opinionwatch.pipeline.ports import Passage, Scorer
from opinionwatch.pipeline.settings import Limits

CHUNK = 512
"""Rows that are read at once: a file is streamed, whatever its size."""


def folded_of(rows: Sequence[Labelled]) -> list[Folded]:
    """The texts as a scorer gets them."""
    return [fold(row.text[: Limits().text_chars]) for row in rows]


def readings(scorer: Scorer, rows: Sequence[Labelled], folded: Sequence[Folded]) -> list[Reading | RejectedError]:
    """One a row, in order; where the scorer refuses a batch, its rows are read one by one."""
    return _readings(scorer, [Passage(text.text, row.lang) for row, text in zip(rows, folded, strict=True)])


def links_of(reading: Reading, folded: Folded) -> list[Link]:
    """The opinions of a reading, in characters of the text before folding."""
    return [
        (
            None if term.aspect_span is None else folded.span(*term.aspect_span),
            folded.span(*term.opinion_span),
            LABELS.index(term.polarity),
        )
        for term in reading.opinions
    ]


def _readings(scorer: Scorer, passages: Sequence[Passage]) -> list[Reading | RejectedError]:
    try:
        return [*scorer.score(passages)]
    except RejectedError as error:
        if len(passages) == 1:
            return [error]
    return [outcome for passage in passages for outcome in _readings(scorer, [passage])]
