"""Fold: the mentions of one tick become counts, each step in the order of the mentions' ids.

The detector's evidence is stricter than the windows' voices: an author's negative voice counts once a day per
watchlist. So what rises is the share of people, and four angry accounts are four, however long they go on.

A later version of a text, or its deletion, corrects the windows, and the old words are shown no more. It is no
evidence: what the detector, the tallies and the volume have counted was said when they counted it, and stays.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from opinionwatch.alerts.detect_baseline import Cells
from opinionwatch.alerts.detect_grid import I64, Grid
from opinionwatch.alerts.explain_evidence import NEGATIVE, NEGATIVE_REPOSTS, POSTS, VOICES, Voice, voice_of
from opinionwatch.alerts.explain_words import terms_of
from opinionwatch.alerts.pending import Waiting
from opinionwatch.pipeline.cluster import Voices
from opinionwatch.pipeline.contracts import Mention
from opinionwatch.pipeline.contracts_changes import Withdrawal
from opinionwatch.pipeline.ticks import TICKS_PER_DAY, TICKS_PER_HOUR, tick_of
from opinionwatch.pipeline.windows import Windows

Counts = dict[tuple[int, int, int], list[int]]


@dataclass
class Fold:
    """What one tick brings, by row of the grid."""

    cells: Counts = field(default_factory=dict)
    """Sure voices and negative voices that are evidence, by row, source, aspect."""
    late: Counts = field(default_factory=dict)
    """The same of those that come too late to be evidence."""
    tallies: dict[int, list[int]] = field(default_factory=dict)
    timely: dict[int, int] = field(default_factory=dict)
    """Posts that are less than an hour late."""
    voices: dict[int, list[Voice]] = field(default_factory=dict)
    """Negative voices that are evidence."""
    heard: dict[tuple[int, str], int] = field(default_factory=dict)
    """All posts, by row and source, however late."""
    langs: dict[tuple[int, str], int] = field(default_factory=dict)
    """Sure voices, by row and language."""
    rebased: set[int] = field(default_factory=set)
    """Rows whose scorer has changed."""
    outdated: set[str] = field(default_factory=set)
    """Documents of which an earlier version was counted that does not stand any more."""

    def rows(self) -> set[int]:
        """Rows with at least one mention."""
        return set(self.tallies)


class Folding:
    """Deduplicate, cluster, aggregate: turns the mentions of a tick into a `Fold`, and counts them in windows."""

    def __init__(self, grid: Grid, voices: Voices, windows: Windows, evidence_h: float) -> None:
        self._grid = grid
        self._voices = voices
        self._windows = windows
        self._evidence_ticks = evidence_h * TICKS_PER_HOUR
        self.scorers: list[list[str]] = []
        """Versions that have scored each row, the current one last."""

        self.complained: dict[tuple[int, str], int] = {}
        """Tick at which an author's negative voice was last evidence, by row and author."""

    def forget(self, tick: int) -> None:
        """Free what has no say any more."""
        self.complained = {key: at for key, at in self.complained.items() if at > tick - TICKS_PER_DAY}

    def fold(self, records: Iterable[Waiting], tick: int) -> Fold:
        """Fold what has waited for a tick, in the order in which `Pending` gives it."""
        fold = Fold()
        for record in records:
            if isinstance(record, Withdrawal):
                if self._windows.withdraw(record, self._grid.watchlists, tick):
                    fold.outdated.add(record.document_id)
                continue
            revises = record.revised_at is not None and self._is_revision(fold, record, tick)
            if not revises and self._voices.is_new(record.id, tick):
                self._add(fold, record, tick)
        return fold

    def _is_revision(self, fold: Fold, mention: Mention, tick: int) -> bool:
        """Whether this is a later version of what was counted before, or comes too late to change anything. If not, the
        document had nothing to do with the watchlist until now.
        """
        if self._windows.outdated(mention, tick):
            return True
        known = self._windows.knows(mention)
        if known and self._windows.revise(mention):
            fold.outdated.add(mention.document_id)
        return known

    def _add(self, fold: Fold, mention: Mention, tick: int) -> None:
        standing = self._voices.place(mention, tick)
        self._windows.add(mention, voice=standing.voice)
        row = self._grid.row(mention.watchlist)
        tally = fold.tallies.setdefault(row, [0, 0, 0, 0])
        fold.heard[row, mention.source] = fold.heard.get((row, mention.source), 0) + 1
        lateness = tick - tick_of(mention.published_at)
        is_evidence = lateness < self._evidence_ticks and not mention.history
        sentiment = mention.reading.sentiment
        negative = sentiment.label == "negative" and not sentiment.unsure
        if is_evidence:
            tally[POSTS] += 1
            tally[VOICES] += standing.voice
            tally[NEGATIVE] += negative
            tally[NEGATIVE_REPOSTS] += negative and standing.repost
        if lateness < TICKS_PER_HOUR and not mention.history:
            fold.timely[row] = fold.timely.get(row, 0) + 1
        if not self._is_current(fold, row, mention.scorer) or not standing.voice or sentiment.unsure:
            return
        if negative and mention.author is not None and self._has_complained(row, mention.author, tick):
            return
        fold.langs[row, mention.lang] = fold.langs.get((row, mention.lang), 0) + 1
        place = (row, *self._grid.cell(row, mention.source, mention.aspect))
        counts = (fold.cells if is_evidence else fold.late).setdefault(place, [0, 0])
        counts[0] += 1
        counts[1] += negative
        if is_evidence and negative:
            voice = voice_of(mention, tick, standing.cluster, terms_of(mention))
            fold.voices.setdefault(row, []).append(voice)

    def _has_complained(self, row: int, author: str, tick: int) -> bool:
        """Whether the author's negative voice has been evidence within the day; if not, it is now."""
        last = self.complained.get((row, author))
        if last is not None and last > tick - TICKS_PER_DAY:
            return True
        self.complained[row, author] = tick
        return False

    def _is_current(self, fold: Fold, row: int, scorer: str) -> bool:
        """Whether the row's current scorer has read this. An unknown version becomes the current one and re-baselines
        the row; what an earlier version has read is still counted in windows, but not compared any more.
        """
        while len(self.scorers) <= row:
            self.scorers.append([])
        known = self.scorers[row]
        if scorer in known:
            return scorer == known[-1]
        if known:
            fold.rebased.add(row)
            for counts in (fold.cells, fold.late):
                for place in [place for place in counts if place[0] == row]:
                    del counts[place]
            fold.voices.pop(row, None)
        known.append(scorer)
        return True


def cells_of(counts: Counts) -> Cells:
    """The counts as sorted arrays."""
    places = sorted(counts)
    at: I64 = np.array(places, np.int64).reshape(-1, 3)
    values = np.array([counts[place] for place in places], np.float64).reshape(-1, 2)
    return Cells(at[:, 0], at[:, 1], at[:, 2], values[:, 0], values[:, 1])
