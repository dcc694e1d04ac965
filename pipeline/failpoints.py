"""Failpoints: named places where a test may kill, stop or fail the process. Off in production: one dictionary look-up.

`OPINIONWATCH_FAILPOINT="batch.scored=kill:3"` kills the process with SIGKILL at the third pass; `term` sends SIGTERM,
`raise` raises RetryableError, `hang` waits for ever, `stall` sends SIGSTOP: the whole process stands still until
SIGCONT comes. What acts says so on standard error first.
"""

import os
import signal
from threading import Event

from opinionwatch.pipeline.errors import RetryableError, SettingsError

FAILPOINTS = (
    "batch.begin",
    "batch.admitted",
    "batch.scored",
    "batch.decided",
    "batch.before_commit",
    "batch.committed",
    "ingest.accepted",
    "ingest.stored",
    "ingest.cursor_saved",
    "ingest.promised",
    "ingest.marked",
    "score.begin",
    "score.admitted",
    "score.scored",
    "score.written",
    "score.buried",
    "score.mentioned",
    "score.marked",
    "trend.owned",
    "trend.restored",
    "trend.begin",
    "trend.decided",
    "trend.written",
    "trend.told",
    "trend.before_save",
    "trend.saved",
    "notify.owned",
    "notify.polled",
    "notify.routed",
    "notify.written",
    "notify.committed",
    "worker.taken",
    "worker.done",
    "worker.acked",
    "log.opened",
    "log.sent",
    "log.confirmed",
    "log.before_commit",
    "log.committed",
    "index.entered",
    "index.written",
    "index.buried",
    "outbox.before_sending",
    "outbox.claimed",
    "outbox.before_send",
    "outbox.after_send",
    "outbox.after_sent",
    "digest.before_send",
    "digest.after_send",
)
"""Every boundary at which a crash could lose or repeat something."""

ACTIONS = ("kill", "term", "raise", "hang")
STALL = "stall"


class _Armed:
    """What the environment asks for, and how often each point was passed."""

    def __init__(self, wish: str) -> None:
        self.passes: dict[str, int] = {}
        self.wishes: dict[str, tuple[str, int]] = {}
        for part in filter(None, wish.split("|")):
            point, _, what = part.partition("=")
            action, _, count = what.partition(":")
            if point not in FAILPOINTS or action not in (*ACTIONS, STALL) or not (count or "1").isdecimal():
                raise SettingsError(f"OPINIONWATCH_FAILPOINT: cannot read '{part}'; points: {', '.join(FAILPOINTS)}")
            self.wishes[point] = (action, int(count or 1))


_armed = _Armed(os.environ.get("OPINIONWATCH_FAILPOINT", ""))


def failpoint(point: str) -> None:
    """Pass a named point; act when the environment asks for it at this pass."""
    if point not in _armed.wishes:
        return
    action, at = _armed.wishes[point]
    _armed.passes[point] = _armed.passes.get(point, 0) + 1
    if _armed.passes[point] != at:
        return
    os.write(2, f"failpoint {point}: {action}\n".encode())
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "term":
        os.kill(os.getpid(), signal.SIGTERM)
    elif action == STALL:
        os.kill(os.getpid(), signal.SIGSTOP)
    elif action == "raise":
        raise RetryableError(f"failpoint {point}", after_s=0.05)
    else:
        Event().wait()
