"""One partition of the mentions log as the trend hop has it in memory: lanes, stage, and the offset it stands at."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from opinionwatch.pipeline.contracts import Mention
from opinionwatch.pipeline.contracts_changes import Withdrawal
from opinionwatch.pipeline.errors import FatalError
from opinionwatch.pipeline.lanes import Lanes
from opinionwatch.pipeline.log_records import Calibrated, Mark, Unreadable, decode
from opinionwatch.pipeline.ports import ForgetfulStage, StatefulStage
from opinionwatch.pipeline.ticks import TICK, Progress, Watched, start_of, tick_of

VERSION = 1


@dataclass(frozen=True, slots=True)
class Adopted:
    """A calibration and since when it counts in a partition."""

    since: datetime
    curve: str
    """As `Calibrated` has it."""


Make = Callable[[Sequence[Adopted]], StatefulStage]
"""Makes an empty trend stage that decides by these calibrations."""


class TrendPartition:
    """A function of the log from its beginning to `offset`, and of whom the settings name; of nothing else."""

    def __init__(self, make: Make, lanes: Lanes, offset: int = 0, adopted: Sequence[Adopted] = ()) -> None:
        self._make, self._stage = make, make(adopted)
        self.adopted = tuple(adopted)
        self.lanes = lanes
        self.offset = offset
        """Of the next entry to take."""
        self.taken = 0
        """Mentions since the last save."""
        self.unreadable: list[Unreadable] = []
        """Lines that were no records of ours, to be buried by whoever takes the outputs."""

    def take(self, offset: int, value: bytes, now: datetime, watched: Watched | None = None) -> list[object]:
        """Take the entry at `offset`; what the ticks that it closes bring. One from before is known and skipped.

        `watched` is whom the settings name, where the outputs are not known already.
        """
        if offset < self.offset:
            return []
        found: list[object] = []
        waiting: list[object] = []
        for record in decode(value):
            match record:
                case Mention() | Withdrawal():
                    waiting.append(record)
                    self.taken += 1
                case Mark():
                    before = self.lanes.up_to()
                    waiting += self.lanes.absence(record)
                    self.lanes.take(record, now)
                    up_to = self.lanes.up_to()
                    if up_to is not None and up_to != before:
                        named = [] if watched is None else [watched]
                        found += self._stage([*named, *waiting, Progress(up_to)], now)
                        waiting = []
                case Calibrated(curve=curve):
                    found += self._stage(waiting, now) if waiting else ()
                    waiting = []
                    self._adopt(curve)
                case Unreadable():
                    self.unreadable.append(record)
                case _:
                    raise FatalError(f"a {type(record).__name__} in the mentions log: two versions of opinionwatch?")
        if waiting:
            found += self._stage(waiting, now)
        self.offset = offset + 1
        return found

    def replay(self, entries: Iterable[tuple[int, bytes]], now: datetime) -> None:
        """Take entries whose outputs are known already."""
        for offset, value in entries:
            self.take(offset, value, now)
        self.unreadable.clear()

    def forget(self, mentions: Sequence[Mention], authors: Collection[str]) -> None:
        """Erase what these mentions say and who these authors (pseudonyms) are."""
        if isinstance(self._stage, ForgetfulStage):
            self._stage.forget(mentions, authors)

    def _adopt(self, curve: str) -> None:
        """A function of the log, too: every owner of the partition adopts it at the same tick, whenever it reads it."""
        up_to, state = self.lanes.up_to(), self._stage.snapshot()
        since = datetime.fromtimestamp(0, UTC) if up_to is None else start_of(tick_of(up_to)) + TICK
        self.adopted = (*self.adopted, Adopted(since, curve))
        self._stage = self._make(self.adopted)
        self._stage.restore(state)

    def save(self) -> bytes:
        """Everything but the offset."""
        lanes = [[ingest, part, at.isoformat()] for (ingest, part), at in sorted(self.lanes.reached.items())]
        self.taken = 0
        adopted = [[each.since.isoformat(), each.curve] for each in self.adopted]
        return (
            orjson.dumps({"version": VERSION, "lanes": lanes, "calibrations": adopted}) + b"\n" + self._stage.snapshot()
        )

    @classmethod
    def of(cls, make: Make, partitions: int, offset: int, saved: bytes) -> "TrendPartition":
        """What `save` gave at `offset`. Raises FatalError when it is damaged or of another version."""
        head, _, state = saved.partition(b"\n")
        reached, adopted = _read(head)
        partition = cls(make, Lanes(partitions, reached), offset, adopted)
        partition._stage.restore(state)
        return partition


def adopted_in(saved: bytes) -> list[Adopted]:
    """The calibrations in what `TrendPartition.save` gave, oldest first. Raises FatalError as `TrendPartition.of`."""
    return _read(saved.partition(b"\n")[0])[1]


def _read(head: bytes) -> tuple[dict[tuple[str, int], datetime], list[Adopted]]:
    """How far the lanes had come, and the calibrations."""
    try:
        told = orjson.loads(head)
        if told["version"] != VERSION:
            raise FatalError(f"the saved trend state is of version {told['version']}, this program reads {VERSION}")
        calibrations = told.get("calibrations", ())  # a state of before has none
        adopted = [Adopted(datetime.fromisoformat(since), curve) for since, curve in calibrations]
        return {(ingest, part): datetime.fromisoformat(at) for ingest, part, at in told["lanes"]}, adopted
    except (KeyError, TypeError, ValueError) as error:
        raise FatalError(f"the saved trend state is damaged: {error}") from error
