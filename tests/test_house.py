"""The rules of the house that no other tool keeps: what lies where, how long it may be, what must be described."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from configparser import ConfigParser
from fnmatch import fnmatch
from importlib.metadata import packages_distributions
from pathlib import Path
from statistics import median

import pytest
import typer
from pydantic import BaseModel
from typer.core import TyperCommand, TyperGroup

from opinionwatch.alerts.registry import CHANNELS
from opinionwatch.connectors.registry import CONNECTORS
from opinionwatch.models.registry import SCORERS
from opinionwatch.pipeline import settings
from opinionwatch.pipeline.cli import app
from opinionwatch.pipeline.registry import resolve

ROOT = Path(__file__).parents[1]
FOLDERS = ("pipeline", "models", "connectors", "alerts")
TOP = {
    *FOLDERS, "tests", "compose", "pyproject.toml", "README.md", "Makefile", "CHANGELOG.md", "LICENSE",
    "CONTRIBUTING.md", "BENCHMARKS.md", "requirements.lock",
}  # fmt: skip
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LIBRARY = sorted(file for folder in FOLDERS for file in (ROOT / folder).glob("*.py"))
KINDS = [
    (what, kind, target)
    for what, registry in (("source", CONNECTORS), ("channel", CHANNELS), ("scorer", SCORERS))
    for kind, target in registry.items()
]


def tracked() -> list[str]:
    """What git keeps."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return listed.stdout.decode().rstrip("\0").split("\0")


def test_the_top_level_holds_what_was_agreed_and_nothing_else() -> None:
    top = {name.split("/")[0] for name in tracked()}
    assert {name for name in top if not name.startswith(".")} == TOP


def test_files_are_short_and_none_is_longer_than_one_can_hold_in_mind() -> None:
    lines = {f"{file.parent.name}/{file.name}": len(file.read_text(encoding="utf-8").splitlines()) for file in LIBRARY}
    assert {name: count for name, count in lines.items() if count > 300} == {}
    assert median(lines.values()) <= 120


def test_folders_are_flat_and_every_one_is_a_package() -> None:
    folders = {name.rsplit("/", 1)[0] for name in tracked() if name.endswith(".py") and name.split("/")[0] in FOLDERS}
    assert folders == set(FOLDERS)
    assert PYPROJECT["tool"]["setuptools"]["packages"] == [f"opinionwatch.{folder}" for folder in FOLDERS]
    assert PYPROJECT["tool"]["setuptools"]["package-dir"] == {f"opinionwatch.{folder}": folder for folder in FOLDERS}


def test_every_file_that_the_library_reads_is_in_the_package() -> None:
    globs = PYPROJECT["tool"]["setuptools"]["package-data"]["*"]
    data = [name for name in tracked() if name.split("/")[0] in FOLDERS and not name.endswith(".py")]
    assert data
    # setuptools' `*` stops at a slash, fnmatch's does not.
    left_out = [
        name
        for name in data
        if not any(fnmatch(name.split("/", 1)[1], glob) and name.count("/") - 1 == glob.count("/") for glob in globs)
    ]
    assert left_out == []


def test_every_module_of_the_pipeline_has_its_floor() -> None:
    config = ConfigParser()
    config.read(ROOT / ".importlinter")
    named = re.split(r"[\s|:]+", config["importlinter:contract:floors"]["layers"].strip())
    modules = {f"opinionwatch.pipeline.{file.stem}" for file in (ROOT / "pipeline").glob("*.py")}
    assert modules - set(named) == {"opinionwatch.pipeline.__init__"}


@pytest.mark.parametrize(("what", "kind", "target"), KINDS, ids=[f"{what} {kind}" for what, kind, _ in KINDS])
def test_a_registered_class_explains_itself_and_describes_its_settings(what: str, kind: str, target: str) -> None:
    found = resolve({kind: target}, kind, what)
    assert found.__doc__
    if what != "scorer":
        assert "\n    Delivery: " in found.__doc__, "it must say what it guarantees"
    if what == "source":
        assert getattr(found, "kind", None) == kind
    given = found.Settings  # type: ignore[attr-defined]  # that it is there is the point
    assert issubclass(given, BaseModel)
    assert given.model_config.get("extra") == "forbid", "unknown settings must be refused"
    assert list(undescribed(given)) == []


