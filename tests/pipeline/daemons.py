"""The daemons as processes on real services: started, told, killed, and asked how they are."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import uuid4

import yaml

from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.settings import Settings, load

YOUNG_S = 20
COMMAND = Path(sys.executable).parent / "opinionwatch"
ROLES = {"ingest": ["ingest"], "score": ["worker", "score"], "trend": ["worker", "trend"], "notify": ["notify"],
         "web": ["web"]}  # fmt: skip


def _is(true: Callable[[], bool]) -> bool:
    """Whether it is true by now; an index that is only just being made cannot say so yet."""
    try:
        return true()
    except RetryableError:
        return False


class Daemons:
    """A cluster of daemons with names of their own on shared services."""

    def __init__(self, folder: Path, services: Mapping[str, str], *, kafka: object = None, **more: object) -> None:
        """`more` goes into the settings file, `kafka` into its section of that name."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        name = f"t{uuid4().hex[:10]}"
        given = {
            "data_dir": str(folder / "data"),
            "scorer": {"kind": "lexicon"},
            "store": "elasticsearch",
            "elasticsearch": {"hosts": [services["elasticsearch"]], "prefix": name},
            "kafka": {
                "servers": [services["kafka"]], "prefix": name, "heartbeat_s": 0.3, "documents_partitions": 3,
                "mentions_partitions": 2, **(kafka if isinstance(kafka, Mapping) else {}),
            },
            "web": {"port": 0},
            "monitor": {"port": 0},
            "hooks": {"port": 0},
            **more,
        }  # fmt: skip
        self.config = folder / "opinionwatch.yaml"
        self.config.write_text(yaml.safe_dump(given, allow_unicode=True), encoding="utf-8")
        self.lives: list[subprocess.Popen[bytes]] = []
        self._begun: dict[int, float] = {}

    @property
    def settings(self) -> Settings:
        """What the daemons read."""
        return load(self.config)

    def command(self, *arguments: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [str(COMMAND), *arguments, "-c", str(self.config)],
            capture_output=True, text=True, timeout=timeout_s, check=False,
        )  # fmt: skip

    def prepared(self) -> None:
        """Topics and templates."""
        for arguments in (("topics", "create"), ("index", "setup")):
            done = self.command(*arguments)
            assert done.returncode == 0, done.stdout + done.stderr

    def start(self, role: str, *more: str, **environment: str) -> "subprocess.Popen[bytes]":
        """One life of a role."""
        with (self.folder / f"{role}.out").open("ab") as out, (self.folder / f"{role}.err").open("ab") as err:
            life = subprocess.Popen(
                [str(COMMAND), *ROLES[role], *more, "-c", str(self.config)],
                env={**os.environ, "PYTHONFAULTHANDLER": "1", **environment},
                stdout=out,
                stderr=err,
            )
        self.lives.append(life)
        self._begun[life.pid] = time.monotonic()
        return life

    def end(self) -> dict[int, float]:
        """SIGTERM to all; how long each took, by process id. Each must exit 0."""
        asked = time.monotonic()
        living = [life for life in self.lives if life.poll() is None]
        for life in living:
            life.send_signal(signal.SIGTERM)
        took = {}
        for life in living:
            assert self.well(life, asked), f"{life.args!r} {life.returncode}: {self.said()}"
            took[life.pid] = time.monotonic() - asked
        return took

    def well(self, life: "subprocess.Popen[bytes]", asked: float) -> bool:
        """Whether it ends with 0. One that has only just been started may be told to stop before it can listen."""
        try:
            code, young = life.wait(60), asked - self._begun[life.pid] < YOUNG_S
        except subprocess.TimeoutExpired:
            life.send_signal(signal.SIGABRT)  # faulthandler says where every thread stands
            life.wait()
            return False
        return code == 0 or (young and code == -signal.SIGTERM)

    def kill(self) -> None:
        """Whatever still lives."""
        for life in self.lives:
            if life.poll() is None:
                life.kill()
                life.wait()

    def said(self) -> str:
        """The end of every role's standard error."""
        return "\n".join(f"{path.name}: {path.read_text()[-3000:]}" for path in sorted(self.folder.glob("*.err")))

    def everything(self) -> str:
        """All that was said on both outputs of every role."""
        return "\n".join(path.read_text() for end in ("out", "err") for path in sorted(self.folder.glob(f"*.{end}")))

    def until(self, true: Callable[[], bool], timeout_s: float = 120) -> None:
        """Wait until something is true; a daemon that ended by itself fails the test."""
        deadline = time.monotonic() + timeout_s
        while not _is(true):
            assert time.monotonic() < deadline, f"not in {timeout_s} s: {self.said()}"
            broken = [life.args for life in self.lives if life.poll() not in (None, 0, -signal.SIGKILL)]
            assert not broken, f"{broken}: {self.said()}"
            time.sleep(0.1)
