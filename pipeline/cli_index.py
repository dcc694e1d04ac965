"""Commands on Elasticsearch: make, check and retire what the daemons need there."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer
from rich.table import Table

from opinionwatch.pipeline.console import ConfigOption, WaitOption, err, out, patient, plain, settings

if TYPE_CHECKING:  # the client takes long to load, and most commands never need it
    from opinionwatch.pipeline.elastic_setup import Step

index = typer.Typer(help="Elasticsearch: templates, indices, retention.", no_args_is_help=True)


def _shown(steps: "Iterator[Step]") -> bool:
    """Print the steps; whether all of them are well."""
    table = Table("", "what", "", box=None)
    well = True
    for step in steps:
        well &= step.ok
        table.add_row("ok" if step.ok else "[bold red]no[/]", plain(step.what), plain(step.detail))
    out.print(table)
    return well


@index.command()
def setup(wait: WaitOption = 0, config: ConfigOption = None) -> None:
    """Make or renew templates and indices. May be repeated; documents that are there stay as they are.

    Example: opinionwatch index setup -c opinionwatch.yaml
    """
    from opinionwatch.pipeline import elastic_setup
    from opinionwatch.pipeline.elastic_client import connect

    chosen = settings(config).elasticsearch
    client = connect(chosen)
    patient(lambda: _shown(elastic_setup.set_up(client, chosen)), wait)
    out.print("Elasticsearch is ready for the daemons")


@index.command()
def check(config: ConfigOption = None) -> None:
    """Look whether Elasticsearch has everything the daemons need, and say what to do where not.

    Exits 1 when something is missing or of another version.   Example: opinionwatch index check
    """
    from opinionwatch.pipeline import elastic_setup
    from opinionwatch.pipeline.elastic_client import connect

    chosen = settings(config).elasticsearch
    if not _shown(elastic_setup.check(connect(chosen), chosen)):
        err.print("[bold red]not ready:[/] the lines marked `no` say what to do")
        raise typer.Exit(1)


@index.command()
def retire(config: ConfigOption = None) -> None:
    """Delete whole months that are older than elasticsearch.keep_months, and the ledger's entries of that time.

    Run it once a day.   Example: opinionwatch index retire
    """
    from opinionwatch.pipeline import elastic_setup
    from opinionwatch.pipeline.elastic_client import connect

    chosen = settings(config).elasticsearch
    _shown(elastic_setup.retire(connect(chosen), chosen, datetime.now(UTC)))


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(index, name="index")
