"""Kafka and Elasticsearch as containers, where a Docker engine answers."""

import shutil
import subprocess
from collections.abc import Mapping

from tests.services.artifacts import ELASTICSEARCH, FETCH_S, KAFKA, UnavailableError
from tests.services.elastic import HEAP_MB, healthy
from tests.services.server import free_port, listens, until

IMAGES = (f"apache/kafka:{KAFKA}", f"docker.elastic.co/elasticsearch/elasticsearch:{ELASTICSEARCH}")


def engine_answers() -> bool:
    """Whether there is a Docker engine that has our images or can get them."""
    program = shutil.which("docker")
    if program is None:
        return False
    try:
        subprocess.run([program, "info"], capture_output=True, timeout=20, check=True)
        for image in IMAGES:
            known = subprocess.run([program, "image", "inspect", image], capture_output=True, timeout=20, check=False)
            if known.returncode:
                subprocess.run([program, "pull", "-q", image], capture_output=True, timeout=FETCH_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def end_container(handle: Mapping[str, str]) -> None:
    """Stop a container and delete it with everything it wrote."""
    _docker("rm", "--force", "--volumes", handle["container"])


class Container:
    """One container; its ports are published on the loopback interface only."""

    address = ""

    def __init__(self, name: str, image: str, port: int, inner: int, variables: Mapping[str, str]) -> None:
        self.name = name
        self.port = port
        flags = [flag for name, value in variables.items() for flag in ("--env", f"{name}={value}")]
        publish = f"127.0.0.1:{port}:{inner}"
        self.id = _docker("create", "--label", "opinionwatch=test", "--publish", publish, *flags, image)

    @property
    def handle(self) -> Mapping[str, str]:
        """The container's id."""
        return {"container": self.id}

    def start(self) -> None:
        """Begin to start; `wait` says when it answers."""
        _docker("start", self.id)

    def answers(self) -> bool:
        """Whether it is ready."""
        raise NotImplementedError

    def wait(self) -> None:
        """Until it answers. Raises UnavailableError with the end of its log when it does not."""
        if not until(self.answers):
            raise UnavailableError(f"{self.name} does not come up:\n{_docker('logs', '--tail', '15', self.id)}")

    def stop(self) -> None:
        """An orderly end."""
        _docker("stop", "--time", "30", self.id)

    def kill(self) -> None:
        """SIGKILL; `start` brings it back with its data."""
        _docker("kill", self.id)

    def remove(self) -> None:
        """Stop, and delete everything it wrote."""
        end_container(self.handle)


class KafkaContainer(Container):
    """Broker and controller in one process (KRaft)."""

    def __init__(self) -> None:
        port = free_port()
        ones = (
            "OFFSETS_TOPIC_REPLICATION_FACTOR", "TRANSACTION_STATE_LOG_REPLICATION_FACTOR",
            "TRANSACTION_STATE_LOG_MIN_ISR", "SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR",
            "SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR",
        )  # fmt: skip
        variables = {
            "KAFKA_NODE_ID": "1",
            "KAFKA_PROCESS_ROLES": "broker,controller",
            "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
            "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
            "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
            "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
            "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
            **{f"KAFKA_{name}": "1" for name in ones},
        }
        super().__init__("kafka", IMAGES[0], port, 9092, variables)
        self.address = f"127.0.0.1:{port}"

    def answers(self) -> bool:
        """Whether it accepts connections."""
        return listens(self.port)


class ElasticContainer(Container):
    """One node, without security."""

    def __init__(self) -> None:
        port = free_port()
        variables = {
            "discovery.type": "single-node",
            "xpack.security.enabled": "false",
            "cluster.routing.allocation.disk.threshold_enabled": "false",
            "ES_JAVA_OPTS": f"-Xms{2 * HEAP_MB}m -Xmx{2 * HEAP_MB}m",
        }
        super().__init__("elasticsearch", IMAGES[1], port, 9200, variables)
        self.address = f"http://127.0.0.1:{port}"

    def answers(self) -> bool:
        """Whether the cluster has a master and takes writes."""
        return healthy(self.address)


def _docker(*words: str) -> str:
    program = shutil.which("docker") or "docker"
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise UnavailableError(f"docker {words[0]}: {done.stderr.strip()[-500:]}")
    return done.stdout.strip()
