"""The one settings file works in all four places it is for."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from opinionwatch.pipeline import wiring
from opinionwatch.pipeline.settings import load
from tests.deploy.files import COMPOSE, SETTINGS, is_setting, ours, secrets_of_settings, tool


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder a daemon starts in: the secrets, as secrets.sh makes them, and nothing else."""
    for name in secrets_of_settings() | {"web.token", "elasticsearch.password", "kibana.password"}:
        (tmp_path / name).write_text("0123456789abcdef" * 3, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def env_file(file: Path) -> dict[str, str]:
    """The variables of an environment file; commented examples count, they are there to be used."""
    lines = [line.removeprefix("# ") for line in file.read_text(encoding="utf-8").splitlines()]
    return dict(line.split("=", 1) for line in lines if line.startswith("OPINIONWATCH__"))


def compose_environment() -> dict[str, str]:
    """What compose gives every daemon of ours, with its variables at their defaults."""
    shared = yaml.safe_load((COMPOSE / "compose.yaml").read_text(encoding="utf-8"))["x-opinionwatch"]["environment"]
    return {name: value.replace("${KIBANA_PORT:-5601}", "5601").replace("${WEB_PORT:-8765}", "8765")
            for name, value in ours(shared).items()}  # fmt: skip


ENVIRONMENTS = {
    "embedded": dict[str, str](),
    "systemd": env_file(COMPOSE / "systemd" / "environment"),
    "kubernetes": env_file(COMPOSE / "kubernetes" / "base" / "environment.env"),
    "kubernetes dev": env_file(COMPOSE / "kubernetes" / "overlays" / "dev" / "environment.env"),
}


@pytest.mark.parametrize("place", [*ENVIRONMENTS, "compose"])
def test_the_file_is_right_with_the_environment_of_each_place(
    place: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = compose_environment() if place == "compose" else ENVIRONMENTS[place]
    assert place == "embedded" or environment
    for name, value in environment.items():
        assert is_setting(name), name
        monkeypatch.setenv(name, value)
    chosen = load(SETTINGS, {"scorer": {"kind": "lexicon"}, "data_dir": folder / "data"})
    assert chosen.store == ("sqlite" if place == "embedded" else "elasticsearch")
    assert [source.name for source in wiring.sources(chosen)] == ["inbox"]
    assert set(wiring.channels(chosen)) == {"mail"}
    assert len(wiring.watchlists(chosen)) == 3
    wiring.trend_settings(chosen)
    wiring.hops(chosen, wiring.scorer(chosen), wiring.channels(chosen))


def test_the_program_itself_finds_nothing_wrong_with_it(folder: Path) -> None:
    environment = {**os.environ, "OPINIONWATCH__SCORER__KIND": "lexicon", "OPINIONWATCH__DATA_DIR": str(folder / "d")}
    checked = subprocess.run(
        [tool("opinionwatch"), "config", "check", "-c", str(SETTINGS)],
        env=environment, capture_output=True, text=True, timeout=120, check=False, cwd=folder,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout.startswith("ok: 1 sources, 3 watchlists, 1 channels")


def test_it_holds_no_secret_and_no_address_that_is_not_local() -> None:
    text = SETTINGS.read_text(encoding="utf-8")
    assert "password:" not in text
    assert "secrets:" not in text
    assert "http" not in "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
