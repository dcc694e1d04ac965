"""The services that tests run against: they answer, they come back with their data, and nothing of them is left."""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from tests.services.artifacts import UnavailableError, java_home, programs
from tests.services.docker import IMAGES, KafkaContainer, engine_answers
from tests.services.elastic import ElasticSearch
from tests.services.server import JavaServer, end, listens


def call(address: str, method: str = "GET", body: bytes | None = None) -> bytes:
    """One request to Elasticsearch."""
    request = Request(address, body, {"content-type": "application/json"}, method=method)  # noqa: S310 - our address
    with urlopen(request, timeout=30) as answer:  # noqa: S310 - our address
        return bytes(answer.read())


def test_both_services_answer_and_none_of_them_runs_as_root(services: dict[str, str]) -> None:
    assert listens(int(services["kafka"].rpartition(":")[2]))
    health = json.loads(call(f"{services['elasticsearch']}/_cluster/health"))
    assert health["status"] in ("green", "yellow")
    listed = subprocess.run(["ps", "-eo", "user,args"], capture_output=True, text=True, check=True).stdout
    ours = [line for line in listed.splitlines() if re.search("java.*opinionwatch-(kafka|elasticsearch)-", line)]
    assert [line for line in ours if line.startswith("root")] == []


def test_a_killed_elasticsearch_comes_back_with_what_it_had_confirmed() -> None:
    server = ElasticSearch()
    try:
        server.start()
        server.wait()
        call(f"{server.address}/kept/_doc/1", "PUT", b'{"a": 1}')
        server.kill()
        assert not listens(server.port)
        server.start()
        server.wait()
        assert json.loads(call(f"{server.address}/kept/_doc/1"))["_source"] == {"a": 1}
    finally:
        server.remove()
    assert not server.folder.exists()


class Broken(JavaServer):
    """A server that says why and ends."""

    name = "broken"

    def command(self) -> list[str | Path]:
        """What to run."""
        return ["sh", "-c", "echo the port is taken; exit 3"]

    def answers(self) -> bool:
        """Never."""
        return False


def test_a_server_that_does_not_come_up_is_told_with_the_end_of_its_log() -> None:
    server = Broken()
    server.start()
    with pytest.raises(UnavailableError, match="the port is taken"):
        server.wait()
    server.remove()


class Sleeping(Broken):
    """A server that would run for ever."""

    def command(self) -> list[str | Path]:
        """What to run; its command line names its folder."""
        return ["sh", "-c", f"exec tail -f {self.folder}/log.txt"]


def test_a_server_is_ended_by_its_process_id_and_a_stranger_with_that_id_is_not() -> None:
    server = Sleeping(leashed=False)
    server.start()
    handle = dict(server.handle)
    end({**handle, "folder": "/somewhere/else"})
    assert Path(f"/proc/{handle['pid']}").exists()
    server.stop()
    end(handle)
    assert not server.folder.exists()


def test_a_leashed_server_ends_with_its_starter_even_when_that_is_killed() -> None:
    program = (
        "import os, sys; from tests.services.test_services import Sleeping; s = Sleeping(); s.start();"
        "print(s.handle['pid'], s.folder, flush=True); sys.stdin.read()"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    with starter:
        assert starter.stdout is not None
        pid, folder = starter.stdout.readline().split()
        starter.kill()
        starter.wait()
        end({"pid": "0", "folder": folder.decode()})
        waited = subprocess.run(["tail", f"--pid={int(pid)}", "-f", os.devnull], timeout=30, check=False)
    assert waited.returncode == 0


def test_a_machine_without_java_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(UnavailableError, match="apt install openjdk-17"):
        java_home()


def test_a_machine_without_a_way_to_maven_central_is_told_so_and_nothing_half_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    fake = tmp_path / "mvn"
    fake.write_text("#!/bin/sh\necho '[INFO] trying'; echo '[ERROR] Could not transfer artifact'; exit 1\n")
    fake.chmod(0o755)
    with pytest.raises(UnavailableError, match=r"mirror \(~/.m2/settings.xml\): \[ERROR\] Could not transfer"):
        programs()
    [ours] = tmp_path.glob("opinionwatch-services-*")
    assert list(ours.iterdir()) == []


def test_a_folder_of_somebody_else_is_not_trusted_with_programs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / f"opinionwatch-services-{os.getuid()}").mkdir()
    (tmp_path / f"opinionwatch-services-{os.getuid()}").chmod(0o777)
    with pytest.raises(UnavailableError, match="belongs to somebody else"):
        programs()


def test_docker_is_used_only_where_its_engine_answers_and_publishes_on_loopback_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    fake = tmp_path / "docker"
    fake.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\ntest "$1" != info\n')
    fake.chmod(0o755)
    assert not engine_answers()
    fake.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\necho made-by-$1\n')
    assert engine_answers()
    container = KafkaContainer()
    container.start()
    container.kill()
    container.remove()
    calls = (tmp_path / "calls").read_text().splitlines()
    [created] = [line for line in calls if line.startswith("create")]
    assert f"--publish 127.0.0.1:{container.port}:9092" in created
    assert f"PLAINTEXT://{container.address}" in created
    assert created.endswith(IMAGES[0])
    assert calls[-3:] == ["start made-by-create", "kill made-by-create", "rm --force --volumes made-by-create"]
