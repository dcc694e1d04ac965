"""Back-test: the production stages over a store's history, once for each set of settings, in one pass.

Every stored document is read, matched and counted again as it was when it was accepted, with the reading it got then;
the trend hop decides tick by tick. So the alarms are those that the settings would have raised, cool-downs included,
and the same history gives the same alarms. What the settings of the time left out was not stored and cannot be found.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from opinionwatch.alerts.calibration import Curve
from opinionwatch.alerts.detect_settings import TrendSettings
from opinionwatch.alerts.trend import Trend
from opinionwatch.pipeline.archive import Archive
from opinionwatch.pipeline.contracts import Confusion, Drop, Mention, ScoredDocument
from opinionwatch.pipeline.contracts_trend import Alert
from opinionwatch.pipeline.match import MatchStage
from opinionwatch.pipeline.mention import rematched
from opinionwatch.pipeline.read import Read
from opinionwatch.pipeline.score import Mentions
from opinionwatch.pipeline.ticks import Progress
from opinionwatch.pipeline.watchlists import Watchlist

CHUNK = 512


@dataclass(frozen=True)
class Candidate:
    """One set of settings on trial."""

    name: str
    watchlists: tuple[Watchlist, ...]
    trend: TrendSettings
    curves: tuple[Curve, ...] = ()
    confusion: Mapping[str, Mapping[str, Confusion]] = field(default_factory=dict)
    """How scorers err, by version and language."""


def backtest(
    archive: Archive, candidates: Sequence[Candidate], since: datetime, until: datetime, tenant: str
) -> list[tuple[Alert, ...]]:
    """The alerts between `since` and `until` for each candidate, oldest first. All history before `since` is learned
    from. Memory: the ids of the history, and one trend state a candidate.
    """
    order = sorted(
        (scored.document.accepted_at, scored.id)
        for scored in archive.every_document()
        if scored.document.accepted_at < until
    )
    trials = [_Trial(candidate, tenant) for candidate in candidates]
    for chunk in _chunks(archive, [name for _, name in order]):
        for trial in trials:
            trial.go_on(chunk)
    return [tuple(alert for alert in trial.end(until) if since <= alert.at < until) for trial in trials]


def _chunks(archive: Archive, names: Sequence[str]) -> Iterator[list[ScoredDocument]]:
    for start in range(0, len(names), CHUNK):
        yield archive.documents_of(names[start : start + CHUNK])


class _Trial:
    """One candidate's stages and what they have told."""

    def __init__(self, candidate: Candidate, tenant: str) -> None:
        self._read, self._match = Read(), MatchStage(candidate.watchlists)
        self._mentions = Mentions(candidate.watchlists)
        self._trend = Trend(candidate.trend, tenant, candidate.curves, candidate.confusion)
        self._told: list[Alert] = []

    def go_on(self, chunk: Sequence[ScoredDocument]) -> None:
        """Take the next documents in the order they were accepted."""
        now = chunk[-1].document.accepted_at
        matched = self._match(self._read([scored.document for scored in chunk], now), now)
        again = [
            rematched(scored, found.matches)
            for scored, found in zip(chunk, matched, strict=True)
            if not isinstance(found, Drop)
        ]
        mentions = [record for record in self._mentions(again, now) if isinstance(record, Mention)]
        self._decide([*mentions, Progress(now)], now)

    def end(self, until: datetime) -> list[Alert]:
        """Close the last ticks; all alerts there were."""
        self._decide([Progress(until)], until)
        return self._told

    def _decide(self, batch: Sequence[Mention | Progress], now: datetime) -> None:
        self._told += [record for record in self._trend(batch, now) if isinstance(record, Alert)]
