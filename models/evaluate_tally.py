"""Counts right and wrong answers as they come, in constant memory, and turns the counts into figures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from opinionwatch.models.bootstrap import interval
from opinionwatch.models.examples import LABELS, Link, Span
from opinionwatch.pipeline.contracts import Label, Sentiment

BINS = 15
"""Of the calibration error, as in `calibrate`."""
STEPS = 100
"""Of the risk–coverage curve: answers are ranked by their best probability in steps of 1 %."""


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True)


class Found(_Figures):
    """Precision, recall and F1, each in [0, 1]."""

    precision: float
    recall: float
    f1: float


class ClassFigures(Found):
    """One class, and how many texts are of it."""

    support: int


class Trusted(_Figures):
    """What is left when only the surest answers are trusted (risk–coverage, El-Yaniv and Wiener, JMLR 2010)."""

    from_probability: float
    coverage: float
    """Share of texts whose answer is trusted."""
    accuracy: float
    """Of the trusted answers."""


class Reliable(_Figures):
    """One bin of the calibration: what was promised and what was kept."""

    texts: int
    certainty: float
    """Mean best probability."""
    accuracy: float


class MoodFigures(_Figures):
    """How well the mood of texts is told; shares in [0, 1]."""

    texts: int
    classes: int
    """2: there are no neutral texts, so the likelier of negative and positive counts."""
    accuracy: float
    macro_f1: float
    """Mean over the classes that occur."""
    macro_f1_interval: tuple[float, float]
    """95 %, by the bootstrap."""
    macro_recall: float
    by_class: dict[Label, ClassFigures]
    confusion: tuple[tuple[int, int, int], ...]
    """Rows are what is true, columns what was said: negative, neutral, positive."""
    calibration_error: float
    """Expected, over 15 bins of the best probability (Guo et al. 2017)."""
    coverage: float
    """Share of texts that the scorer is sure of."""
    sure_accuracy: float
    """Accuracy on those; 0 if there are none."""
    reliability: tuple[Reliable, ...]
    """Bins that are not empty, least certain first."""
    risk_coverage: tuple[Trusted, ...]
    """From trusting everything to trusting the surest."""


class OpinionFigures(_Figures):
    """How well triplets are found. Exact: same characters; partial: overlapping ones. Polarity always counts."""

    texts: int
    right: int
    """Triplets there are."""
    given: int
    """Triplets the scorer gave."""
    triplets: Found
    triplets_partial: Found
    opinions: Found
    """Opinion term and polarity, whatever the aspect."""
    opinions_partial: Found


class TargetFigures(_Figures):
    """How well the sentiment towards names is told; the figures of `own` count names, not texts."""

    own: MoodFigures
    of_text: float
    """Macro-F1 where the text's own sentiment is taken for that towards every name in it."""


@dataclass
class MoodTally:
    """Counts of sentiment answers, judged over two or over all three classes."""

    closed: bool
    """Whether only negative and positive are asked for."""
    confusion: list[list[int]] = field(default_factory=lambda: [[0] * 3 for _ in LABELS])
    certainty: list[float] = field(default_factory=lambda: [0.0] * BINS)
    hits: list[float] = field(default_factory=lambda: [0.0] * BINS)
    counts: list[int] = field(default_factory=lambda: [0] * BINS)
    ranked: list[int] = field(default_factory=lambda: [0] * STEPS)
    """Answers by their best probability."""
    ranked_right: list[int] = field(default_factory=lambda: [0] * STEPS)
    sure: int = 0
    sure_right: int = 0

    def add(self, gold: int, said: Sentiment) -> None:
        """Count one answer; `gold` is an index in LABELS."""
        told, best = LABELS.index(said.label), max(said.negative, said.neutral, said.positive)
        if self.closed:
            told = 0 if said.negative >= said.positive else 2
            best = max(said.negative, said.positive) / ((said.negative + said.positive) or 1.0)
        right = told == gold
        self.confusion[gold][told] += 1
        place = min(int(best * BINS), BINS - 1)
        self.certainty[place] += best
        self.hits[place] += right
        self.counts[place] += 1
        step = min(int(best * STEPS), STEPS - 1)
        self.ranked[step] += 1
        self.ranked_right[step] += right
        self.sure += not said.unsure
        self.sure_right += right and not said.unsure

    def merge(self, other: "MoodTally") -> None:
        """Count what another one counted."""
        for row, more in zip(self.confusion, other.confusion, strict=True):
            row[:] = map(sum, zip(row, more, strict=True))
        for name in ("certainty", "hits", "counts", "ranked", "ranked_right"):
            setattr(self, name, [*map(sum, zip(getattr(self, name), getattr(other, name), strict=True))])
        self.sure += other.sure
        self.sure_right += other.sure_right
        self.closed = self.closed and other.closed

    @property
    def texts(self) -> int:
        """How many answers were counted."""
        return sum(map(sum, self.confusion))

    def figures(self) -> MoodFigures:
        """The figures of everything counted; there must be something."""
        texts = self.texts
        occurring = [at for at in range(3) if sum(self.confusion[at])]
        classes = [self._class(at) for at in range(3)]
        macro_f1 = interval(self.confusion)
        gaps = (abs(sure - hit) for sure, hit in zip(self.certainty, self.hits, strict=True))
        return MoodFigures(
            texts=texts,
            classes=2 if self.closed else 3,
            accuracy=sum(self.confusion[at][at] for at in range(3)) / texts,
            macro_f1=macro_f1.value,
            macro_f1_interval=(macro_f1.low, macro_f1.high),
            macro_recall=sum(classes[at].recall for at in occurring) / len(occurring),
            by_class={LABELS[at]: classes[at] for at in range(3) if at in occurring or not self.closed},
            confusion=tuple((row[0], row[1], row[2]) for row in self.confusion),
            calibration_error=sum(gaps) / texts,
            coverage=self.sure / texts,
            sure_accuracy=self.sure_right / self.sure if self.sure else 0.0,
            reliability=tuple(
                Reliable(texts=count, certainty=certainty / count, accuracy=hits / count)
                for count, certainty, hits in zip(self.counts, self.certainty, self.hits, strict=True)
                if count
            ),
            risk_coverage=tuple(self._trusted()),
        )

    def _trusted(self) -> Iterator[Trusted]:
        for step in range(STEPS):
            kept = sum(self.ranked[step:])
            if kept and (step == 0 or self.ranked[step - 1]):
                right = sum(self.ranked_right[step:])
                yield Trusted(from_probability=step / STEPS, coverage=kept / self.texts, accuracy=right / kept)

    def _class(self, at: int) -> ClassFigures:
        support = sum(self.confusion[at])
        found = _found(self.confusion[at][at], sum(row[at] for row in self.confusion), support)
        return ClassFigures(support=support, **found.model_dump())


