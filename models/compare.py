"""`opinionwatch compare`: two scorers on the same labelled rows; is the new one better, and where do they part?

Paired: both read every row, so what both get right or wrong says nothing about their difference. A file without neutral
rows is judged on negative and positive alone, as in `evaluate`. Where rows have triplets, opinions are judged as well,
and where they have names, the sentiment towards each.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, takewhile
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from opinionwatch.models.bootstrap import Counts, Gain, accuracies, macro_f1s, micro_f1s, paired, paired_f1
from opinionwatch.models.evaluate_read import Labelled, Skipped, names_of, read_labelled
from opinionwatch.models.examples import LABELS, Link
from opinionwatch.models.readings import CHUNK, folded_of, links_of, moods_of, readings
from opinionwatch.pipeline.contracts import Sentiment
from opinionwatch.pipeline.errors import RejectedError, SettingsError
from opinionwatch.pipeline.ports import Scorer

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
    """Texts of one file, or the names in them. Flips are the first of their kind; `broken` and `mended` count all."""

    file: str
    texts: int
    """Or names."""
    classes: int
    accuracy: Change
    macro_f1: Change
    broken: int
    """Right before, wrong now."""
    mended: int
    flips: tuple[Flip, ...]
    skipped: int


class OpinionComparison(_Part):
    """The texts of one file that have triplets, judged exactly: both spans and the polarity."""

    file: str
    texts: int
    triplet_f1: Change


class Comparison(_Part):
    """Every file that has labels (`files`), triplets (`opinions`) or names (`targets`); some have several."""

    old: str
    new: str
    files: tuple[FileComparison, ...]
    opinions: tuple[OpinionComparison, ...] = ()
    targets: tuple[FileComparison, ...] = ()
    unjudged: tuple[str, ...] = ()
    """Files of which no row could be compared: a gate does not open on them."""

    @property
    def judged(self) -> tuple[str, ...]:
        """The files that were compared, by name."""
        told = (*self.files, *self.targets)
        return tuple(dict.fromkeys([*(each.file for each in told), *(each.file for each in self.opinions)]))

    @property
    def worse(self) -> tuple[str, ...]:
        """Files on which the new model is significantly worse, in accuracy, macro-F1 (of texts or names) or triplet F1:
        what a gate refuses.

        Of forty figures one falls below its interval by chance. So all are judged together: a model that is worse
        nowhere is refused once in forty times (Holm, A Simple Sequentially Rejective Multiple Test Procedure, 1979).
        """
        told = (*self.files, *self.targets)
        moods = ((change.chance, each.file) for each in told for change in (each.accuracy, each.macro_f1))
        losses = sorted([*moods, *((each.triplet_f1.chance, each.file) for each in self.opinions)])
        real = takewhile(lambda loss: loss[1][0] <= REFUSED_BY_CHANCE / (len(losses) - loss[0]), enumerate(losses))
        found = {file for _, (_, file) in real}
        return tuple(file for file in self.judged if file in found)


def compare(
    old: Scorer, new: Scorer, files: Sequence[Path], *, limit: int | None = None, flips: int = 20
) -> Comparison:
    """Let both read the files, at most `limit` rows each, and list the first `flips` rows a file that they part on.

    Raises SettingsError when a file cannot be read, or when no row of any of them has a label, triplets or names.
    """
    named = zip(files, names_of(files), strict=True)
    tallies = [_read(old, new, read_labelled(file, limit), _Tally(name, flips)) for file, name in named]
    if not any(tally.judged for tally in tallies):
        raise SettingsError(f"{', '.join(map(str, files))}: no row has a label, triplets or names that can be compared")
    return Comparison(
        old=old.version,
        new=new.version,
        files=tuple(tally.texts.comparison(tally.file, tally.skipped) for tally in tallies if tally.texts.count),
        opinions=tuple(tally.opinions() for tally in tallies if tally.links),
        targets=tuple(tally.names.comparison(tally.file, tally.skipped) for tally in tallies if tally.names.count),
        unjudged=tuple(tally.file for tally in tallies if not tally.judged),
    )


class _Moods:
    """Counts of what both say. Only the end tells whether anything is neutral: until then both verdicts are kept."""

    def __init__(self, most: int) -> None:
        self.count = 0
        self._most = most
        self._neutral = False
        self._cells = {closed: np.zeros((3, 3, 3)) for closed in (False, True)}
        self._flips: dict[bool, list[Flip]] = {False: [], True: []}

    def add(self, line: int, text: str, gold: int, before: Sentiment, after: Sentiment) -> None:
        self.count += 1
        self._neutral = self._neutral or gold == NEUTRAL
        for closed in (False, True):
            old, new = _told(before, closed), _told(after, closed)
            self._cells[closed][gold, old, new] += 1
            if (old == gold) != (new == gold) and len(self._flips[closed]) < self._most:
                flip = Flip(line=line, text=text, gold=LABELS[gold], old=LABELS[old], new=LABELS[new])
                self._flips[closed].append(flip)

    def comparison(self, file: str, skipped: int) -> FileComparison:
        """What came out; there must be something."""
        closed = not self._neutral
        table = self._cells[closed]
        both = sum(table[at, at, at] for at in range(3))
        return FileComparison(
            file=file,
            texts=self.count,
            classes=2 if closed else 3,
            accuracy=_change(table, accuracies),
            macro_f1=_change(table, macro_f1s),
            broken=int(sum(table[at, at].sum() for at in range(3)) - both),
            mended=int(sum(table[at, :, at].sum() for at in range(3)) - both),
            flips=tuple(self._flips[closed]),
            skipped=skipped,
        )


class _Tally:
    """Counts of one file."""

    def __init__(self, file: str, most: int) -> None:
        self.file = file
        self.texts, self.names = _Moods(most), _Moods(most)
        self.skipped = 0
        self.links = 0
        """Triplets there are in the texts that both have read."""
        self._kinds: Counter[tuple[int, int, int, int, int]] = Counter()

    @property
    def judged(self) -> bool:
        """Whether there is anything that can be compared."""
        return bool(self.texts.count or self.links or self.names.count)

    def add(self, rows: Sequence[Labelled | Skipped], old: Scorer, new: Scorer) -> None:
        """Let both read some rows; one that either refuses is skipped and counted."""
        known = [row for row in rows if isinstance(row, Labelled)]
        self.skipped += len(rows) - len(known)
        folded = folded_of(known)
        answers = (readings(scorer, known, folded) for scorer in (old, new))
        for row, text, before, after in zip(known, folded, *answers, strict=True):
            if isinstance(before, RejectedError) or isinstance(after, RejectedError):
                self.skipped += 1
                continue
            if row.label is not None:
                self.texts.add(row.line, row.text, row.label, before.sentiment, after.sentiment)
            if row.links is not None:
                self._match(row.links, links_of(before, text), links_of(after, text))
            both = zip(row.targets or (), moods_of(row, before), moods_of(row, after), strict=True)
            for (name, mood), was, now in both:
                self.names.add(row.line, f"{name}: {row.text}", mood, was, now)

    def _match(self, gold: Sequence[Link], before: Sequence[Link], after: Sequence[Link]) -> None:
        right, old, new = set(gold), set(before), set(after)
        self.links += len(right)
        self._kinds[len(right), len(old), len(old & right), len(new), len(new & right)] += 1

    def opinions(self) -> OpinionComparison:
        """What came out of the triplets; there must be some."""
        old, new = micro_f1s(np.array([*self._kinds.values()]) @ np.array([*self._kinds], dtype=np.float64))
        change = _changed(old, new, paired_f1(self._kinds))
        return OpinionComparison(file=self.file, texts=self._kinds.total(), triplet_f1=change)


def _read(old: Scorer, new: Scorer, rows: Iterator[Labelled | Skipped], tally: _Tally) -> _Tally:
    while chunk := list(islice(rows, CHUNK)):
        tally.add(chunk, old, new)
    return tally


def _told(mood: Sentiment, closed: bool) -> int:
    if closed:
        return 0 if mood.negative >= mood.positive else 2
    return LABELS.index(mood.label)


def _change(table: Counts, figure: Callable[[Counts], Counts]) -> Change:
    return _changed(float(figure(table.sum(-1))), float(figure(table.sum(-2))), paired(table, figure))


def _changed(old: float, new: float, gain: Gain) -> Change:
    return Change(old=old, new=new, low=gain.low, high=gain.high, chance=gain.chance)
