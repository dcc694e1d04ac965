"""A second model reads what the pipeline has read: where the two part, and what the windows would have been.

The shadow has the archive's documents and the score hop's own stages, nothing else; so its mentions are those that its
model would have made. What it counts are mentions by watchlist and hour of publication: every mention, not voices.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from threading import Event
from time import monotonic
from typing import get_args

from opinionwatch.pipeline.archive import Archive, DocumentQuery
from opinionwatch.pipeline.contracts import Label, Record, ScoredDocument, Sentiment, Span, Utc
from opinionwatch.pipeline.match import MatchedDocument, MatchStage
from opinionwatch.pipeline.mention import reading_of
from opinionwatch.pipeline.ports import Scorer
from opinionwatch.pipeline.read import Read, ReadDocument
from opinionwatch.pipeline.score import Score
from opinionwatch.pipeline.watchlists import Watchlist

LOOK_S = 2.0
PAGE = 1000
LABELS: tuple[Label, ...] = get_args(Label)


class Parting(Record):
    """How often two models part, in one slice."""

    name: str
    texts: int
    parted: int
    """Other labels."""

    @property
    def share(self) -> float:
        """Of the texts."""
        return self.parted / self.texts if self.texts else 0.0


class Hour(Record):
    """One hour of one watchlist, counted twice."""

    watchlist: str
    start: Utc
    mentions: int
    negative: int
    """Sure and negative, as the pipeline has it."""
    negative_shadow: int
    sure: int
    sure_shadow: int


class Example(Record):
    """A text on which the two are far apart."""

    document_id: str
    text: str
    old: Label
    new: Label
    moved: float
    """How far the probability of `negative` is apart."""


class Shadow(Record):
    """What a shadow has seen."""

    old: tuple[str, ...]
    """Versions that the pipeline has read with."""
    new: str
    texts: int
    refused: int
    """Texts that the shadow cannot read."""
    table: dict[str, dict[str, int]]
    """Texts by the pipeline's label and then the shadow's."""
    moved: float
    """Mean distance of the probabilities of `negative`."""
    langs: tuple[Parting, ...]
    sources: tuple[Parting, ...]
    hours: tuple[Hour, ...]
    examples: tuple[Example, ...]

    @property
    def parted(self) -> float:
        """Share of texts with other labels."""
        same = sum(self.table[label].get(label, 0) for label in self.table)
        return 1 - same / self.texts if self.texts else 0.0


def follow(
    archive: Archive,
    reader: Scorer,
    watchlists: Sequence[Watchlist],
    *,
    since: datetime,
    seconds: float,
    most: int,
    stop: Event,
    clock: Callable[[], float] = monotonic,
) -> Shadow:
    """Read what was published since then, then what comes for so many seconds; at most `most` texts."""
    pair = Pair(reader, watchlists)
    seen: set[str] = set()
    end = clock() + seconds
    while True:
        # What comes later is among the newest; all of it again every two seconds would be a load of its own.
        fresh = [each for each in _newest(archive, since, PAGE if seen else most) if each.id not in seen]
        seen.update(each.id for each in fresh)
        pair.take(fresh[: max(0, most - pair.texts)])
        if clock() >= end or pair.texts >= most or stop.wait(min(LOOK_S, max(0.0, end - clock()))):
            return pair.told()


def _newest(archive: Archive, since: datetime, most: int) -> list[ScoredDocument]:
    """Documents published since then, newest first, page by page."""
    found: dict[str, ScoredDocument] = {}
    until: datetime | None = None
    while len(found) < most:
        page = archive.documents(DocumentQuery(since=since, until=until, limit=PAGE))
        before = len(found)
        found |= {each.id: each for each in page}
        if len(page) < PAGE or len(found) == before:
            break
        until = page[-1].document.published_at + timedelta(microseconds=1)
    return [*found.values()][:most]


class Pair:
    """Counts what two models say of the same documents."""

    def __init__(self, reader: Scorer, watchlists: Sequence[Watchlist]) -> None:
        self._version = reader.version
        self._read, self._match, self._score = Read(), MatchStage(watchlists), Score(reader)
        self._watched = {watchlist.id for watchlist in watchlists}
        self.texts = 0
        self._refused = 0
        self._moved = 0.0
        self._old: set[str] = set()
        self._table: Counter[tuple[Label, Label]] = Counter()
        self._slices: dict[str, dict[str, list[int]]] = {"lang": {}, "source": {}}
        self._hours: defaultdict[tuple[str, datetime], Counter[str]] = defaultdict(Counter)
        self._examples: list[Example] = []

    def take(self, documents: Sequence[ScoredDocument]) -> None:
        """Let the shadow read these."""
        for start in range(0, len(documents), 256):
            part = documents[start : start + 256]
            now = max((each.document.accepted_at for each in part), default=None)
            if now is None:
                return
            read = self._read([each.document for each in part], now)
            again = self._score(self._matched(read, part, now), now)
            for old, new in zip(part, again, strict=True):
                if isinstance(new, ScoredDocument):
                    self._count(old, new)
                else:
                    self._refused += 1

    def _matched(
        self, read: Sequence[ReadDocument], part: Sequence[ScoredDocument], now: datetime
    ) -> list[MatchedDocument]:
        """The matches that the pipeline found, and the places of those names that are still watched."""
        matched = []
        for each, old, found in zip(read, part, self._match(read, now), strict=True):
            named: dict[str, tuple[Span, ...]] = {}
            if isinstance(found, MatchedDocument):
                watchlists = (match.watchlist for match in found.matches)
                named = dict(zip(watchlists, found.targets, strict=True))
            matches = tuple(match.model_copy(update={"sentiment": None}) for match in old.matches)
            matched.append(MatchedDocument(each, matches, tuple(named.get(match.watchlist, ()) for match in matches)))
        return matched

    def _count(self, old: ScoredDocument, new: ScoredDocument) -> None:
        before, after = old.reading.sentiment, new.reading.sentiment
        moved = abs(before.negative - after.negative)
        self.texts += 1
        self._moved += moved
        self._old.add(old.scorer)
        self._table[before.label, after.label] += 1
        for kind, name in (("lang", old.lang), ("source", old.document.source)):
            counts = self._slices[kind].setdefault(name, [0, 0])
            counts[0] += 1
            counts[1] += before.label != after.label
        start = old.document.published_at.replace(minute=0, second=0, microsecond=0)
        for match in old.matches:
            if match.watchlist in self._watched:
                was, would_be = (reading_of(each, match.watchlist).sentiment for each in (old, new))
                self._hours[match.watchlist, start].update(_tally(was, ""), mentions=1)
                self._hours[match.watchlist, start].update(_tally(would_be, "_shadow"))
        if before.label != after.label:
            text = old.document.text[:200]
            example = Example(document_id=old.id, text=text, old=before.label, new=after.label, moved=round(moved, 4))
            self._examples = sorted([*self._examples, example], key=lambda each: -each.moved)[:10]

    def told(self) -> Shadow:
        """What was counted."""
        return Shadow(
            old=tuple(sorted(self._old)),
            new=self._version,
            texts=self.texts,
            refused=self._refused,
            table={old: {new: self._table[old, new] for new in LABELS} for old in LABELS},
            moved=round(self._moved / self.texts, 4) if self.texts else 0.0,
            langs=self._partings("lang"),
            sources=self._partings("source"),
            hours=tuple(
                Hour(
                    watchlist=watchlist,
                    start=start,
                    mentions=counts["mentions"],
                    negative=counts["negative"],
                    negative_shadow=counts["negative_shadow"],
                    sure=counts["sure"],
                    sure_shadow=counts["sure_shadow"],
                )
                for (watchlist, start), counts in sorted(self._hours.items())
            ),
            examples=tuple(self._examples),
        )

    def _partings(self, kind: str) -> tuple[Parting, ...]:
        found = sorted(self._slices[kind].items(), key=lambda each: -each[1][0])
        return tuple(Parting(name=name, texts=texts, parted=parted) for name, (texts, parted) in found)


def _tally(mood: Sentiment, suffix: str) -> dict[str, int]:
    sure = not mood.unsure
    return {f"negative{suffix}": int(sure and mood.label == "negative"), f"sure{suffix}": int(sure)}
