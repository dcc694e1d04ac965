"""The systemd units: understood by systemd, hardened, running commands that exist."""

import os
import re
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

from tests.deploy.files import COMPOSE, SETTINGS, is_setting, said, secrets_of_settings, tool, understood

FOLDER = COMPOSE / "systemd"
UNITS = sorted(file.name for file in FOLDER.glob("*.service"))
DAEMONS = [name for name in UNITS if not re.search(r"setup|dashboards|retire", name)]
INSTALLED = "/opt/opinionwatch/bin/opinionwatch"
MOST_EXPOSED = 20
"""Tenths of systemd's exposure level (0 to 10) that a unit may have at most."""
WORDS = (
    "The units are checked by systemd-analyze, and there is none: install systemd (Debian: `apt-get install systemd`)"
)


def analyser() -> str:
    """systemd-analyze, installed if it has to be and may be."""
    found = shutil.which("systemd-analyze")
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for arguments in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "systemd"]):
            subprocess.run(["apt-get", *arguments], env=quiet, capture_output=True, timeout=600, check=False)
        found = shutil.which("systemd-analyze")
    assert found is not None, WORDS
    return found


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units as they would be installed, on this machine's program, with one instance of each template."""
    folder = tmp_path_factory.mktemp("units")
    shutil.copytree(FOLDER, folder, dirs_exist_ok=True)
    for unit in folder.glob("*.service"):
        text = unit.read_text(encoding="utf-8").replace(INSTALLED, tool("opinionwatch"))
        unit.write_text(text, encoding="utf-8")
        if "@" in unit.name:
            (folder / unit.name.replace("@", "@1")).write_text(text, encoding="utf-8")
    return folder


