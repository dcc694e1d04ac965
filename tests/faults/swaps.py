"""Model swaps under load: the model is promoted and rolled back while documents flow and the daemon is killed.

The name that an opinion bears must be that of the model that has read it, and of one that was in force then. Half of
the kills come right after a promotion, before or after it is taken up.

    python -m tests.faults.swaps --documents 60000 --kills 20 --swaps 20 --seed 7
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from tempfile import mkdtemp
from threading import Event, Lock, Thread

from tests.faults.campaign import Campaign, Verdict
from tests.faults.models_in_turn import Models, Read, changes

TICK_S, LOOK_S = 0.05, 0.2
HASTY = 0.5
"""Of the kills come right after a promotion."""
BURST = 1_000
"""Documents that are let through at once before a kill, so that it hits a daemon with its hands full."""


@dataclass
class SwapVerdict(Verdict):
    """What the oracle found, and whether there was anything to find."""

    promoted: int = 0
    """Promotions and rollbacks."""
    swaps: int = 0
    """Changes of the model from one document to the next."""
    taken_up: int = 0
    """Swaps in a running daemon."""

    @property
    def clean(self) -> bool:
        """No fault, the kills really hurt, and models really changed, in running daemons too."""
        return super().clean and self.swaps > 0 and self.taken_up > 0


class Tap:
    """Lets a feed hand over so many lines a second."""

    def __init__(self, allowed: Path, per_s: float) -> None:
        self._allowed, self._per_s, self._open = allowed, per_s, 0.0
        self._lock = Lock()
        self.burst(0)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let them flow meanwhile."""
        stop = Event()

        def drip() -> None:
            while not stop.wait(TICK_S):
                self.burst(self._per_s * TICK_S)

        thread = Thread(target=drip, name="tap")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def burst(self, documents: float = BURST) -> None:
        """So many at once."""
        with self._lock:
            self._open += documents
            beside = self._allowed.with_suffix(".new")
            beside.write_text(str(int(self._open)))
            beside.replace(self._allowed)


class SwapCampaign(Campaign):
    """One run in a scratch folder."""

    def __init__(self, folder: Path, documents: int, seed: int, per_s: float) -> None:
        """`per_s` documents a second."""
        self.models = Models(folder, random.Random(seed))
        super().__init__(folder, documents, seed, scorer=self.models.scorer, allowed=str(folder / "allowed"))
        self.tap, self.data = Tap(folder / "allowed", per_s), folder / "data"
        self.floors: list[tuple[int, int]] = []
        """From this line on, documents are read by the model of this entry or a later one."""

    @property
    def names(self) -> list[str]:
        """What was in force, in that order."""
        return self.models.names(self.data)

    def run(self, kills: int, swaps: int) -> SwapVerdict:
        """Swap and kill in random order and at random progress, let the last life finish, and judge."""
        began, lives = time.monotonic(), 1 + kills
        deeds = ["kill"] * kills + ["swap"] * swaps
        self.dice.shuffle(deeds)
        life = self.begin()
        try:
            with self.tap.running():
                for index, deed in enumerate(deeds):
                    self.wait(life, int((index + self.dice.random()) / (len(deeds) + 1) * self.documents), 120)
                    if deed == "swap":
                        self.taken_up(life, self.models.swap(self.config, self.data))
                        continue
                    if self.dice.random() < HASTY:
                        self.models.swap(self.config, self.data)
                        time.sleep(self.dice.uniform(0, 1.5))
                    self.tap.burst()
                    time.sleep(self.dice.uniform(TICK_S, 4 * TICK_S))
                    life.send_signal(signal.SIGKILL)
                    life.wait(60)
                    life = self.begin()
                self.wait(life, self.documents, 600)
                self.settled()
            life.send_signal(signal.SIGTERM)
            bad_exits = int(life.wait(60) != 0)
        finally:
            life.kill()
        replays = sum(end - first for first, end in self.deliveries()) - self.documents
        verdict = SwapVerdict(self.documents, kills, 0, replays, lives, time.monotonic() - began, 0.0)
        verdict.faults = {"bad exits": bad_exits, **self.judge()}
        verdict.promoted, verdict.swaps = len(self.names) - 1, changes(self.read())
        verdict.taken_up = self.said().count("model.taken_up")
        return verdict

    def begin(self) -> subprocess.Popen[bytes]:
        """Another life. What it is the first to be handed is read by what is in force now."""
        self.floors.append((self.delivered(), len(self.names) - 1))
        return self.start()

    def delivered(self) -> int:
        """The line after the last that was ever handed over."""
        return max((end for _, end in self.deliveries()), default=0)

    def said(self) -> str:
        """What all lives have logged."""
        return (self.folder / "stderr.log").read_text(errors="replace")

    def taken_up(self, life: subprocess.Popen[bytes], name: str, timeout_s: float = 120) -> None:
        """Until documents are read by what is in force: a running daemon says so, and one that starts now begins with
        it. Where no documents come any more, nothing is to be waited for.
        """
        deadline = time.monotonic() + timeout_s
        while life.poll() is None and f'"version": "{name}"' not in self.said():
            if self.delivered() >= self.documents or any(each.name == name for each in self.read()):
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} was not taken up in {timeout_s} s; see {self.folder / 'stderr.log'}")
            time.sleep(LOOK_S)
        self.floors.append((self.delivered(), len(self.names) - 1))

    def read(self) -> list[Read]:
        """Every document in the store, in the order in which they arrived."""
        rows = self.query(
            "SELECT json_extract(CAST(body AS TEXT), '$.document.native_id'), "
            "json_extract(CAST(body AS TEXT), '$.scorer'), "
            "json_extract(CAST(body AS TEXT), '$.reading.sentiment.label') FROM documents"
        )
        return sorted(Read(int(str(native)[1:]), str(scorer), str(label)) for native, scorer, label in rows)

    def judge(self) -> dict[str, int]:
        """What every campaign judges, and who has read what."""
        order = {name: index for index, name in enumerate(self.names)}
        documents = self.read()
        floors = [0] * (self.documents + 1)
        for line, index in self.floors:
            floors[line] = max(floors[line], index)
        least = [*accumulate(floors, max)]
        known = [(each.number, order[each.name]) for each in documents if each.name in order]
        return {
            **super().judge(),
            **self.models.misread(documents, order),
            "read by a model that was no longer in force": sum(index < least[number] for number, index in known),
            "read by an earlier model than the one before": sum(
                one > other for (_, one), (_, other) in pairwise(known)
            ),
        }


def main() -> int:
    """Run a campaign and print the verdict as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=60_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--swaps", type=int, default=20)
    parser.add_argument("--per-second", type=float, default=400)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    folder = Path(mkdtemp(prefix="opinionwatch-swaps-"))
    verdict = SwapCampaign(folder, given.documents, given.seed, given.per_second).run(given.kills, given.swaps)
    sys.stdout.write(json.dumps({**vars(verdict), "seed": given.seed, "clean": verdict.clean}, indent=2) + "\n")
    return 0 if verdict.clean else 1


if __name__ == "__main__":
    sys.exit(main())
