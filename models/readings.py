"""What a scorer says of labelled rows, which reach it as they do in the pipeline: cut to the length cap, folded, and
with the places that name a target found as those of a watchlist are.
"""

from collections.abc import Sequence

from opinionwatch.models.evaluate_read import Labelled
from opinionwatch.models.examples import LABELS, Link
from opinionwatch.pipeline.contracts import Reading, Sentiment
from opinionwatch.pipeline.errors import RejectedError
from opinionwatch.pipeline.fold import Folded, fold
from opinionwatch.pipeline.ports import Passage, Scorer
from opinionwatch.pipeline.settings import Limits
from opinionwatch.pipeline.terms import Term, Terms

CHUNK = 512
"""Rows that are read at once: a file is streamed, whatever its size."""


def folded_of(rows: Sequence[Labelled]) -> list[Folded]:
    """The texts as a scorer gets them."""
    return [fold(row.text[: Limits().text_chars]) for row in rows]


def readings(scorer: Scorer, rows: Sequence[Labelled], folded: Sequence[Folded]) -> list[Reading | RejectedError]:
    """One a row, in order; where the scorer refuses a batch, its rows are read one by one."""
    numbers: dict[Term, int] = {}
    asked = [[numbers.setdefault(Term(name, False), len(numbers)) for name, _ in row.targets or ()] for row in rows]
    terms = Terms(numbers)
    passages = []
    for row, text, names in zip(rows, folded, asked, strict=True):
        found = terms.find(text.text) if names else {}
        passages.append(Passage(text.text, row.lang, tuple(tuple(found.get(name, ())) for name in names)))
    return _readings(scorer, passages)


def moods_of(row: Labelled, reading: Reading) -> Sequence[Sentiment]:
    """What is said of each of a row's names; of a scorer that knows no names it is what it says of the text, as a
    watchlist counts it.
    """
    return reading.targets or [reading.sentiment] * len(row.targets or ())


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
