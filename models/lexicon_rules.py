"""From marks to a verdict: negation, degree, contrast, concession, irony, and the aspect each opinion is about.

The rules follow VADER (Hutto & Gilbert 2014, §3.3) where they are English and are the same in Chinese, with distances
counted in characters instead of words.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from opinionwatch.models.lexicon_scan import End, Mark
from opinionwatch.pipeline.contracts import Span

REACH_WORDS, REACH_CHARS = 4, 5
"""How far a negation reaches."""
BESIDE_WORDS, BESIDE_CHARS = 2, 2
"""How far a word of degree reaches."""
NOT_GOOD, NOT_BAD = -0.75, -0.4
"""`not good` is rather bad; `not bad` is only a little good."""
BEFORE_BUT, AFTER_BUT = 0.6, 1.4
SHOUTED = 1.2
FAR_WORDS, FAR_CHARS = 60, 20
"""An aspect further away than this many characters of the opinion, in English and in Chinese, is not its aspect."""


class Hit(NamedTuple):
    """A mood in the text."""

    mark: Mark
    value: float
    start: int
    """Of the mark, or of its negation."""
    clause: int

    def times(self, factor: float) -> "Hit":
        """The same mood, stronger or weaker."""
        return self._replace(value=self.value * factor)


@dataclass(slots=True)
class Verdict:
    """The moods of a text and the aspects in it, built up mark by mark."""

    hits: list[Hit] = field(default_factory=list)
    aspects: list[tuple[int, Mark]] = field(default_factory=list)
    """With the number of its clause."""
    ironic: bool = False
    clause: int = 0
    since: int = 0
    """First hit of the part of the sentence that a contrast would play down."""
    weight: float = 1.0
    """Of what comes after a contrast."""
    conceded: float = 1.0
    negation: Mark | None = None
    degree: Mark | None = None

    def end(self, end: End) -> None:
        """A clause ends: what it denied or stressed ends with it."""
        self.clause += 1
        self.negation = self.degree = None
        self.conceded = 1.0
        if end.sentence:
            self.since, self.weight = len(self.hits), 1.0

    def add(self, mark: Mark, shouted: bool) -> None:
        """What one mark does."""
        entry = mark.entry
        self.ironic = self.ironic or entry.irony
        self.conceded *= entry.concedes
        if entry.aspect:
            self.aspects.append((self.clause, mark))
        if entry.turns:
            self._turn()
        if entry.follows and self.hits and _near(self.hits[-1].mark, mark, 0, 1):
            self.hits[-1] = self.hits[-1].times(entry.boost)
            return
        if entry.mood:
            self.hits.append(self._hit(mark, entry.mood * (SHOUTED if shouted else 1)))
        if entry.negates:
            self.negation = mark
        if entry.boost != 1 and not entry.follows:
            self.degree = mark

    def _turn(self) -> None:
        self.hits[self.since :] = [hit.times(BEFORE_BUT) for hit in self.hits[self.since :]]
        self.since, self.weight, self.negation = len(self.hits), AFTER_BUT, None

    def _hit(self, mark: Mark, value: float) -> Hit:
        start = mark.start
        value *= self.weight * self.conceded
        if self.degree is not None and _near(self.degree, mark, BESIDE_WORDS, BESIDE_CHARS):
            value *= self.degree.entry.boost
            self._spend(self.degree)
        if self.negation is not None and _near(self.negation, mark, REACH_WORDS, REACH_CHARS):
            value *= NOT_GOOD if value > 0 else NOT_BAD
            self._spend(self.negation)
            # Where an aspect stands between a negation and its word, the opinion would swallow it.
            if not self.aspects or self.aspects[-1][1].start < self.negation.start:
                start = self.negation.start
            self.negation = None
        return Hit(mark, value, start, self.clause)

    def _spend(self, mark: Mark) -> None:
        """A word that turns or stresses another has no mood of its own there."""
        if self.hits and self.hits[-1].mark is mark:
            self.hits.pop()


def judge(marks: Iterable[Mark | End], text: str) -> Verdict:
    """Go through the marks once."""
    verdict = Verdict()
    calm = not text.isupper()
    for mark in marks:
        if isinstance(mark, End):
            verdict.end(mark)
        else:
            verdict.add(mark, calm and mark.word >= 0 and text[mark.start : mark.end].isupper())
    return verdict


def _near(first: Mark, then: Mark, words: int, chars: int) -> bool:
    if first.word >= 0 and then.word >= 0:
        return then.word - first.word - 1 <= words
    return then.start - first.end <= chars


def aspect_of(hit: Hit, verdict: Verdict, text: str) -> Span | None:
    """The aspect right after the opinion (great battery), else the last one before it in its clause, else the next
    one in it, else the last one before it within reach.
    """
    before = after = None
    for clause, mark in verdict.aspects:
        if mark.end <= hit.start:
            before = (clause, mark)
        elif mark.start >= hit.mark.end:
            after = (clause, mark) if clause == hit.clause else None
            break
    if after and text[hit.mark.end : after[1].start] in ("", " ", "的", " 的"):
        return after[1].start, after[1].end
    if before and before[0] == hit.clause:
        return before[1].start, before[1].end
    if after:
        return after[1].start, after[1].end
    far = FAR_WORDS if hit.mark.word >= 0 else FAR_CHARS
    if before and hit.start - before[1].end <= far:
        return before[1].start, before[1].end
    return None