def undescribed(model: type[BaseModel]) -> Iterator[str]:
    """Settings that `config schema` would show without a word, sections included."""
    schema = model.model_json_schema()
    for name, section in {model.__name__: schema, **schema.get("$defs", {})}.items():
        for field, entry in section.get("properties", {}).items():
            # A section is described by its own docstring.
            if "description" not in entry and "$ref" not in entry and not entry.get("allOf"):
                yield f"{name}.{field}"


def commands(group: TyperGroup, path: tuple[str, ...] = ()) -> Iterator[tuple[str, TyperCommand]]:
    """Every command there is, by what one types."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, (*path, name))
        elif isinstance(command, TyperCommand):
            yield " ".join((*path, name)), command


ROOT_COMMAND = typer.main.get_command(app)
COMMANDS = dict(commands(ROOT_COMMAND)) if isinstance(ROOT_COMMAND, TyperGroup) else {}


@pytest.mark.parametrize("typed", COMMANDS)
def test_a_command_has_help_with_an_example_of_itself(typed: str) -> None:
    command = COMMANDS[typed]
    assert command.help
    example = command.help.partition("Example: ")[2]
    assert f"opinionwatch {typed}" in example
    bare = [
        parameter.name
        for parameter in command.params
        if not getattr(parameter, "help", None) and parameter.name not in ("help", "config")
    ]
    assert bare == [], "every option says what it is for"


def test_the_promised_commands_are_there() -> None:
    promised = (
        "demo run replay score evaluate train detect calibrate backtest export audit deadletters_list deadletters_show "
        "deadletters_redrive config_check config_show config_schema doctor notify_test silence_add silence_list "
        "silence_expire source_list source_check source_try source_schema watchlist_test watchlist_import erase "
        "backfill serve notify_digest model_promote model_rollback model_shadow "
        "label_queue label_add label_list model_drift"
    )
    assert {name.replace("_", " ") for name in promised.split()} <= set(COMMANDS)


def test_the_command_line_starts_without_what_only_the_models_or_the_daemons_need() -> None:
    heavy = ("torch", "transformers", "elasticsearch")
    program = f"import sys, opinionwatch.pipeline.cli; print([m for m in {heavy} if m in sys.modules])"
    started = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert started.stdout.strip() == "[]"


@pytest.mark.parametrize("folder", [*FOLDERS, "tests"])
def test_what_is_silenced_says_why_and_nothing_is_put_off(folder: str) -> None:
    slips = []
    for file in (ROOT / folder).rglob("*.py"):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            bare_ignore = re.search(r"# type: ignore(\[[\w, -]*\])?\s*$", line)
            put_off = re.search(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b", line)
            skipped = re.search(r"pytest\.(mark\.)?(skip|skipif|xfail)\b|importorskip", line)
            if bare_ignore or put_off or (skipped and file != Path(__file__)):
                slips.append(f"{file.relative_to(ROOT)}:{number}: {line.strip()}")
    assert slips == []


def test_nothing_is_called_by_a_name_that_says_nothing() -> None:
    empty = re.compile(r"processor|handler|manager|utils|payload", re.IGNORECASE)
    named = [
        f"{file.name}: {node.name}"
        for file in LIBRARY
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and empty.search(node.name)
    ]
    assert named + [file.name for file in LIBRARY if empty.search(file.name)] == []


def test_what_the_library_imports_is_what_it_declares() -> None:
    normal = re.compile(r"[-_.]+")
    declared = {
        normal.sub("-", re.split(r"[\s\[<>=;]", entry)[0]).lower()
        for entries in (PYPROJECT["project"]["dependencies"], *PYPROJECT["project"]["optional-dependencies"].values())
        for entry in entries
    }
    by_module = packages_distributions()
    undeclared = set()
    for file in LIBRARY:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
            for name in (
                {each.split(".")[0] for each in names} - sys.stdlib_module_names - {"opinionwatch", "_typeshed"}
            ):
                owners = {normal.sub("-", owner).lower() for owner in by_module.get(name, [name])}
                if not owners & declared:
                    undeclared.add(f"{name} ({file.relative_to(ROOT)})")
    # pydantic-settings[yaml] is what reads the settings file, and it brings PyYAML.
    assert {entry for entry in undeclared if not entry.startswith("yaml ")} == set()


def test_every_setting_of_the_file_is_described() -> None:
    assert list(undescribed(settings.Settings)) == []
