"""What the workers' runtime says about itself; that it loses nothing is tested on real brokers, in test_daemons."""

import asyncio
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from types import SimpleNamespace

from faust.types.tuples import TP

from opinionwatch.pipeline.faust_app import FaustRuntime
from opinionwatch.pipeline.metrics import Metrics
from opinionwatch.pipeline.settings_kafka import Kafka
from opinionwatch.pipeline.watchdog import Watchdog
from tests.pipeline.fleet import Fleet


class Consumer:
    """A consumer that stands at 7 of 10 in one partition, with two entries of it not acknowledged, and idles in one."""

    unacked = (SimpleNamespace(tp=TP("t", 0)), SimpleNamespace(tp=TP("t", 0)))

    def assignment(self) -> set[TP]:
        return {TP("t", 0), TP("t", 1)}

    async def position(self, place: TP) -> int:
        return 7 if place.partition == 0 else 3

    def highwater(self, place: TP) -> int:
        return 10 if place.partition == 0 else 3


def test_lag_counts_what_a_crash_would_bring_again_and_not_only_what_was_not_fetched(tmp_path: Path) -> None:
    metrics = Metrics()
    work = Fleet(tmp_path, random.Random(1)).scorer()
    runtime = FaustRuntime(Kafka(), work, Watchdog(60), metrics, Event())
    with ThreadPoolExecutor(1) as aside:  # a browser of another test may have left its loop running in this thread
        behind = runtime._is_behind(Consumer())  # type: ignore[arg-type]  # as much of one as is asked
        assert aside.submit(asyncio.run, behind).result()
    text = metrics.text().decode()
    assert 'opinionwatch_lag_entries{partition="0"} 5.0' in text
    assert 'opinionwatch_lag_entries{partition="1"} 0.0' in text
