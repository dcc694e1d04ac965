"""A real Elasticsearch of one node."""

import shutil
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.services.artifacts import java_home, programs
from tests.services.server import JavaServer, free_port

HEAP_MB = 512


def healthy(address: str) -> bool:
    """Whether the cluster there has a master and takes writes."""
    try:
        with urllib.request.urlopen(  # noqa: S310 - an address of ours
            f"{address}/_cluster/health?wait_for_status=yellow&timeout=1s", timeout=5
        ) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


class ElasticSearch(JavaServer):
    """The server with the modules of its core; without security, on the loopback interface."""

    name = "elasticsearch"

    def __init__(self, *, leashed: bool = True) -> None:
        super().__init__(leashed=leashed)
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._program = programs() / "elasticsearch"
        self._java_home = java_home()
        shutil.copytree(self._program / "config", self.folder / "config")
        (self.folder / "config" / "elasticsearch.yml").write_text(self._settings(free_port()), encoding="utf-8")
        for name in ("data", "logs", "temp"):
            (self.folder / name).mkdir()
        for path in self.folder.rglob("*"):
            self.own(path)

    def _settings(self, transport: int) -> str:
        return "".join(f"{key}: {value}\n" for key, value in self._lines(transport).items())

    def _lines(self, transport: int) -> dict[str, object]:
        return {
            "cluster.name": "opinionwatch-test",
            "discovery.type": "single-node",
            "http.host": "127.0.0.1",
            "transport.host": "127.0.0.1",
            "http.port": self.port,
            "transport.port": transport,
            "path.data": self.folder / "data",
            "path.logs": self.folder / "logs",
            "xpack.security.enabled": "false",
            "xpack.security.autoconfiguration.enabled": "false",
            "cluster.routing.allocation.disk.threshold_enabled": "false",
        }

    def command(self) -> Sequence[str | Path]:
        """What to run; it ends when its starter does."""
        return [self._program / "bin" / "elasticsearch"]

    def environment(self) -> Mapping[str, str]:
        """Which Java, how much of it, and where everything lies."""
        return {
            "ES_JAVA_HOME": str(self._java_home),
            "ES_JAVA_OPTS": f"-Xms{HEAP_MB}m -Xmx{HEAP_MB}m",
            "ES_PATH_CONF": str(self.folder / "config"),
            "ES_TMPDIR": str(self.folder / "temp"),
        }

    def answers(self) -> bool:
        """Whether the cluster has a master and takes writes."""
        return healthy(self.address)
