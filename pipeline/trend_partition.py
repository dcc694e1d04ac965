"""One partition of the mentions log as the trend hop has it in memory: lanes, stage, and the offset it stands at."""

from collections.abc import Iterable
from datetime import datetime

import orjson

from opinionwatch.pipeline.contracts import Mention
from opinionwatch.pipeline.contracts_changes import Withdrawal
from opinionwatch.pipeline.errors import FatalError
from opinionwatch.pipeline.lanes import Lanes
from opinionwatch.pipeline.log_records import Mark, Unreadable, decode
from opinionwatch.pipeline.ports import StatefulStage
from opinionwatch.pipeline.ticks import Progress

VERSION = 1


class TrendPartition:
    """A function of the log from its beginning to `offset`, and of nothing else."""

    def __init__(self, stage: StatefulStage, lanes: Lanes, offset: int = 0) -> None:
        self._stage = stage
        self.lanes = lanes
        self.offset = offset
        """Of the next entry to take."""
        self.taken = 0
        """Mentions since the last save."""
        self.unreadable: list[Unreadable] = []
        """Lines that were no records of ours, to be buried by whoever takes the outputs."""

    def take(self, offset: int, value: bytes, now: datetime) -> list[object]:
        """Take the entry at `offset`; what the ticks that it closes bring. One from before is known and skipped."""
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
                    self.lanes.take(record, now)
                    up_to = self.lanes.up_to()
                    if up_to is not None and up_to != before:
                        found += self._stage([*waiting, Progress(up_to)], now)
                        waiting = []
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

    def save(self) -> bytes:
        """Everything but the offset."""
        lanes = [[ingest, part, at.isoformat()] for (ingest, part), at in sorted(self.lanes.reached.items())]
        self.taken = 0
        return orjson.dumps({"version": VERSION, "lanes": lanes}) + b"\n" + self._stage.snapshot()

    @classmethod
    def of(cls, stage: StatefulStage, partitions: int, offset: int, saved: bytes) -> "TrendPartition":
        """What `save` gave at `offset`. Raises FatalError when it is damaged or of another version."""
        head, _, state = saved.partition(b"\n")
        try:
            told = orjson.loads(head)
            if told["version"] != VERSION:
                raise FatalError(f"the saved trend state is of version {told['version']}, this program reads {VERSION}")
            reached = {(ingest, part): datetime.fromisoformat(at) for ingest, part, at in told["lanes"]}
        except (KeyError, TypeError, ValueError) as error:
            raise FatalError(f"the saved trend state is damaged: {error}") from error
        stage.restore(state)
        return cls(stage, Lanes(partitions, reached), offset)
