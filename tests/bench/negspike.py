"""The production detector in the negspike benchmark: `negspike_bench.py --module tests/bench/negspike.py:Production`.

The benchmark's records are counts, so what runs here is what the trend hop runs after clustering: the share detector,
its ranking of aspects and sources, and the terms. A record is a delta of one bucket that arrives a few seconds after
its tick has ended; all records of a topic and tick are folded into one step, as the trend hop does.
"""

from collections.abc import Iterable, Mapping
from typing import TypedDict

import numpy as np

from opinionwatch.alerts.detect import ShareDetector
from opinionwatch.alerts.detect_grid import Grid
from opinionwatch.alerts.detect_settings import DetectorSettings
from opinionwatch.alerts.explain import find, ranked
from opinionwatch.alerts.explain_terms import Terms
from opinionwatch.alerts.explain_words import choose
from opinionwatch.alerts.trend_fold import Counts, cells_of
from opinionwatch.pipeline.ticks import TICK_S, TICKS_PER_HOUR

Cell = tuple[str, str, int, int, int]
FLOOR = 5.0
"""Scores below this are no candidates at any threshold in use."""


class FeedRecord(TypedDict):
    """One line of the benchmark's feed."""

    id: str
    topic: str
    bucket: int
    arrive: int
    cells: list[Cell]
    terms: dict[str, float]
    down: list[str]


class AlertRecord(TypedDict):
    """One line of the benchmark's alerts."""

    topic: str
    score: float
    kind: str
    top_aspects: list[str]
    top_sources: list[str]
    top_terms: list[str]


class Production:
    """A detector as the benchmark wants it: made from `meta`, called once a record."""

    def __init__(self, meta: dict[str, object]) -> None:
        del meta
        self._settings = DetectorSettings()
        self._grid = Grid(self._settings.max_sources, self._settings.max_aspects)
        self._detector = ShareDetector(self._grid.sizes, self._settings.min_voices)
        self._terms: dict[int, Terms] = {}
        self._seen: set[str] = set()
        self._open: tuple[str, int] | None = None
        self._waiting: list[FeedRecord] = []

    def on_record(self, record: FeedRecord) -> list[AlertRecord]:
        """Take one record; returns the alerts of the topic and tick that it shows to be complete."""
        tick = (record["arrive"] - TICK_S) // TICK_S
        found: list[AlertRecord] = []
        if self._open is not None and self._open != (record["topic"], tick):
            topic, ended = self._open
            found = self.fold(ended, {topic: self._waiting})
            self._waiting = []
        self._open = (record["topic"], tick)
        self._waiting.append(record)
        return found

    def fold(self, tick: int, records: Mapping[str, Iterable[FeedRecord]]) -> list[AlertRecord]:
        """Decide one tick of some topics at once; they know nothing of each other, so it is the same one by one."""
        cells: Counts = {}
        late: Counts = {}
        topics = {self._grid.row(topic): topic for topic in records}
        for row, topic in topics.items():
            for record in records[topic]:
                if record["id"] not in self._seen:
                    self._seen.add(record["id"])
                    lateness = tick - record["bucket"] // TICK_S
                    is_evidence = lateness < self._settings.evidence_h * TICKS_PER_HOUR
                    self._add(cells if is_evidence else late, row, tick, record)
        self._detector.grow(self._grid.sizes)
        rows = np.array(sorted(topics))
        scores = self._detector.step(tick, rows, cells_of(cells), cells_of(late), self._grid.counts(rows))
        return [
            self._alert(tick, row, topics[row], score)
            for row, score in zip(rows.tolist(), scores.tolist(), strict=True)
            if score >= FLOOR
        ]

    def _add(self, counts: Counts, row: int, tick: int, record: FeedRecord) -> None:
        for source, aspect, n, k, _ in record["cells"]:
            cell = counts.setdefault((row, *self._grid.cell(row, source, aspect)), [0, 0])
            cell[0] += n
            cell[1] += k
        if record["terms"]:
            self._terms.setdefault(row, Terms()).add(tick, record["terms"])

    def _alert(self, tick: int, row: int, topic: str, score: float) -> AlertRecord:
        aspects, sources = ranked(self._detector, self._grid, row)
        onset = find(self._detector, self._grid, row, tick).onset
        terms = choose(self._terms.get(row, Terms()).since(onset), (), 3)
        return AlertRecord(
            topic=topic,
            score=score,
            kind="negative",
            top_aspects=aspects[:3],
            top_sources=sources[:3],
            top_terms=[term.term for term in terms],
        )
