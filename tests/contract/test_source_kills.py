"""Every source that is asked is killed at random progress, again and again: nothing is lost, nothing comes twice."""

import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import pytest

from opinionwatch.connectors import http
from opinionwatch.connectors.hosts import Hosts
from tests.contract.draining import lines
from tests.contract.source_suite import Making, collect, items
from tests.contract.source_worlds import ASKED, OTHERS

KILLS = 3
WORLDS = [pytest.param(world, id=kind) for kind, worlds in {**ASKED, **OTHERS}.items() for world in worlds]


def kill_after(process: "subprocess.Popen[bytes]", journal: Path, size: int) -> bool:
    """Kill -9 as soon as so many bytes are durable. Whether it was still at work: it may end by itself before."""
    while process.poll() is None and (journal.stat().st_size if journal.exists() else 0) < size:
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.002)
    process.send_signal(signal.SIGKILL)
    return process.wait(30) == -signal.SIGKILL


@pytest.mark.parametrize("world", WORLDS)
def test_kills_at_random_progress_lose_and_repeat_nothing(
    world: Callable[[Path], AbstractContextManager[Making]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "SHARED", Hosts(per_s=10_000, burst=10_000))
    dice = random.Random(7)
    with world(tmp_path) as make:
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
