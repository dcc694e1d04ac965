"""What the units start, started: their own command lines, the one settings file, secrets in the working folder."""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from elasticsearch import Elasticsearch

from opinionwatch.pipeline.signature import secret_bytes, sign
from tests.deploy.files import COMPOSE, SETTINGS, tool
from tests.services.server import free_port, until

ROLES = ("ingest", "score@", "trend@", "notify", "web", "serve")
STOP_S = 30.0


def commands(unit: str) -> list[list[str]]:
    """The command lines of a unit, on this machine's program and the settings file as it is in the repository."""
    text = (COMPOSE / "systemd" / f"opinionwatch-{unit}.service").read_text(encoding="utf-8")
    lines = re.findall(r"^ExecStart=\S+ (.+)$", text, flags=re.MULTILINE)
    assert lines
    return [
        [tool("opinionwatch"), *line.replace("/etc/opinionwatch/opinionwatch.yaml", str(SETTINGS)).split()]
        for line in lines
    ]


SECRETS = {"inbox.secret", "web.token", "serve.token"}


@dataclass
class Machine:
    """A machine with the units on it, as far as processes go."""

    folder: Path
    elasticsearch: str
    kafka: str
    prefix: str = field(default_factory=lambda: f"u{uuid4().hex[:10]}")
    hooks: int = field(default_factory=free_port)
    page: int = field(default_factory=free_port)
    scores: int = field(default_factory=free_port)
    secret: str = field(default_factory=lambda: secrets.token_hex(24))
    lives: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)

    def environment(self, unit: str) -> dict[str, str]:
        """compose/systemd/environment with the addresses of here, and what the unit adds."""
        lines = (COMPOSE / "systemd" / "environment").read_text(encoding="utf-8").splitlines()
        given = dict(line.split("=", 1) for line in lines if line.startswith("OPINIONWATCH"))
        assert "OPINIONWATCH__KAFKA__SERVERS" in given
        unit_text = (COMPOSE / "systemd" / f"opinionwatch-{unit}.service").read_text(encoding="utf-8")
        given |= dict(re.findall(r"^Environment=(OPINIONWATCH\w+)=(\S+)$", unit_text, flags=re.MULTILINE))
        here = {
            "KAFKA__SERVERS": json.dumps([self.kafka]), "ELASTICSEARCH__HOSTS": json.dumps([self.elasticsearch]),
            "KAFKA__PREFIX": self.prefix, "ELASTICSEARCH__PREFIX": self.prefix, "SCORER__KIND": "lexicon",
            "DATA_DIR": str(self.folder / "data" / unit), "HOOKS__PORT": str(self.hooks), "WEB__PORT": str(self.page),
            "SERVE__PORT": str(self.scores),
        }  # fmt: skip
        return {**os.environ, **given, **{f"OPINIONWATCH__{name}": value for name, value in here.items()}}

    def start(self, unit: str) -> None:
        """Start a daemon in the folder of its credentials."""
        [command] = commands(unit)
        self.ports[unit] = free_port()
        words = " ".join(command).replace("947%i", "0").replace("948%i", "0").replace("--monitor-port 0", "").split()
        log = (self.folder / f"{unit}.log").open("wb")
        self.lives[unit] = subprocess.Popen(
            [*words, "--monitor-port", str(self.ports[unit])],
            cwd=self.folder / "credentials", env=self.environment(unit), stdout=log, stderr=log,
        )  # fmt: skip
        log.close()

    def probed(self, unit: str, path: str) -> bool:
        """What the image's own probe says."""
        command = [sys.executable, "-IS", str(COMPOSE / "probe.py"), path, str(self.ports[unit])]
        asked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        self.answers[unit] = asked.stdout
        return asked.returncode == 0

    def comes(self, true: Callable[[], bool]) -> None:
        """Wait until it is true; fail with the logs when it does not become so, or when a daemon has ended."""
        became = until(true, lambda: all(life.poll() is None for life in self.lives.values()))
        assert became, "\n".join(f"{unit}: {self.answers.get(unit)}\n{self.log(unit)}" for unit in self.lives)

    def log(self, unit: str) -> str:
        """What it said."""
        return (self.folder / f"{unit}.log").read_text(encoding="utf-8", errors="replace")[-3000:]


@pytest.fixture
def machine(services: dict[str, str], tmp_path: Path) -> Iterator[Machine]:
    found = Machine(tmp_path, services["elasticsearch"], services["kafka"])
    (tmp_path / "credentials").mkdir()
    for name in SECRETS:
        (tmp_path / "credentials" / name).write_text(found.secret, encoding="utf-8")
    yield found
    for life in found.lives.values():
        life.kill()
        life.wait()


def test_the_units_bring_a_text_from_the_hook_to_the_index_and_the_page_score_another_and_stop_when_told(
    machine: Machine,
) -> None:
    for command in commands("setup"):
        done = subprocess.run(
            command, cwd=machine.folder / "credentials", env=machine.environment("setup"), capture_output=True,
            text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    for unit in ROLES:
        machine.start(unit)
    for unit in ROLES:
        machine.comes(partial(machine.probed, unit, "/healthz"))
        machine.comes(partial(machine.probed, unit, "/readyz"))

    body = json.dumps({"native_id": "1", "text": "The Lumora battery is awful, 流墨电池很差"}).encode()
    now = int(time.time())
    request = urllib.request.Request(
        f"http://127.0.0.1:{machine.hooks}/hooks/inbox", data=body,
        headers={"webhook-id": "m1", "webhook-timestamp": str(now), "content-type": "application/json",
                 "webhook-signature": sign(secret_bytes(machine.secret, "test"), "m1", now, body)},
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=60) as taken:  # noqa: S310 - our own address
        assert taken.status == 200
    with Elasticsearch(machine.elasticsearch, max_retries=0) as client:

        def found() -> list[dict[str, Any]]:
            # An index that is only just being made answers 503.
            asked = client.options(ignore_status=503).search(index=f"{machine.prefix}-documents-*")
            return list(asked.body.get("hits", {}).get("hits", []))

        machine.comes(lambda: bool(found()))
        [hit] = found()
    assert hit["_source"]["watchlist.id"] == ["lumora"]
    assert hit["_source"]["sentiment.label"] == "negative"

    page = urllib.request.Request(f"http://127.0.0.1:{machine.page}/api/watchlists")
    page.add_header("authorization", f"Bearer {machine.secret}")
    with urllib.request.urlopen(page, timeout=60) as answered:  # noqa: S310 - our own address
        assert answered.status == 200

    asked = urllib.request.Request(
        f"http://127.0.0.1:{machine.scores}/api/score", data=b'{"texts": ["The battery is awful"]}',
        headers={"authorization": f"Bearer {machine.secret}", "content-type": "application/json"},
    )  # fmt: skip
    with urllib.request.urlopen(asked, timeout=60) as answered:  # noqa: S310 - our own address
        assert b"negative" in answered.read()

    for life in machine.lives.values():
        life.send_signal(signal.SIGTERM)
    for unit, life in machine.lives.items():
        assert life.wait(STOP_S) == 0, machine.log(unit)
    # Under systemd and in a container it is read-only: who writes there does not start.
    assert {file.name for file in (machine.folder / "credentials").iterdir()} == SECRETS