@dataclass
class TargetTally:
    """Counts of what is said of names, three classes always: what is merely mentioned is neutral."""

    own: MoodTally = field(default_factory=lambda: MoodTally(closed=False))
    of_text: MoodTally = field(default_factory=lambda: MoodTally(closed=False))

    def add(self, gold: int, said: Sentiment, text: Sentiment) -> None:
        """Count one name: what is true of it, what was said of it, and of its text."""
        self.own.add(gold, said)
        self.of_text.add(gold, text)

    def merge(self, other: "TargetTally") -> None:
        """Count what another one counted."""
        self.own.merge(other.own)
        self.of_text.merge(other.of_text)

    @property
    def names(self) -> int:
        """How many were counted."""
        return self.own.texts

    def figures(self) -> TargetFigures:
        """The figures of everything counted; there must be something."""
        return TargetFigures(own=self.own.figures(), of_text=self.of_text.figures().macro_f1)


@dataclass
class OpinionTally:
    """Counts of triplets."""

    texts: int = 0
    right: list[int] = field(default_factory=lambda: [0, 0])
    """How many there are: triplets, and opinion terms alone."""
    given: list[int] = field(default_factory=lambda: [0, 0])
    hits: list[int] = field(default_factory=lambda: [0] * 4)
    """Triplets exact and partial, opinion terms exact and partial."""

    def add(self, gold: Sequence[Link], said: Sequence[Link]) -> None:
        """Count one text."""
        self.texts += 1
        alone: list[list[Link]] = [[(None, link[1], link[2]) for link in links] for links in (gold, said)]
        for at, (wanted, answered) in enumerate(((gold, said), alone)):
            right, given = list(dict.fromkeys(wanted)), list(dict.fromkeys(answered))
            self.right[at] += len(right)
            self.given[at] += len(given)
            self.hits[2 * at] += len(set(right) & set(given))
            self.hits[2 * at + 1] += _overlapping(right, given)

    def merge(self, other: "OpinionTally") -> None:
        """Count what another one counted."""
        self.texts += other.texts
        for mine, more in ((self.right, other.right), (self.given, other.given), (self.hits, other.hits)):
            mine[:] = map(sum, zip(mine, more, strict=True))

    def figures(self) -> OpinionFigures:
        """The figures of everything counted."""
        exact, partial, alone, alone_partial = (
            _found(hits, self.given[at // 2], self.right[at // 2]) for at, hits in enumerate(self.hits)
        )
        return OpinionFigures(
            texts=self.texts,
            right=self.right[0],
            given=self.given[0],
            triplets=exact,
            triplets_partial=partial,
            opinions=alone,
            opinions_partial=alone_partial,
        )


def _found(hits: int, given: int, right: int) -> Found:
    precision, recall = hits / given if given else 0.0, hits / right if right else 0.0
    return Found(precision=precision, recall=recall, f1=2 * hits / (given + right) if given + right else 0.0)


def _overlapping(right: Sequence[Link], given: Sequence[Link]) -> int:
    """How many right ones have a given one of their own that overlaps them; equal ones are matched first."""
    open_ = [link for link in given if link not in right]
    matched = len(given) - len(open_)
    for link in right:
        if link in given:
            continue
        near = next((other for other in open_ if _overlaps(link, other)), None)
        if near is not None:
            open_.remove(near)
            matched += 1
    return matched


def _overlaps(one: Link, other: Link) -> bool:
    return one[2] == other[2] and _touch(one[1], other[1]) and _touch(one[0], other[0])


def _touch(one: Span | None, other: Span | None) -> bool:
    if one is None or other is None:
        return one is other
    return one[0] < other[1] and other[0] < one[1]
