"""The image: what it is built from, what is locked, and the probe that asks inside it."""

import re
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.deploy.files import COMPOSE, ROOT, said, tool

DOCKERFILE = (COMPOSE / "Dockerfile").read_text(encoding="utf-8")
STAGES = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)
CUDA = re.compile(r"torch|triton|nvidia-.*|cuda-.*")


def pins(text: str) -> dict[str, str]:
    """Name → version of a lock file."""
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ;\\]+)", text, flags=re.MULTILINE))


LOCK = (COMPOSE / "image.lock").read_text(encoding="utf-8")


def test_the_linter_of_dockerfiles_finds_nothing() -> None:
    assert said(tool("hadolint"), COMPOSE / "Dockerfile") == ""


def test_it_runs_as_nobody_special_from_a_stage_without_build_tools() -> None:
    last = STAGES[-1]
    assert re.search(r"^USER 10001:10001$", last, flags=re.MULTILINE)
    assert last.index("USER") < last.index("ENTRYPOINT")
    assert 'ENTRYPOINT ["opinionwatch"]' in last
    assert "uv" not in re.sub(r"#.*", "", last)
    assert not re.search(r"ARG .*(TOKEN|PASSWORD|SECRET|KEY)\b", DOCKERFILE)


def test_everything_it_installs_is_locked_with_hashes_and_as_tests_ran_with_it() -> None:
    everything = pins((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    image = pins(LOCK)
    assert image
    assert image.items() <= everything.items()
    assert "pytest" not in image
    for block in re.split(r"^(?=[a-z0-9])", LOCK, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in block
    installs = re.findall(r"pip install [^&;]+", DOCKERFILE)
    assert installs
    by_hash = [each for each in installs if "--require-hashes" in each]
    assert [
        each
        for each in installs
        if each not in by_hash and "torch.lock" not in each and not each.rstrip(" \\\n").endswith(".")
    ] == []


def device_lock(tmp_path: Path, device: str, sha256: str = "") -> tuple[str, str]:
    """The lock of a device, and PyTorch's line beside it."""
    torch = tmp_path / "torch.lock"
    return said("sh", COMPOSE / "device-lock.sh", device, sha256, COMPOSE / "image.lock", torch), torch.read_text()


def test_a_cuda_image_is_the_lock_and_nothing_else(tmp_path: Path) -> None:
    assert device_lock(tmp_path, "cuda") == (LOCK, "")


def test_a_cpu_image_leaves_out_pytorch_and_cuda_and_takes_the_same_version_from_elsewhere(tmp_path: Path) -> None:
    lock, torch = device_lock(tmp_path, "cpu")
    image = pins(LOCK)
    assert pins(lock) == {name: version for name, version in image.items() if not CUDA.fullmatch(name)}
    assert lock.count("--hash=") == sum(
        block.count("--hash=")
        for block in re.split(r"^(?=[a-z0-9])", LOCK, flags=re.MULTILINE)[1:]
        if not CUDA.fullmatch(block.partition("==")[0])
    )
    assert torch == f"torch=={image['torch']}\n"
    assert device_lock(tmp_path, "cpu", "ab" * 32)[1] == f"torch=={image['torch']} --hash=sha256:{'ab' * 32}\n"


def test_a_device_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="DEVICE is cpu or cuda, not 'tpu'"):
        device_lock(tmp_path, "tpu")


def test_everything_it_copies_is_sent_to_the_builder_and_no_secret_is() -> None:
    allowed = {
        line.removeprefix("!")
        for line in (COMPOSE / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    copied: set[str] = set()
    for line in re.findall(r"^COPY (.+)$", DOCKERFILE, flags=re.MULTILINE):
        if "--from=" not in line:
            copied |= {word for word in line.split()[:-1] if not word.startswith("--")}
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)
    assert not {"compose", "compose/secrets", "compose/.env", ".git", "tests"} & allowed


class Health(BaseHTTPRequestHandler):
    """Healthy, and not ready."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200 if self.path == "/healthz" else 503)
        self.end_headers()
        self.wfile.write(b"said so")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's word
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Health)
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def probed(*arguments: object) -> subprocess.CompletedProcess[str]:
    """What the probe says, run as the image runs it: alone, without our packages."""
    command = [sys.executable, "-IS", str(COMPOSE / "probe.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_the_probe_tells_health_and_readiness_apart_and_a_dead_process_from_both(port: int) -> None:
    healthy, ready = probed("/healthz", port), probed("/readyz", port)
    assert (healthy.returncode, healthy.stdout) == (0, "/healthz: 200 said so\n")
    assert (ready.returncode, ready.stdout) == (1, "/readyz: 503 said so\n")
    dead = probed("/healthz", 9)
    assert dead.returncode == 1
    assert "refused" in dead.stdout
