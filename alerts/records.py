"""Records: the production detectors on a feed of counts instead of mentions: what `opinionwatch detect` reads.

What runs here is what the trend hop runs after clustering: the share detector, the volume channel, the ranking of
aspects and sources, the terms. A record is a delta of one 5-minute bucket that arrives within the tick after its
bucket; all records of a tick are folded in one step, and a tick is decided when it is over.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from opinionwatch.alerts.detect import ShareDetector
from opinionwatch.alerts.detect_grid import I64, Grid
from opinionwatch.alerts.detect_settings import TrendSettings
from opinionwatch.alerts.explain import find
from opinionwatch.alerts.explain_terms import Terms
from opinionwatch.alerts.explain_words import choose
from opinionwatch.alerts.trend_fold import Counts, cells_of
from opinionwatch.alerts.volume import VolumeChannel
from opinionwatch.pipeline.ticks import TICK_S, TICKS_PER_DAY, TICKS_PER_HOUR

FLOOR = 5.0
"""Scores below this are no candidates at any threshold in use."""
REMEMBERED = 8 * TICKS_PER_DAY
"""Ticks for which ids are remembered: a record that comes again later counts again."""
NAMED = 3
Name = Annotated[str, Field(min_length=1, max_length=256)]
Count = Annotated[int, Field(ge=0, le=10**9)]
Moment = Annotated[int, Field(ge=TICK_S, le=10**11)]
Cell = tuple[Name, Name, Count, Count, Count]


def _possible(cells: list[Cell]) -> list[Cell]:
    if any(negative > documents for _, _, documents, negative, _ in cells):
        raise ValueError("a cell has more negative documents than documents")
    return cells


class FeedRecord(BaseModel):
    """One line of the feed: what became known at `arrive` about the bucket that starts at `bucket` (both in s, UTC)."""

    model_config = ConfigDict(frozen=True)

    id: Name
    """A record that comes twice counts once."""
    topic: Name
    bucket: Moment
    arrive: Moment
    cells: Annotated[list[Cell], Field(max_length=100_000), AfterValidator(_possible)]
    """Source, aspect, documents, negative ones, positive ones."""
    terms: Annotated[dict[str, float], Field(max_length=100_000)] = {}
    """How many of the negative documents hold a term."""
    down: list[str] = []
    """Sources known to be down: they say nothing, so nothing follows."""

    @property
    def tick(self) -> int:
        """The tick that is decided with it: a bucket's own, when the record comes as soon as the bucket is over."""
        return (self.arrive - TICK_S) // TICK_S


class AlertRecord(BaseModel):
    """One line of answer. `kind` negative: the share, `score` is ln M; volume: information, `score` is its surprise."""

    model_config = ConfigDict(frozen=True)

    topic: str
    after_id: str
    """The last new record of the topic that is in it."""
    score: float
    kind: Literal["negative", "volume"]
    top_aspects: list[str]
    top_sources: list[str]
    top_terms: list[str]


class Counting:
    """The detectors of all topics of a feed. Pure: the same ticks give the same answers."""

    def __init__(self, settings: TrendSettings | None = None) -> None:
        self._settings = settings or TrendSettings()
        detector = self._settings.detector
        self._evidence_ticks = detector.evidence_h * TICKS_PER_HOUR
        self._grid = Grid(detector.max_sources, detector.max_aspects)
        self._detector = ShareDetector(self._grid.sizes, detector.min_voices)
        self._volume = VolumeChannel(self._grid.sizes[0], self._settings.volume)
        self._terms: dict[int, Terms] = {}
        self._seen: dict[str, int] = {}
        self._hour = -1

    def fold(self, tick: int, records: Iterable[FeedRecord]) -> list[AlertRecord]:
        """Decide one tick, later than the one before: all that the topics' records of it have to say."""
        cells: Counts = {}
        late: Counts = {}
        last: dict[int, FeedRecord] = {}
        posts: dict[int, int] = {}
        for record in records:
            if record.id in self._seen:
                continue
            self._seen[record.id] = tick
            row = self._grid.row(record.topic)
            last[row] = record
            lateness = tick - record.bucket // TICK_S
            self._count(cells if lateness < self._evidence_ticks else late, row, record)
            if record.terms:
                self._terms.setdefault(row, Terms()).add(tick, record.terms)
            if lateness < TICKS_PER_HOUR:
                posts[row] = posts.get(row, 0) + sum(cell[2] for cell in record.cells)
        self._forget(tick)
        return self._decide(tick, (cells, late), last, posts) if last else []

    def _count(self, counts: Counts, row: int, record: FeedRecord) -> None:
        for source, aspect, documents, negative, _ in record.cells:
            cell = counts.setdefault((row, *self._grid.cell(row, source, aspect)), [0, 0])
            cell[0] += documents
            cell[1] += negative

    def _forget(self, tick: int) -> None:
        if tick // TICKS_PER_HOUR > self._hour:
            self._hour = tick // TICKS_PER_HOUR
            self._seen = {name: at for name, at in self._seen.items() if at > tick - REMEMBERED}

    def _decide(
        self, tick: int, counts: tuple[Counts, Counts], last: Mapping[int, FeedRecord], posts: Mapping[int, int]
    ) -> list[AlertRecord]:
        self._detector.grow(self._grid.sizes)
        self._volume.grow(self._grid.sizes[0])
        rows: I64 = np.array(sorted(last), np.int64)
        spoken, late = (cells_of(part) for part in counts)
        scores = self._detector.step(tick, rows, spoken, late, self._grid.counts(rows))
        loud = np.array([posts.get(row, 0) for row in rows.tolist()], np.float64)
        surprise, _ = self._volume.step(tick, rows, loud)
        found: list[AlertRecord] = []
        for place, row in enumerate(rows.tolist()):
            if surprise[place] >= self._settings.volume.flag_at:
                found.append(_alert(last[row], "volume", float(surprise[place]), [], [], []))
            if scores[place] >= FLOOR:
                found.append(self._negative(tick, row, last[row], float(scores[place])))
        return found

    def _negative(self, tick: int, row: int, record: FeedRecord, score: float) -> AlertRecord:
        finding = find(self._detector, self._grid, row, tick)
        aspects, sources = ([part.name for part in parts] for parts in (finding.aspects, finding.sources))
        # Counted terms are few and clean: where nothing has been said twice yet, a new one said once is worth naming.
        terms = choose(self._terms.get(row, Terms()).since(finding.onset, 1), (), NAMED)
        return _alert(record, "negative", score, aspects[:NAMED], sources[:NAMED], [term.term for term in terms])


def _alert(
    record: FeedRecord,
    kind: Literal["negative", "volume"],
    score: float,
    aspects: list[str],
    sources: list[str],
    terms: list[str],
) -> AlertRecord:
    return AlertRecord(
        topic=record.topic,
        after_id=record.id,
        score=score,
        kind=kind,
        top_aspects=aspects,
        top_sources=sources,
        top_terms=terms,
    )
