"""Drift of what an archive holds: the last day of pipeline time against the fortnight before."""

from datetime import datetime, timedelta

from opinionwatch.pipeline.archive import Archive, DocumentQuery
from opinionwatch.pipeline.contracts import ScoredDocument
from opinionwatch.pipeline.drift import Drift, drift

SLICES, PER_SLICE = 14, 300
"""What was before is sampled evenly: so many slices of time, and the newest so many documents of each."""
NOW_MOST = 1000
DAY, FORTNIGHT = timedelta(days=1), timedelta(days=14)


def lately(archive: Archive, now: timedelta = DAY, before: timedelta = FORTNIGHT) -> Drift:
    """The last `now` of pipeline time against `before` up to then; bounded samples of both."""
    end = archive.now()
    if end is None:
        return drift((), ())
    begin = end - now
    step = before / SLICES
    earlier: list[ScoredDocument] = []
    for number in range(SLICES):
        start = begin - before + number * step
        earlier += _oldest_first(archive, start, start + step, PER_SLICE)
    return drift(earlier, _oldest_first(archive, begin, end, NOW_MOST))


def _oldest_first(archive: Archive, since: datetime, until: datetime, most: int) -> list[ScoredDocument]:
    return archive.documents(DocumentQuery(since=since, until=until, limit=most))[::-1]
