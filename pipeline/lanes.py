"""How far all inputs of a trend partition have come: the smallest progress of its lanes decides.

A lane is one ingest daemon's records in one documents partition. Everything here follows from the marks in the log, so
a successor who reads the same log comes to the same. Only the wish to go on without a lane that is silent comes from
the clock; it takes effect by a mark in the log (`assumed`), and so for every reader at the same place. Our own absence
follows from such marks, too: those that are written on a lane's behalf never go beyond the others.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from opinionwatch.pipeline.advance import PAUSE
from opinionwatch.pipeline.log_records import Mark
from opinionwatch.pipeline.ticks import Away

Lane = tuple[str, int]


class Lanes:
    """The progress of all lanes."""

    def __init__(self, partitions: int, reached: Mapping[Lane, datetime] | None = None) -> None:
        """`partitions` of the documents log: every ingest daemon has one lane in each."""
        self._partitions = partitions
        self.reached: dict[Lane, datetime] = dict(reached or {})
        self._heard: dict[Lane, datetime] = {}

    def take(self, mark: Mark, now: datetime) -> None:
        """Take a mark, heard `now` by the wall clock."""
        self.reached[mark.lane] = max(mark.up_to, self.reached.get(mark.lane, mark.up_to))
        if not mark.assumed:
            self._heard[mark.lane] = now

    def absence(self, mark: Mark) -> list[Away]:
        """Our own absence before a mark that is still to be taken, if there was one: no ingest daemon was heard of."""
        since = max(self.reached.values(), default=mark.up_to)
        return [Away(since, mark.up_to)] if mark.assumed and mark.up_to - since >= PAUSE else []

    def up_to(self) -> datetime | None:
        """What every lane has passed; None as long as one of a known ingest daemon has never been heard of."""
        lanes = self._lanes()
        if not lanes or any(lane not in self.reached for lane in lanes):
            return None
        return min(self.reached[lane] for lane in lanes)

    def left_out(self, now: datetime, after: timedelta) -> list[Lane]:
        """Lanes that were not heard of for so long while others went on."""
        lanes = self._lanes()
        for lane in lanes:
            self._heard.setdefault(lane, now)
        quiet = [lane for lane in lanes if self._heard[lane] <= now - after]
        return quiet if self._loud(quiet) else []

    def silent(self, now: datetime, after: timedelta) -> list[Mark]:
        """Marks to write on behalf of those that are left out, up to where the others are."""
        quiet = self.left_out(now, after)
        if not quiet:
            return []
        up_to = min(self._loud(quiet))
        return [
            Mark(ingest=ingest, partition=partition, up_to=up_to, assumed=True)
            for ingest, partition in quiet
            if self.reached.get((ingest, partition)) is None or self.reached[ingest, partition] < up_to
        ]

    def _loud(self, quiet: Sequence[Lane]) -> list[datetime]:
        return [self.reached[lane] for lane in self._lanes() if lane not in quiet and lane in self.reached]

    def _lanes(self) -> list[Lane]:
        ingests = sorted({ingest for ingest, _ in self.reached})
        return [(ingest, partition) for ingest in ingests for partition in range(self._partitions)]
