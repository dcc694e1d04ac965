"""What the tests of the deployment files share: where they lie, and what the program and its settings know."""

import re
import subprocess
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer
import yaml
from pydantic import BaseModel
from typer.core import TyperGroup

from opinionwatch.pipeline.cli import app
from opinionwatch.pipeline.settings import Settings

Json = dict[str, Any]
ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "compose"
SETTINGS = COMPOSE / "settings" / "opinionwatch.yaml"
PREFIX = "OPINIONWATCH__"


def tool(name: str) -> str:
    """A program that the development group installs beside Python."""
    return str(Path(sysconfig.get_path("scripts")) / name)


def said(*command: str | Path, env: Mapping[str, str] | None = None) -> str:
    """What a command says; the test fails with it when the command fails."""
    ended = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=120, check=False, env=env
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def of_yaml(file: Path) -> Json:
    """A YAML file of one document."""
    found: Json = yaml.safe_load(file.read_text(encoding="utf-8"))
    return found


def understood(words: list[str]) -> list[str]:
    """What is wrong with the arguments of `opinionwatch`: unknown commands and options; empty when nothing is."""
    command = typer.main.get_command(app)
    rest = list(words)
    while isinstance(command, TyperGroup) and rest and rest[0] in command.commands:
        command = command.commands[rest.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    wrong = [word for word in rest if word.startswith("-") and word not in known]
    if isinstance(command, TyperGroup) and not command.invoke_without_command:
        wrong.append(f"no such command: {' '.join(words)}")
    if rest and not rest[0].startswith("-"):
        wrong.append(f"not taken: {rest[0]}")
    return wrong


def is_setting(variable: str) -> bool:
    """Whether an environment variable names a field of the settings."""
    model: type[BaseModel] | None = Settings
    for part in variable.removeprefix(PREFIX).lower().split("__"):
        field = model.model_fields.get(part) if model is not None else None
        if field is None:
            return False
        inner = field.annotation
        model = inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None
    return variable.startswith(PREFIX)


def ours(environment: Mapping[str, object]) -> dict[str, str]:
    """Those variables that are meant for us."""
    return {name: str(value) for name, value in environment.items() if name.startswith("OPINIONWATCH")}


def secrets_of_settings() -> set[str]:
    """Names of the secret files that the settings file itself wants."""
    text = "\n".join(line for line in SETTINGS.read_text(encoding="utf-8").splitlines() if "# -" not in line)
    return set(re.findall(r"\b\w+\.(?:secret|token|password|url)\b", text))


def keys(value: object) -> Iterator[tuple[str, object]]:
    """Every key with its value, however deep."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield str(key), inner
            yield from keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner)
