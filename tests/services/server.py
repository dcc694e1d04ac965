"""One server process on this machine: started as somebody who is not root, stopped by its process id."""

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Protocol, TypeVar

from tests.services.artifacts import UnavailableError

START_S = 180.0
STOP_S = 30.0


class Service(Protocol):
    """A Kafka or an Elasticsearch that answers at `address`, and keeps port and data over restarts."""

    address: str

    @property
    def handle(self) -> Mapping[str, str]:
        """What another process needs to end it: `pid` and `folder`, or `container`."""
        ...

    def start(self) -> None:
        """Begin to start; `wait` says when it answers."""
        ...

    def wait(self) -> None:
        """Until it answers. Raises UnavailableError with the end of its log when it does not."""
        ...

    def stop(self) -> None:
        """An orderly end (SIGTERM)."""
        ...

    def kill(self) -> None:
        """The end that nobody announces (SIGKILL); `start` brings it back with its data."""
        ...

    def remove(self) -> None:
        """Stop, and delete everything it wrote."""
        ...


Given = TypeVar("Given", bound=Service)


@contextmanager
def up(service: Given) -> Iterator[Given]:
    """It answers while the block runs, and is gone with everything it wrote afterwards."""
    try:
        service.start()
        service.wait()
        yield service
    finally:
        service.remove()


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def listens(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket() as caller:
        caller.settimeout(1)
        return caller.connect_ex(("127.0.0.1", port)) == 0


def until(answers: Callable[[], bool], alive: Callable[[], bool] = lambda: True) -> bool:
    """Ask every 0.1 s until the answer is yes; no when it is not after 180 s, or at once when nobody lives there."""
    end, pause = time.monotonic() + START_S, Event()
    while not answers():
        if not alive() or time.monotonic() > end:
            return False
        pause.wait(0.1)
    return True


def end(handle: Mapping[str, str]) -> None:
    """End a server that another process started, and delete what it wrote."""
    pid, folder = int(handle["pid"]), Path(handle["folder"])
    running = Path(f"/proc/{pid}/cmdline")

    def gone() -> bool:
        # Process ids are given out again: only one whose command names our folder is ours.
        return not running.exists() or str(folder).encode() not in _all_of(running)

    if not gone():
        os.kill(pid, signal.SIGTERM)
        if not until(gone):
            os.killpg(pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


def _all_of(command: Path) -> bytes:
    try:
        return command.read_bytes()
    except OSError:
        return b""


def _leash() -> None:
    """In the child: have the kernel send SIGTERM when our starter is gone (prctl(2), PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class JavaServer:
    """A Java program in a scratch folder of its own."""

    name = "server"
    address = ""
    port = 0

    def __init__(self, *, leashed: bool = True) -> None:
        """`leashed`: it ends with the thread that started it, however that ends; else it outlives us."""
        self._leashed = leashed
        self.folder = Path(tempfile.mkdtemp(prefix=f"opinionwatch-{self.name}-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.own(self.folder)

    @property
    def handle(self) -> Mapping[str, str]:
        """Process id and folder."""
        return {"pid": str(self._running().pid), "folder": str(self.folder)}

    @property
    def user(self) -> str | None:
        """Whom to run as: None for ourselves, somebody without rights when we are root."""
        return "nobody" if os.getuid() == 0 else None

    def own(self, path: Path) -> None:
        """Give a path to that user."""
        if self.user is not None:
            entry = pwd.getpwnam(self.user)
            os.chown(path, entry.pw_uid, entry.pw_gid)

    def command(self) -> Sequence[str | Path]:
        """What to run."""
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """Variables besides the path."""
        return {}

    def answers(self) -> bool:
        """Whether it is ready."""
        raise NotImplementedError

    def start(self) -> None:
        """Begin to start; `wait` says when it answers."""
        entry = pwd.getpwnam(self.user) if self.user else None
        with (self.folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={"PATH": os.environ.get("PATH", ""), "HOME": str(self.folder), **self.environment()},
                user=entry.pw_uid if entry else None,
                group=entry.pw_gid if entry else None,
                extra_groups=[] if entry else None,
                start_new_session=True,
                preexec_fn=_leash if self._leashed else None,  # noqa: PLW1509 - the tests start it before any thread
            )

    def wait(self) -> None:
        """Until it answers. Raises UnavailableError with the end of its log when it does not."""
        process = self._running()
        if not until(self.answers, alive=lambda: process.poll() is None):
            words = (self.folder / "log.txt").read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
            raise UnavailableError("\n".join([f"{self.name} does not come up; the end of its log:", *words]))

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            raise UnavailableError(f"{self.name} was not started")
        return self._process

    def stop(self) -> None:
        """An orderly end (SIGTERM); a kill when that takes longer than 30 s."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """The end that nobody announces: SIGKILL to everything it started."""
        process = self._running()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        until(lambda: not listens(self.port))
        self._process = None

    def remove(self) -> None:
        """Stop, and delete everything it wrote."""
        self.stop()
        shutil.rmtree(self.folder)
