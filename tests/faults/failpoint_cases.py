"""A failpoint, a pass and an action in one life of a daemon, and whether that life ends as it must."""

import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from opinionwatch.pipeline.failpoints import ACTIONS, FAILPOINTS
from opinionwatch.pipeline.watchdog import WEDGED

FIRES_S, TOLD_S, ENDS_S, LIVES_S = 60.0, 30.0, 40.0, 1.0
SWEPT_BY = {"batch": "embedded", "ingest": "ingest", "log": "ingest", "score": "score", "index": "score",
            "worker": "score", "trend": "trend", "notify": "notify", "outbox": "notify"}  # fmt: skip
"""Which role is swept for which points."""
ELSEWHERE = ("digest.before_send", "digest.after_send")
"""Passed once a day, so not in a life that is armed now: whoever sweeps digests has to hold the clock."""
PASSES = {"notify.owned": (1,), "trend.owned": (1, 2), "trend.restored": (1, 2), "log.opened": (1, 2),
          "trend.before_save": (1, 2), "trend.saved": (1, 2)}  # fmt: skip
"""At which passes; others at the first and the third."""
AT_THE_END = ("trend.before_save", "trend.saved")
"""Passed when the process is told to stop: by then it must have taken up its partitions."""


@dataclass(frozen=True)
class Case:
    """One point, at one pass of a life, and what happens there."""

    point: str
    at: int
    action: str

    @property
    def role(self) -> str:
        """Who is swept for it."""
        return SWEPT_BY[self.point.split(".")[0]]

    @property
    def wish(self) -> str:
        """For the environment."""
        return f"{self.point}={self.action}:{self.at}"


CASES = tuple(
    Case(point, at, action)
    for point in FAILPOINTS
    if point not in ELSEWHERE
    for at in PASSES.get(point, (1, 3))
    for action in ACTIONS
)


class Lane:
    """One role's cases, one after the other."""

    def __init__(
        self, start: Callable[[str], "subprocess.Popen[bytes]"], said: Path, tempt: Callable[[], None], stop: Event
    ) -> None:
        """`start` begins an armed life, `said` is its standard error, `tempt` gives it something to do."""
        self._start, self._said, self._tempt, self._stop = start, said, tempt, stop
        self.wrong: list[str] = []
        self.fired = 0
        self.slowest: dict[str, float] = {}

    def sweep(self, cases: Sequence[Case], say: Callable[[str], object]) -> "subprocess.Popen[bytes]":
        """All of them; returns a last life that nobody harms."""
        for number, case in enumerate(cases):
            if self._stop.is_set():
                break
            say(f"{case.role} {number + 1} of {len(cases)}: {case.wish}")
            fault = self._one(case)
            if fault:
                self.wrong.append(f"{case.wish}: {fault}")
                say(self.wrong[-1])
        return self._start("")

    def _one(self, case: Case) -> str:
        before, life = self._count(case), self._start(case.wish)
        if not self._fires(case, life, before):
            ended(life, signal.SIGKILL)
            return "never passed"
        self.fired += 1
        at = time.monotonic()
        if case.action == "raise" or (case.action == "hang" and case.role == "embedded"):
            self._stop.wait(LIVES_S)
            code = ended(life, signal.SIGKILL if case.action == "hang" else signal.SIGTERM)
            return "" if code is not None else "does not end"
        code = ended(life)
        self.slowest[case.action] = max(self.slowest.get(case.action, 0.0), time.monotonic() - at)
        want = {"kill": -signal.SIGKILL, "term": 0, "hang": 0 if case.point in AT_THE_END else WEDGED}[case.action]
        return "" if code == want else f"ended with {code}, not {want}, after {time.monotonic() - at:.0f} s"

    def _fires(self, case: Case, life: "subprocess.Popen[bytes]", before: int) -> bool:
        deadline, told, tempted = time.monotonic() + FIRES_S, False, time.monotonic()
        while time.monotonic() < deadline:
            if self._count(case) > before:
                return True
            if life.poll() is not None:
                return self._count(case) > before
            if case.point in AT_THE_END and not told and time.monotonic() > deadline - FIRES_S + TOLD_S:
                life.send_signal(signal.SIGTERM)
                told = True
            if time.monotonic() - tempted > 1:
                self._tempt()
                tempted = time.monotonic()
            self._stop.wait(0.2)
        return False

    def _count(self, case: Case) -> int:
        words = f"failpoint {case.point}: {case.action}\n".encode()
        return self._said.read_bytes().count(words) if self._said.exists() else 0


def ended(life: "subprocess.Popen[bytes]", by: signal.Signals | None = None) -> int | None:
    """Its exit status; None when it does not end."""
    if by is not None and life.poll() is None:
        life.send_signal(by)
    try:
        return life.wait(ENDS_S)
    except subprocess.TimeoutExpired:
        life.kill()
        life.wait()
        return None
