"""Failpoints: off unless asked for, exact when asked, and one at every boundary."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from opinionwatch.pipeline import failpoints
from opinionwatch.pipeline.errors import RetryableError, SettingsError
from opinionwatch.pipeline.failpoints import ACTIONS, FAILPOINTS, failpoint

ROOT = Path(failpoints.__file__).parents[1]


def life(wish: str, body: str = "") -> subprocess.CompletedProcess[str]:
    """A process that passes `batch.scored` five times."""
    program = f"""
import signal, sys
{body}
from opinionwatch.pipeline.failpoints import failpoint
for number in range(5):
    print(number, flush=True)
    failpoint("batch.scored")
"""
    return subprocess.run(
        [sys.executable, "-c", program],
        env={"OPINIONWATCH_FAILPOINT": wish},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_nothing_happens_where_nothing_is_asked_for() -> None:
    for point in FAILPOINTS:
        failpoint(point)
    assert life("").returncode == 0
    assert life("batch.begin=kill:1").returncode == 0


def test_kill_is_a_sigkill_at_exactly_the_pass_that_was_named() -> None:
    ended = life("batch.scored=kill:3")
    assert ended.returncode == -signal.SIGKILL
    assert ended.stdout.split() == ["0", "1", "2"]


def test_term_is_a_sigterm_that_the_process_may_answer() -> None:
    ended = life("batch.scored=term:2", "signal.signal(signal.SIGTERM, lambda *_: print('told', flush=True))")
    assert (ended.returncode, ended.stdout.split()) == (0, ["0", "1", "told", "2", "3", "4"])


def test_hang_waits_for_ever() -> None:
    ended = life("batch.scored=hang", "signal.setitimer(signal.ITIMER_REAL, 0.3)")
    assert ended.returncode == -signal.SIGALRM
    assert ended.stdout.split() == ["0"]


def test_raise_is_a_retryable_error_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failpoints, "_armed", failpoints._Armed("batch.begin=raise:2|batch.decided=raise"))
    failpoint("batch.begin")
    with pytest.raises(RetryableError, match=r"batch\.begin"):
        failpoint("batch.begin")
    failpoint("batch.begin")
    with pytest.raises(RetryableError, match=r"batch\.decided"):
        failpoint("batch.decided")


@pytest.mark.parametrize(
    "wish", ["batch.scord=kill", "batch.scored=explode", "batch.scored", "batch.scored=kill:x", "x"]
)
def test_a_wish_that_cannot_be_read_is_refused(wish: str) -> None:
    with pytest.raises(SettingsError, match=r"points: batch\.begin"):
        failpoints._Armed(wish)


def test_every_boundary_that_is_listed_is_passed_somewhere_and_no_other() -> None:
    passed = {
        point
        for folder in ("pipeline", "alerts", "connectors", "models")
        for file in (ROOT / folder).glob("*.py")
        for point in re.findall(r'failpoint\("([^"]+)"\)', file.read_text(encoding="utf-8"))
    }
    assert passed == set(FAILPOINTS)
    assert set(ACTIONS) == {"kill", "term", "raise", "hang"}
