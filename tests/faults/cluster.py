"""The daemons of a campaign under a supervisor: started, hit, started again, joined by others and left by them."""

import json
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.faults.documents import TREND, Documents, watchlists
from tests.pipeline.daemons import Daemons
from tests.services.pair import Services
from tests.services.server import free_port

HERE = Path(__file__).resolve().parent
ROLES = ("ingest", "score", "score", "trend", "trend", "notify")
KEY = b"the same authors in every folder"
PAUSE_S = 1.0
"""Before what has ended by itself is started again, as a service manager does it."""


class Cluster:
    """One cluster in a scratch folder, on services that the caller started."""

    def __init__(
        self,
        folder: Path,
        services: Mapping[str, str],
        documents: Documents,
        *,
        own: Services | None = None,
        channels: tuple[Mapping[str, object], ...] = (),
        page_items: int = 64,
        kafka: Mapping[str, object] = {},
        **more: object,
    ) -> None:
        """`own` are services that may be killed; `more` goes into the daemons' settings file, `kafka` into its section
        of that name.
        """
        self.folder, self.own = folder, own
        self.allowed = folder / "allowed"
        self.allowed.write_text("0")
        documents.write(folder / "feed.jsonl")
        shared: dict[str, object] = {
            "limits": {"deadletters_per_hour": documents.count}, "watchlists": watchlists(), "trend": TREND,
        }  # fmt: skip
        self.daemons = Daemons(
            folder / "cluster",
            services,
            kafka={"documents_partitions": 6, "mentions_partitions": 6, **kafka},
            **shared,
            sources=[documents.source(folder, allowed=str(self.allowed), ends=True, page_items=page_items)],
            channels=list(channels),
            **more,
        )
        same = {**shared, "data_dir": str(folder / "embedded"), "scorer": {"kind": "lexicon"}, "web": {"port": 0}}
        same["sources"] = [documents.source(folder, log=str(folder / "same.log"), ends=True)]
        same["channels"] = [{"name": "here", "kind": "terminal", "info": True}]
        (folder / "same.yaml").write_text(json.dumps(same))
        for data in (self.daemons.folder / "data", folder / "embedded"):
            data.mkdir(parents=True)
            (data / "pseudonym.key").write_bytes(KEY)
        self.lives: dict[int, subprocess.Popen[bytes]] = {}
        self.roles = dict(enumerate(ROLES))
        """Also of those that have joined."""
        self._ports = {number: free_port() for number, role in self.roles.items() if role == "notify"}
        self._again: dict[int, float] = {}
        self.started = self.crashes = self.bad_exits = 0
        self.exits: list[float] = []
        """Seconds that each SIGTERM took."""
        self.fired: Counter[str] = Counter()

    @property
    def notifier(self) -> str:
        """Where the notifier says how it is."""
        return f"http://127.0.0.1:{next(iter(self._ports.values()))}"

    def begin(self) -> None:
        """Topics, templates, and the first life of every role."""
        self.daemons.prepared()
        for number in range(len(ROLES)):
            # The first ingest daemon dies between storing its third page and its cursor: that page comes again.
            self.start(number, "ingest.stored=kill:3" if self.roles[number] == "ingest" else "")

    def start(self, number: int, failpoint: str = "") -> None:
        """One life of role `number`."""
        port = ("--monitor-port", str(self._ports[number])) if number in self._ports else ()
        self.lives[number] = self.daemons.start(
            self.roles[number], *port, PYTHONPATH=f"{HERE}:{HERE.parents[1]}", OPINIONWATCH_FAILPOINT=failpoint
        )
        self._again.pop(number, None)
        self.started += 1

    def starter(self, role: str) -> Callable[[str], "subprocess.Popen[bytes]"]:
        """What begins a life of the first one of a role, armed with a failpoint."""
        number = next(number for number, each in self.roles.items() if each == role)

        def start(failpoint: str) -> "subprocess.Popen[bytes]":
            self.start(number, failpoint)
            return self.lives[number]

        return start

    def supervise(self) -> None:
        """Start again what has ended."""
        for number, life in self.lives.items():
            code = life.poll()
            if code is not None and number not in self._again:
                self._again[number] = time.monotonic() + PAUSE_S
                self.crashes += code != -signal.SIGKILL
        for number in [one for one, due in self._again.items() if time.monotonic() >= due]:
            self.start(number)

    def kill(self, number: int) -> float:
        """kill -9, and the next life. Returns when it died."""
        self.fired[f"kill {self.roles[number]}"] += 1
        self.lives[number].send_signal(signal.SIGKILL)
        died = time.monotonic()
        self.lives[number].wait()
        self.start(number)
        return died

    def term(self, number: int) -> float:
        """SIGTERM, and the next life. Returns when it was told."""
        self.fired[f"term {self.roles[number]}"] += 1
        told = self._told(number)
        self.start(number)
        return told

    def _told(self, number: int) -> float:
        life = self.lives[number]
        life.send_signal(signal.SIGTERM)
        told = time.monotonic()
        self.bad_exits += not self.daemons.well(life, told)
        self.exits.append(time.monotonic() - told)
        return told

    def restart(self, name: str) -> float:
        """kill -9 of a service, and wait until it answers again; whoever ends meanwhile is started again. Returns
        when it was back.
        """
        assert self.own is not None
        service = self.own.kafka if name == "kafka" else self.own.elasticsearch
        service.kill()
        service.start()
        service.wait()
        self.fired[f"restart {name}"] += 1
        return time.monotonic()

    def join(self, role: str) -> float:
        """One worker more. Returns when it was started."""
        self.fired[f"join {role}"] += 1
        number = max(self.roles) + 1
        self.roles[number] = role
        self.start(number)
        return time.monotonic()

    def leave(self, number: int) -> float:
        """A worker that joined goes. Returns when it was told."""
        self.fired[f"leave {self.roles[number]}"] += 1
        told = self._told(number)
        del self.lives[number], self.roles[number]
        self._again.pop(number, None)
        return told

    def joined(self) -> list[int]:
        """Those who have joined and not left."""
        return [number for number in self.roles if number >= len(ROLES)]

    def wait(
        self, true: Callable[[], bool], timeout_s: float, every_s: float = 0.05, of: Callable[[], str] = str
    ) -> None:
        """Until something is true; whoever ends meanwhile is started again. `of` says what is waited for."""
        deadline = time.monotonic() + timeout_s
        while not true():
            self.supervise()
            if time.monotonic() > deadline:
                raise TimeoutError(f"{of()} not in {timeout_s:.0f} s: {self.daemons.said()}")
            time.sleep(every_s)

    def end(self) -> None:
        """SIGTERM to all that live."""
        for number in list(self.lives):
            if self.lives[number].poll() is None:
                self._told(number)
