"""What the commands say on the terminal: results to standard output, remarks to standard error."""

import logging
import sys
import unicodedata
from pathlib import Path
from typing import Annotated

import structlog
import typer
from rich.console import Console

from opinionwatch.pipeline.settings import Settings, load

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, highlight=False, soft_wrap=True)

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The YAML settings file. Without it: defaults and OPINIONWATCH__ variables."),
]


def settings(path: Path | None) -> Settings:
    """The settings, from the file that is named, else from `opinionwatch.yaml` here if there is one."""
    default = Path("opinionwatch.yaml")
    return load(path if path is not None else default if default.exists() else None)


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
