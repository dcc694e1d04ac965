"""The watchdog ends what is wedged, and nothing else."""

import os
import signal
import subprocess
import sys
import time

import pytest

from opinionwatch.pipeline import watchdog
from opinionwatch.pipeline.watchdog import WEDGED, Watchdog

WEDGED_PROCESS = """
import threading
from opinionwatch.pipeline.watchdog import Watchdog

def where_it_hangs():
    threading.Event().wait()

dog = Watchdog(0)
dog.waiting()
dog.start()
where_it_hangs()
"""


class Time:
    """A clock that the test holds in its hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """The time it was set to."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    """Time stands still until the test moves it."""
    time = Time()
    monkeypatch.setattr(watchdog, "time", time)
    return time


def test_a_process_without_work_may_be_silent_for_ever(clock: Time) -> None:
    dog = Watchdog(60)
    dog.alive(waiting=False)
    clock.now += 1e6
    assert dog.verdict() is None


def test_work_that_waits_and_does_not_go_on_ends_the_process(clock: Time) -> None:
    dog = Watchdog(60)
    clock.now += 1e6
    dog.waiting()
    clock.now += 59
    dog.waiting()
    assert dog.verdict() is None
    clock.now += 2
    assert dog.verdict() == WEDGED


def test_work_that_is_tried_again_and_again_is_alive(clock: Time) -> None:
    dog = Watchdog(60)
    for _ in range(100):
        dog.alive(waiting=True)
        clock.now += 50
        assert dog.verdict() is None
    clock.now += 50
    assert dog.verdict() == WEDGED


def test_a_process_that_was_told_to_stop_has_its_deadline_and_only_one(clock: Time) -> None:
    dog = Watchdog(60)
    dog.alive(waiting=True)
    dog.stop_within(25, 0)
    clock.now += 20
    dog.stop_within(25, 0)
    assert dog.verdict() is None
    clock.now += 6
    assert dog.verdict() == 0


def test_it_ends_the_process_from_a_thread_of_its_own() -> None:
    from queue import Queue

    ended: Queue[int] = Queue()
    dog = Watchdog(60, ended.put)
    dog.stop_within(0, 3)
    dog.start()
    assert ended.get(timeout=30) == 3
    dog.close()


def test_a_start_that_hangs_is_ended_and_one_that_is_only_slow_is_not(clock: Time) -> None:
    ended: list[int] = []
    dog = Watchdog(60, ended.append)
    dog.start(within_s=180)
    clock.now += 179
    assert dog.verdict() is None
    slow = Watchdog(60, ended.append)
    slow.start(within_s=180)
    clock.now += 2
    assert dog.verdict() == WEDGED
    slow.alive(waiting=False)
    clock.now += 1e6
    assert slow.verdict() is None
    dog.close()
    slow.close()


def test_who_is_ended_says_where_every_thread_stood() -> None:
    command = [sys.executable, "-c", WEDGED_PROCESS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == WEDGED
    assert "in where_it_hangs" in done.stdout
    assert "MainThread" in done.stdout


STOPPED_PROCESS = """
import time
from opinionwatch.pipeline import watchdog

watchdog.LOOK_S, watchdog.ASLEEP_S = 0.05, 0.5
dog = watchdog.Watchdog(2)
dog.waiting()
dog.start(within_s=2)
print("begun", flush=True)
time.sleep(1)
dog.alive(waiting=False)
print("ended", flush=True)
"""


def test_a_process_that_was_stopped_from_outside_is_not_wedged() -> None:
    with subprocess.Popen([sys.executable, "-c", STOPPED_PROCESS], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(4)
        process.send_signal(signal.SIGCONT)
        assert process.stdout.read() == "ended\n"
    assert process.returncode == 0


def test_a_log_that_nobody_reads_does_not_keep_a_wedged_process_alive() -> None:
    nobody, full = os.pipe()
    os.set_blocking(full, False)
    with pytest.raises(BlockingIOError):
        while os.write(full, b"." * 4096):
            pass
    os.set_blocking(full, True)
    command = [sys.executable, "-c", WEDGED_PROCESS]
    with subprocess.Popen(command, stdout=full, stderr=full) as process:
        assert process.wait(60) == WEDGED
    os.close(full)
    os.close(nobody)


LEFT_BEHIND = """
import sys, threading
from opinionwatch.pipeline import cli

def never_ends():
    threading.Event().wait()

threading.Thread(target=never_ends).start()
sys.argv = ["opinionwatch", *sys.argv[1:]]
cli.main()
"""


@pytest.mark.parametrize(("asked", "code"), [("--help", 0), ("--nonsense", 2)])
def test_a_command_that_has_ended_does_not_wait_for_a_thread_that_never_ends(asked: str, code: int) -> None:
    command = [sys.executable, "-c", LEFT_BEHIND, asked]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code
    assert ("Usage: opinionwatch" in done.stdout) == (code == 0)
    assert "in never_ends" in done.stderr
