"""The production detector in the negspike benchmark: `negspike_bench.py --module tests/bench/negspike.py:Production`.

The same as `--command "opinionwatch detect --records -"`, without a process between: `alerts/records.py` does the work.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from opinionwatch.alerts.records import AlertRecord, Counting, FeedRecord


class Production:
    """A detector as the benchmark wants it: made from `meta`, called once a record."""

    def __init__(self, meta: dict[str, object]) -> None:
        del meta
        self._counting = Counting()
        self._open: tuple[str, int] | None = None
        self._waiting: list[FeedRecord] = []

    def on_record(self, given: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Take one record; returns the alerts of the topic and tick that it shows to be complete."""
        record = FeedRecord.model_validate(given)
        found: list[AlertRecord] = []
        if self._open is not None and self._open != (record.topic, record.tick):
            found = self._counting.fold(self._open[1], self._waiting)
            self._waiting = []
        self._open = (record.topic, record.tick)
        self._waiting.append(record)
        return [alert.model_dump() for alert in found]

    def fold(self, tick: int, records: Iterable[Mapping[str, Any]]) -> list[AlertRecord]:
        """Decide one tick of all topics at once; they know nothing of each other, so it is the same one by one."""
        return self._counting.fold(tick, [FeedRecord.model_validate(record) for record in records])
