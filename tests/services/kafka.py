"""A real Apache Kafka of one node (KRaft)."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.services.artifacts import UnavailableError, java_home, programs
from tests.services.server import JavaServer, free_port, listens


class Kafka(JavaServer):
    """Broker and controller in one process; plaintext on the loopback interface."""

    name = "kafka"
    users: Sequence[str] = ()
    """What the format tool is told besides, for brokers that ask who is there."""

    def __init__(self, *, leashed: bool = True) -> None:
        super().__init__(leashed=leashed)
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._java = java_home() / "bin" / "java"
        self._jars = programs() / "kafka" / "*"
        properties = self.folder / "server.properties"
        properties.write_text(self._properties(free_port()), encoding="utf-8")
        self._format(properties)

    def _properties(self, controller: int) -> str:
        ones = (
            "offsets.topic.replication.factor", "transaction.state.log.replication.factor",
            "transaction.state.log.min.isr", "share.coordinator.state.topic.replication.factor",
            "share.coordinator.state.topic.min.isr", "offsets.topic.num.partitions",
            "transaction.state.log.num.partitions", "share.coordinator.state.topic.num.partitions",
        )  # fmt: skip
        lines = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self.folder / "data"),
            "auto.create.topics.enable": "false",
            "group.initial.rebalance.delay.ms": "0",
            "log.cleaner.backoff.ms": "1000",
            **dict.fromkeys(ones, "1"),
        }
        return "".join(f"{key}={value}\n" for key, value in lines.items())

    def _format(self, properties: Path) -> None:
        (self.folder / "data").mkdir()
        self.own(self.folder / "data")
        # The id of a cluster is 16 bytes in base64; this one is as good as a random one on a machine of its own.
        tool: list[str | Path] = [self._java, "-cp", self._jars, "kafka.tools.StorageTool"]
        made = subprocess.run(
            [*tool, "format", "-t", "b3BpbmlvbndhdGNoMDAwMQ", "-c", properties, *self.users],
            capture_output=True, text=True, check=False, timeout=120, user=self.user,
            group="nogroup" if self.user else None, cwd=self.folder,
        )  # fmt: skip
        if made.returncode:
            raise UnavailableError(f"kafka cannot make its data folder: {made.stdout[-500:]}{made.stderr[-500:]}")

    def command(self) -> Sequence[str | Path]:
        """What to run."""
        quick = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
        return [
            self._java,
            "-Xmx512m",
            *quick,
            "-cp",
            self._jars,
            "kafka.Kafka",
            self.folder / "server.properties",
        ]

    def answers(self) -> bool:
        """Whether it accepts connections; it does so only when it is ready."""
        return listens(self.port)
