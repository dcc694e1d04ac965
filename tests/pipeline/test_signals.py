"""A process is told to stop."""

import os
import signal
import subprocess
import sys
from threading import Event, Lock

from opinionwatch.pipeline.signals import stopping

INTERRUPTED_IN_WAIT = """
import os, signal, threading
from opinionwatch.pipeline.signals import stopping

class Interrupted(threading.Condition):
    def wait(self, timeout=None):
        if not told:
            told.append(os.kill(os.getpid(), signal.SIGTERM))
        return super().wait(timeout)

told = []
with stopping() as stop:
    stop._cond.__class__ = Interrupted
    while not stop.wait(0.1):
        pass
print("ended")
"""


def test_a_signal_that_comes_while_the_main_thread_holds_a_lock_is_heard() -> None:
    lock, heard = Lock(), Event()

    def told() -> None:
        with lock:
            heard.set()

    with stopping(told) as stop:
        with lock:
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop.wait(10)
        assert heard.wait(10)


def test_a_signal_in_the_middle_of_waiting_for_it_ends_the_wait() -> None:
    command = [sys.executable, "-c", INTERRUPTED_IN_WAIT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "ended\n")


ASKED = """
import os, signal
from opinionwatch.pipeline.signals import stopping

def where_it_hangs():
    os.kill(os.getpid(), signal.SIGQUIT)

with stopping() as stop:
    where_it_hangs()
print("went on", stop.is_set())
"""


def test_who_asks_by_sigquit_is_told_where_every_thread_stands_and_work_goes_on() -> None:
    done = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "went on False\n")
    assert "in where_it_hangs" in done.stderr
    assert "in listen" in done.stderr


def test_afterwards_signals_mean_what_they_meant_before() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with stopping():
        pass
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