def analysed(folder: Path, *arguments: str) -> str:
    """What systemd-analyze says about units of that folder."""
    return said(analyser(), *arguments, env={**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:", "SYSTEMD_COLORS": "0"})


def instances(folder: Path) -> list[str]:
    """Units that can be started."""
    return sorted(unit.name for unit in folder.glob("opinionwatch*.service") if not unit.name.endswith("@.service"))


def test_systemd_understands_every_unit(installed: Path) -> None:
    assert analysed(installed, "verify", "--man=no", "opinionwatch.target", *instances(installed)) == ""


def test_a_mistake_in_a_unit_would_be_seen(installed: Path, tmp_path: Path) -> None:
    shutil.copytree(installed, tmp_path, dirs_exist_ok=True)
    hardening = tmp_path / "opinionwatch-.service.d" / "10-hardening.conf"
    hardening.write_text(hardening.read_text(encoding="utf-8") + "ProtectSytem=strict\n", encoding="utf-8")
    said_so = analysed(tmp_path, "verify", "--man=no", "opinionwatch-web.service")
    assert "Unknown key" in said_so
    assert "ProtectSytem" in said_so


def test_every_unit_is_shut_in_by_systemds_own_measure(installed: Path) -> None:
    for unit in instances(installed):
        analysed(installed, "security", "--offline=yes", f"--threshold={MOST_EXPOSED}", "--no-pager", unit)


def test_the_gpu_opens_devices_and_nothing_else(installed: Path, tmp_path: Path) -> None:
    shutil.copytree(installed, tmp_path, dirs_exist_ok=True)
    shutil.copytree(FOLDER / "gpu", tmp_path, dirs_exist_ok=True)
    assert analysed(tmp_path, "verify", "--man=no", "opinionwatch-score@1.service") == ""
    lines = (FOLDER / "gpu" / "opinionwatch-score@.service.d" / "20-gpu.conf").read_text(encoding="utf-8").splitlines()
    keys = {line.split("=")[0] for line in lines if "=" in line and not line.startswith("#")}
    assert keys == {"PrivateDevices", "DevicePolicy", "DeviceAllow"}


def parsed(name: str) -> dict[str, list[str]]:
    """Key → values of a unit's [Service]."""
    config = ConfigParser(strict=False, interpolation=None, allow_no_value=True)
    assert config.read(FOLDER / name)
    found: dict[str, list[str]] = {}
    service = (FOLDER / name).read_text(encoding="utf-8").partition("[Service]\n")[2].partition("\n[")[0]
    for line in service.splitlines():
        key, _, value = line.partition("=")
        if value:
            found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_runs_a_command_that_exists_with_settings_that_exist(name: str) -> None:
    service = parsed(name)
    for command in service["ExecStart"]:
        program, *words = command.split()
        assert program == INSTALLED
        assert understood(words) == []
        assert words[-2:] == ["--config", "/etc/opinionwatch/opinionwatch.yaml"]
    for entry in service.get("Environment", []):
        for variable in re.findall(r"(OPINIONWATCH\w*)=", entry):
            assert is_setting(variable), variable


def test_a_unit_has_the_secrets_it_names_and_ingest_those_of_the_settings() -> None:
    credentials = {name: {entry.split(":")[0] for entry in parsed(name).get("LoadCredential", [])} for name in UNITS}
    for name in UNITS:
        text = (FOLDER / name).read_text(encoding="utf-8")
        assert set(re.findall(r"_FILE=(\S+)", text)) <= credentials[name]
    for name in ("opinionwatch-ingest.service", "opinionwatch-embedded.service"):
        assert secrets_of_settings() <= credentials[name], SETTINGS
    for given in credentials.values():
        assert not {"token", "password", "secret"} & given, "a credential is named as its file in the settings"


def test_no_unit_loosens_what_all_of_them_share() -> None:
    shared = (FOLDER / "opinionwatch-.service.d" / "10-hardening.conf").read_text(encoding="utf-8")
    fixed = set(re.findall(r"^(\w+)=", shared.partition("[Service]")[2], flags=re.MULTILINE)) - {"Environment"}
    assert {"NoNewPrivileges", "ProtectSystem", "CapabilityBoundingSet", "SystemCallFilter", "DynamicUser"} <= fixed
    for name in UNITS:
        assert not fixed & set(parsed(name)), name


def test_a_daemon_is_restarted_unless_its_settings_cannot_work() -> None:
    shared = (FOLDER / "opinionwatch-.service.d" / "10-hardening.conf").read_text(encoding="utf-8")
    assert "Restart=on-failure\n" in shared
    assert "RestartPreventExitStatus=2\n" in shared
    assert int(re.findall(r"TimeoutStopSec=(\d+)", shared)[0]) > 30
    assert all(parsed(name)["Type"] == ["exec"] for name in DAEMONS)


def test_retention_is_kept_every_day_by_whoever_starts_the_target() -> None:
    timer = (FOLDER / "opinionwatch-retire.timer").read_text(encoding="utf-8")
    assert "OnCalendar=daily\n" in timer
    assert "opinionwatch-retire.timer" in (FOLDER / "opinionwatch.target").read_text(encoding="utf-8")
    [command] = parsed("opinionwatch-retire.service")["ExecStart"]
    assert command.split()[1:3] == ["index", "retire"]


def test_the_set_up_waits_for_services_that_are_up_later_and_is_given_the_time() -> None:
    setup = parsed("opinionwatch-setup.service")
    waits = [int(each) for command in setup["ExecStart"] for each in re.findall(r"--wait (\d+)", command)]
    assert len(waits) == len(setup["ExecStart"])
    assert setup["TimeoutStartSec"] == ["6min"]
    assert sum(waits) < 360


def test_several_workers_of_one_machine_do_not_want_the_same_port() -> None:
    ports = [re.search(r"--monitor-port (\S+)", parsed(name)["ExecStart"][0]) for name in UNITS if "@" in name]
    assert len({port[1] for port in ports if port}) == 2
    assert all(port and "%i" in port[1] for port in ports)
