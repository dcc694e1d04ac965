"""What the workers' runtime says about itself; that it loses nothing is tested on real brokers, in test_daemons."""

import asyncio
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Timer
from types import SimpleNamespace

import mode
import pytest
from aiokafka.errors import GroupAuthorizationFailedError, IllegalStateError
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


class Losing(Consumer):
    """A consumer whose partition 0 is given to another while it is asked for."""

    async def position(self, place: TP) -> int:
        if place.partition == 0:
            raise IllegalStateError("not assigned")
        return await super().position(place)


def test_a_partition_that_is_given_away_while_it_is_asked_for_does_not_end_the_looking(tmp_path: Path) -> None:
    work = Fleet(tmp_path, random.Random(1)).scorer()
    runtime = FaustRuntime(Kafka(), work, Watchdog(60), Metrics(), Event())
    with ThreadPoolExecutor(1) as aside:
        behind = runtime._is_behind(Losing())  # type: ignore[arg-type]  # as much of one as is asked
        assert not aside.submit(asyncio.run, behind).result()


class Standing(Consumer):
    """A consumer whose group does not let it in any more."""

    async def position(self, place: TP) -> int:
        raise GroupAuthorizationFailedError(place)


class App:
    """As much of Faust's application as is looked at."""

    crashed, started, consumer, stopped = False, True, Standing(), False

    async def stop(self) -> None:
        self.stopped = True


def test_a_worker_whose_coordination_stands_still_ends_and_says_why(tmp_path: Path) -> None:
    work, app = Fleet(tmp_path, random.Random(1)).scorer(), App()
    runtime = FaustRuntime(Kafka(), work, Watchdog(60), Metrics(), Event())
    with ThreadPoolExecutor(1) as aside:
        looking = runtime._pulse(app, Event())  # type: ignore[arg-type]  # as much of one as is asked
        aside.submit(asyncio.run, looking).result(20)
    assert app.stopped
    assert isinstance(runtime._failure, GroupAuthorizationFailedError)


class Leaving(mode.Service):
    """An app that stops as Faust's does, and takes its time to say goodbye."""

    consumer = None
    whole = False

    def topic(self, *_: object, **__: object) -> None:
        """None is needed."""

    def agent(self, *_: object, **__: object) -> object:
        """None is needed."""
        return lambda take: take

    async def on_stop(self) -> None:
        """The goodbye."""
        await asyncio.sleep(0.3)
        self.whole = True


def test_a_worker_that_is_told_to_stop_says_the_whole_of_its_goodbye(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Leaving] = []

    def app(_: FaustRuntime) -> Leaving:
        made.append(Leaving())
        return made[0]

    monkeypatch.setattr(FaustRuntime, "_app", app)
    work, stop = Fleet(tmp_path, random.Random(1)).scorer(), Event()
    runtime = FaustRuntime(Kafka(), work, Watchdog(60), Metrics(), Event())
    Timer(0.5, stop.set).start()
    with ThreadPoolExecutor(1) as aside:
        aside.submit(asyncio.run, runtime._run(stop)).result(20)
    assert made[0].whole
