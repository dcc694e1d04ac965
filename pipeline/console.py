"""What the commands say on the terminal: results to standard output, remarks to standard error."""

import inspect
import logging
import re
import sys
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Annotated, TypeVar

import structlog
import typer
from rich.console import Console

from opinionwatch.pipeline.errors import RetryableError, SettingsError
from opinionwatch.pipeline.settings import Component, Settings, load

Given = TypeVar("Given")
out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, highlight=False, soft_wrap=True)

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The YAML settings file. Without it: defaults and OPINIONWATCH__ variables."),
]
WaitOption = Annotated[
    float, typer.Option("--wait", min=0, help="Seconds to wait for a server that is still starting. 0: try once.")
]
FieldOption = Annotated[
    list[str] | None,
    typer.Option("--field", help="ours=theirs, e.g. published_at=created_at native_id=id; dotted paths reach inside."),
]


def settings(path: Path | None) -> Settings:
    """The settings, from the file that is named, else from `opinionwatch.yaml` here if there is one."""
    default = Path("opinionwatch.yaml")
    return load(path if path is not None else default if default.exists() else None)


def all_there(files: Sequence[Path]) -> None:
    """Raises SettingsError that names the files that are not."""
    if missing := [str(file) for file in files if not file.is_file()]:
        raise SettingsError(f"no such file: {', '.join(missing)}")


def recorded(name: str, file: str, fields: list[str] | None, **more: object) -> Component:
    """A file of recorded posts as a source: JSON lines or CSV by its name, with the renames of `FieldOption`."""
    renames: dict[str, str] = {}
    for entry in fields or []:
        ours, equals, theirs = entry.partition("=")
        if not equals or not ours or not theirs:
            raise SettingsError(f"--field {entry}: write ours=theirs, for example published_at=created_at")
        renames[ours] = theirs
    kind = "csv" if file.removesuffix(".gz").endswith(".csv") else "jsonl"
    source = {"name": name, "kind": kind, "path": file, **more}
    return Component.model_validate(source | ({"fields": renames} if renames else {}))


def patient(work: Callable[[], Given], wait_s: float) -> Given:
    """What `work` gives, tried again for up to `wait_s` seconds while the world is not ready; each failure is said.

    Raises what `work` raises, RetryableError when the time is over.
    """
    end = monotonic() + wait_s
    while True:
        try:
            return work()
        except RetryableError as error:
            pause_s = error.after_s or 1.0
            if monotonic() + pause_s > end:
                raise
            complain(f"{error}; trying again")
            Event().wait(pause_s)


def complain(message: str) -> None:
    """Say what went wrong, and nothing a stranger wrote can colour it."""
    err.print("[bold red]opinionwatch:[/]", end=" ")
    err.print(plain(message, keep_lines=True), markup=False)


def plain(text: str, *, keep_lines: bool = False) -> str:
    """Text of strangers, safe for a terminal: control and bidi characters made visible.

    >>> plain("a\\x1b[31mb\\u202e")
    'a\\\\x1b[31mb\\\\u202e'
    """
    return "".join(
        character
        if (keep_lines and character == "\n") or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else character.encode("unicode_escape").decode()
        for character in text
    )


def promise(found: type, what: str) -> str:
    """The paragraph of a docstring that begins with `what`, as one line."""
    text = inspect.getdoc(found) or ""
    paragraph = re.search(rf"^{what}: (.+?)(?:\n\s*\n|\Z)", text, re.MULTILINE | re.DOTALL)
    return plain(" ".join(paragraph[1].split())) if paragraph else ""


def quiet_logs() -> None:
    """Warnings of our own as one line each on standard error; libraries only when something is wrong."""
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
    for client in ("kafka", "aiokafka"):  # many lines a second while a broker is away; what it means is said by us
        logging.getLogger(client).setLevel(logging.CRITICAL)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
