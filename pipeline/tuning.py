"""What makes the neural scorer fastest on this machine, measured: precision, token budget, processes beside threads.

Every figure is the speed of real scoring in processes of their own (`opinionwatch.models.tuning`), in wall time, on the
machine as busy as it is. Time is bounded: what is left of it is shared among the figures that are still to come, and
when it is over the answer is the best of those that are there. Nothing is written anywhere.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from threading import Event, Timer
from typing import NamedTuple

import yaml
from pydantic import JsonValue, ValidationError

from opinionwatch.models.tuning import Order, Pace
from opinionwatch.pipeline.errors import SettingsError

BUDGETS = (0.5, 2)
"""Tokens a pass that are tried beside the device's default, as multiples of it."""
ONLY_ON = {"int8": ("cpu",), "fp16": ("cuda", "xpu", "mps")}
"""Precisions that are not for every device."""
LONGEST_S, SAMPLE_S, MOST_PROCESSES = 100.0, 1.5, 16
WORTH = 1.05
"""How much faster something must be to be preferred to what is more exact, or simpler."""
HEADING = "texts/s  processes  threads  precision  tokens_per_batch"
Options = Mapping[str, JsonValue]


class Way(NamedTuple):
    """A way of scoring, and what it brings; `refused` says why it cannot be had."""

    processes: int
    options: Options
    texts_per_s: float
    refused: str = ""

    @property
    def row(self) -> str:
        """A line below HEADING."""
        speed = "–" if self.refused else f"{self.texts_per_s:.0f}"
        told = "{threads!s:>7}  {precision:9}  {tokens_per_batch!s:>16}".format(
            **{"tokens_per_batch": "–", **self.options}
        )
        return f"{speed:>7}  {self.processes:9}  {told}  {self.refused}".rstrip()


class Advice(NamedTuple):
    """All ways that were measured, the best of them, and whether time was over before the rest."""

    ways: Sequence[Way]
    best: Way
    cut_short: bool

    @property
    def lines(self) -> str:
        """What to write into the settings file."""
        return yaml.safe_dump(
            {"scorer": {"kind": "neural", **self.best.options}}, default_flow_style=None, sort_keys=False, width=1000
        ).strip()

    @property
    def words(self) -> str:
        """What to tell a person after the table."""
        short = "Time was over before everything was measured: try again with more, e.g. --within 300.\n"
        many = f"\nand run {self.best.processes} of `opinionwatch worker score`: one process alone uses one core."
        return (
            f"{short if self.cut_short else ''}Fastest of these. Write into the settings file:\n{self.lines}"
            f"{many if self.best.processes > 1 else ''}"
        )


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def tune(
    given: Options,
    precisions: Sequence[str],
    say: Callable[[Way], None],
    sample_s: float = SAMPLE_S,
    longest_s: float = LONGEST_S,
    about: Callable[[str], None] = lambda _: None,
) -> Advice:
    """Measure; `about` is told what comes next, and `say` of every way that has come.

    `given` are the scorer's settings, whose artefact is measured. Raises SettingsError when not one figure came of it:
    time was over, or the scorer refuses its settings.
    """
    until = time.monotonic() + longest_s
    count = min(cores(), MOST_PROCESSES)
    to_come = len(precisions) + (2 if count > 1 else 0) + len(BUDGETS)
    ways: list[Way] = []
    device = ""
    with _Crew(longest_s) as crew:

        def measure(processes: int, **changed: JsonValue) -> Way | None:
            nonlocal to_come, device
            left, options = until - time.monotonic(), {**given, **changed}
            seconds = share(left, to_come, sample_s)
            to_come -= 1
            if left <= 0:
                return None
            about(f"{processes} × {options['threads']} threads, {options['precision']}; {left:.0f} s left at most")
            paces = crew.ask(processes, Order(options=options, seconds=seconds))
            if not paces:
                return None
            refused = next((pace.refused for pace in paces if pace.refused), "")
            device = device or paces[0].device
            ran = options if refused else {**options, "tokens_per_batch": paces[0].tokens_per_batch}
            ways.append(Way(processes, ran, sum(pace.texts_per_s for pace in paces), refused))
            say(ways[-1])
            return ways[-1]

        tried: list[Way | None] = []
        for each in precisions:
            if not device or device in ONLY_ON.get(each, (device,)):
                tried.append(measure(1, precision=each, threads=1))
            else:
                to_come -= 1
        if (best := fastest(tried)) is not None:
            chosen = best.options
            if count > 1:
                tried += [measure(1, **{**chosen, "threads": count}), measure(count, **chosen)]
            way = fastest(tried) or best
            tokens = int(str(way.options["tokens_per_batch"]))
            for times in BUDGETS:
                tried.append(measure(way.processes, **{**way.options, "tokens_per_batch": int(times * tokens)}))
    best = fastest(tried)
    if best is None:
        reason = next(
            (way.refused for way in ways), f"nothing was measured within {longest_s:.0f} s; give --within more"
        )
        raise SettingsError(f"doctor --tune: {reason}")
    return Advice(ways, best, None in tried)


def share(left_s: float, to_come: int, sample_s: float) -> float:
    """Seconds that one of the figures to come may be measured; as many are for loading and for the first pass.

    >>> share(100.0, 8, 1.5), share(8.0, 8, 1.5)
    (1.5, 0.5)
    """
    return max(0.0, min(sample_s, left_s / (2 * to_come)))


def fastest(tried: Sequence[Way | None]) -> Way | None:
    """The fastest; what comes later must be worth the change."""
    best: Way | None = None
    for way in tried:
        if way is not None and not way.refused and (best is None or way.texts_per_s > WORTH * best.texts_per_s):
            best = way
    return best


class _Crew:
    """Processes that carry out orders at the same time. All of them end with the block, or when time is over."""

    def __init__(self, longest_s: float) -> None:
        self._command = [sys.executable, "-m", "opinionwatch.models.tuning"]
        self._members = list[subprocess.Popen[str]]()
        self._over = Event()
        self._alarm = Timer(longest_s, self._end)
        self._alarm.daemon = True

    def __enter__(self) -> "_Crew":
        self._alarm.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._alarm.cancel()
        self._end()
        for member in self._members:
            member.communicate()

    def ask(self, processes: int, order: Order) -> list[Pace]:
        """What each of the first so many says; nothing when time is over."""
        try:
            # Started when they are needed: each loads PyTorch, and would hold up those that measure.
            while len(self._members) < processes:
                self._start()
            members = self._members[:processes]
            if processes > 1:  # All have loaded their model before any of them is measured.
                self._round(members, order.model_copy(update={"seconds": 0.0}))
            return self._round(members, order)
        except (OSError, ValidationError):
            return []

    def _round(self, members: Sequence[subprocess.Popen[str]], order: Order) -> list[Pace]:
        for member in members:
            if member.stdin is not None:
                member.stdin.write(order.model_dump_json() + "\n")
                member.stdin.flush()
        return [Pace.model_validate_json(member.stdout.readline() if member.stdout else "") for member in members]

    def _start(self) -> None:
        pipe = subprocess.PIPE
        member = subprocess.Popen(  # noqa: S603 - this interpreter and a module of ours
            self._command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
        )
        self._members.append(member)
        if self._over.is_set():  # the alarm may have gone off just before
            member.kill()

    def _end(self) -> None:
        self._over.set()
        for member in self._members:
            member.kill()
