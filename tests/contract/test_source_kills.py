"""Every source that is asked is killed at random progress, again and again: nothing is lost, nothing comes twice."""

import json
import random
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic

import pytest

from opinionwatch.connectors import http
from opinionwatch.connectors.hosts import Hosts
from tests.contract.draining import lines
from tests.contract.source_suite import PULLED, Making, World, collect, items
from tests.contract.source_worlds import ASKED, OTHERS, REAL, STREAMED, STREAMED_COUNT

KILLS = 3
ALL = {**PULLED, **ASKED, **OTHERS}
WORLDS = [pytest.param(worlds[0], id=kind) for kind, worlds in ALL.items()]


def kill_after(process: "subprocess.Popen[bytes]", journal: Path, size: int) -> bool:
    """Kill -9 as soon as so many bytes are durable. Whether it was still at work: it may end by itself before."""
    while process.poll() is None and (journal.stat().st_size if journal.exists() else 0) < size:
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.002)
    process.send_signal(signal.SIGKILL)
    return process.wait(30) == -signal.SIGKILL


@pytest.mark.parametrize("world", WORLDS)
def test_kills_at_random_progress_lose_and_repeat_nothing(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "SHARED", Hosts(per_s=10_000, burst=10_000))
    dice = random.Random(7)
    with world(tmp_path) as make:
        assert isinstance(make, Making)
        whole = [item.body.decode() for item in items(collect(make().fetch(None)))]
        settings, journal = tmp_path / "settings.json", tmp_path / "journal"
        settings.write_text(json.dumps({"kind": make.kind, "given": dict(make.given)}))
        command = [sys.executable, "-m", "tests.contract.draining", str(settings), str(journal)]
        size = sum(len(body) for body in whole)
        killed = 0
        for number in range(KILLS):
            upto = int(size * (number + dice.random()) / KILLS)
            killed += kill_after(subprocess.Popen(command), journal, upto)
        assert killed
        assert subprocess.run(command, check=False, timeout=60).returncode == 0
        found = [body for line in lines(journal) for body in line["items"]]  # type: ignore[attr-defined]  # our own JSON
    assert found == whole


@pytest.mark.parametrize("world", [pytest.param(each, id=kind) for kind, worlds in STREAMED.items() for each in worlds])
def test_streams_that_are_killed_at_random_progress_lose_nothing_and_repeat_only_known_ids(
    world: World, tmp_path: Path, services: dict[str, str]
) -> None:
    REAL.update(services)
    dice = random.Random(7)
    with world(tmp_path) as make:
        assert isinstance(make, Making)
        settings, journal = tmp_path / "settings.json", tmp_path / "journal"
        settings.write_text(json.dumps({"kind": make.kind, "given": dict(make.given)}))
        command = [sys.executable, "-m", "tests.contract.draining", str(settings), str(journal)]
        wanted = [int(STREAMED_COUNT * (number + dice.random()) / KILLS) for number in range(KILLS)] + [STREAMED_COUNT]
        found: dict[str, str] = {}
        for count in wanted:
            process = subprocess.Popen(command)
            deadline = monotonic() + 60
            while len(found) < count and process.poll() is None and monotonic() < deadline:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.02)
                found = _by_id(journal)
            process.send_signal(signal.SIGKILL)
            assert process.wait(30) == -signal.SIGKILL, "a stream never ends by itself"
    assert len(found) == STREAMED_COUNT


def _by_id(journal: Path) -> dict[str, str]:
    """What is durable, by its id; what came twice has to be the same."""
    found: dict[str, str] = {}
    for line in lines(journal):
        for body in line["items"]:  # type: ignore[attr-defined]  # our own JSON
            assert found.setdefault(json.loads(body)["native_id"], body) == body
    return found
