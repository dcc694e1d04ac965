"""`opinionwatch compare`: two scorers on the same labelled rows; is the new one better, and where do they part?

Paired: both read every row, so what both get right or wrong says nothing about their difference. A file without neutral
rows is judged on negative and positive alone, as in `evaluate`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, takewhile
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from opinionwatch.models.bootstrap import Counts, accuracies, macro_f1s, paired
from opinionwatch.models.evaluate_read import Labelled, Skipped, read_labelled
from opinionwatch.models.examples import LABELS
from opinionwatch.pipeline.contracts import Sentiment
from opinionwatch.pipeline.errors import RejectedError, SettingsError
from opinionwatch.pipeline.fold import fold
from opinionwatch.pipeline.ports import Passage, Scorer
from opinionwatch.pipeline.settings import Limits

CHUNK = 512
REFUSED_BY_CHANCE = 0.025
NEUTRAL = LABELS.index("neutral")
Verdict = Literal["better", "worse", "no difference shown"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Change(_Part):
    """A figure of both models; the interval of 95 % is of the difference, by a paired bootstrap. `chance` is how likely
    a loss like this one were chance.
    """

    old: float
    new: float
    low: float
    high: float
    chance: float = 1.0

    @property
    def verdict(self) -> Verdict:
        """Significant at 5 % or not."""
        return "better" if self.low > 0 else "worse" if self.high < 0 else "no difference shown"


class Flip(_Part):
    """A row that one of them gets right and the other wrong."""

    line: int
    text: str
    gold: str
    old: str
    new: str


class FileComparison(_Part):
    """One file. Flips are the first of their kind; `broken` and `mended` count all of them."""

    file: str
    texts: int
    classes: int
    accuracy: Change
    macro_f1: Change
    broken: int
    """Right before, wrong now."""
    mended: int
    flips: tuple[Flip, ...]
    skipped: int


class Comparison(_Part):
    """Every file that has labels."""

    old: str
    new: str
    files: tuple[FileComparison, ...]

    @property
    def worse(self) -> tuple[str, ...]:
        """Files on which the new model is significantly worse, in accuracy or in macro-F1: what a gate refuses.

        Of forty figures one falls below its interval by chance. So all are judged together: a model that is worse
        nowhere is refused once in forty times (Holm, A Simple Sequentially Rejective Multiple Test Procedure, 1979).
        """
        losses = sorted((change.chance, f.file) for f in self.files for change in (f.accuracy, f.macro_f1))
        real = takewhile(lambda loss: loss[1][0] <= REFUSED_BY_CHANCE / (len(losses) - loss[0]), enumerate(losses))
        found = {file for _, (_, file) in real}
        return tuple(f.file for f in self.files if f.file in found)


def compare(
    old: Scorer, new: Scorer, files: Sequence[Path], *, limit: int | None = None, flips: int = 20
) -> Comparison:
    """Let both read the files, at most `limit` rows each, and list the first `flips` rows a file that they part on.

    Raises SettingsError when a file cannot be read, or when no row of any of them has a label.
    """
    found = [_file(old, new, file, limit, flips) for file in files]
    measured = tuple(each for each in found if each is not None)
    if not measured:
        raise SettingsError(f"{', '.join(map(str, files))}: no row has a label that can be compared")
    return Comparison(old=old.version, new=new.version, files=measured)


def _file(old: Scorer, new: Scorer, file: Path, limit: int | None, most: int) -> FileComparison | None:
    cells = {closed: np.zeros((3, 3, 3)) for closed in (False, True)}
    flips: dict[bool, list[Flip]] = {False: [], True: []}
    counts: Counter[str] = Counter()
    for row, before, after in _answers(old, new, read_labelled(file, limit), counts):
        gold = row.label or 0
        counts["neutral"] += gold == NEUTRAL
        for closed in (False, True):
            said = _told(before, closed), _told(after, closed)
            cells[closed][gold, said[0], said[1]] += 1
            if (said[0] == gold) != (said[1] == gold) and len(flips[closed]) < most:
                flips[closed].append(_flip(row, gold, said))
    closed = not counts["neutral"]
    table = cells[closed]
    if not table.sum():
        return None
    right_before = sum(table[at, at].sum() for at in range(3))
    both = sum(table[at, at, at] for at in range(3))
    right_now = sum(table[at, :, at].sum() for at in range(3))
    return FileComparison(
        file=file.name,
        texts=int(table.sum()),
        classes=2 if closed else 3,
        accuracy=_change(table, accuracies),
        macro_f1=_change(table, macro_f1s),
        broken=int(right_before - both),
        mended=int(right_now - both),
        flips=tuple(flips[closed]),
        skipped=counts["skipped"],
    )


def _answers(
    old: Scorer, new: Scorer, rows: Iterator[Labelled | Skipped], counts: Counter[str]
) -> Iterator[tuple[Labelled, Sentiment, Sentiment]]:
    """Rows with a label and both answers; a row that either refuses is skipped and counted."""
    while chunk := list(islice(rows, CHUNK)):
        labelled = [row for row in chunk if isinstance(row, Labelled) and row.label is not None]
        counts["skipped"] += len(chunk) - len(labelled)
        passages = [Passage(fold(row.text[: Limits().text_chars]).text, row.lang) for row in labelled]
        for row, before, after in zip(labelled, _moods(old, passages), _moods(new, passages), strict=True):
            if before is None or after is None:
                counts["skipped"] += 1
            else:
                yield row, before, after


def _moods(scorer: Scorer, passages: Sequence[Passage]) -> list[Sentiment | None]:
    try:
        return [reading.sentiment for reading in scorer.score(passages)]
    except RejectedError:
        if len(passages) == 1:
            return [None]
    return [mood for passage in passages for mood in _moods(scorer, [passage])]


def _told(mood: Sentiment, closed: bool) -> int:
    if closed:
        return 0 if mood.negative >= mood.positive else 2
    return LABELS.index(mood.label)


def _flip(row: Labelled, gold: int, said: tuple[int, int]) -> Flip:
    return Flip(line=row.line, text=row.text, gold=LABELS[gold], old=LABELS[said[0]], new=LABELS[said[1]])


def _change(table: Counts, figure: Callable[[Counts], Counts]) -> Change:
    gain = paired(table, figure)
    old, new = float(figure(table.sum(-1))), float(figure(table.sum(-2)))
    return Change(old=old, new=new, low=gain.low, high=gain.high, chance=gain.chance)
