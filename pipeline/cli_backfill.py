"""The command that brings a source's history beside its live cursor."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from opinionwatch.connectors.backfill import Progress as Come
from opinionwatch.pipeline import wiring
from opinionwatch.pipeline.console import ConfigOption, err, out, promise, settings
from opinionwatch.pipeline.errors import RetryableError, SettingsError
from opinionwatch.pipeline.ports import HistorySource, Source
from opinionwatch.pipeline.signals import stopping


def backfill(
    source: Annotated[str, typer.Argument(help="Its name in the settings.")],
    since: Annotated[datetime, typer.Option(help="How far back, UTC.", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])],
    daemons: Annotated[
        bool, typer.Option("--daemons", help="Daemons that share a SQLite store bring it, and not `opinionwatch run`.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Bring what a source published before it was first asked, beside its live cursor and in polite steps.

    It is counted where it belongs in time, and marked as history: no alert is raised for it. In a cluster
    the ingest daemon does it, else `opinionwatch run`, and where nothing is running, this command. Interrupted, it
    goes on where it was, with the next start or when it is asked for again. Asked for from another day, it
    begins anew.

    Example: opinionwatch backfill blog --since 2026-01-01
    """
    from opinionwatch.pipeline.backfill_run import runner  # what speaks to Kafka takes a while to load

    chosen = settings(config)
    built = wiring.source(chosen, source)
    if not isinstance(built, HistorySource):
        raise SettingsError(f"{source} ({built.kind}) has no history to bring: {_reason(built)}")
    begins = since.replace(tzinfo=UTC)
    if begins >= datetime.now(UTC):
        raise SettingsError("--since lies in the future: name a day that has been")
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with (
        runner(chosen, daemons=daemons) as running,
        stopping() as stop,
        Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar,
    ):
        by = running.ask(source, begins)
        if by:
            err.print(f"{by}; Ctrl-C ends only this watching")
        task = bar.add_task("backfill", total=1.0)

        def come(progress: Come | None) -> None:
            if progress is not None:
                bar.update(task, completed=progress.share or 0.0, description=f"{progress.items:,} documents")

        found = running.watch(built, stop, come)
    if found is None or not found.done:
        raise RetryableError("interrupted: a daemon that reads the source, or the same command, goes on from here")
    out.print(f"{found.items} documents of {source} since {begins:%Y-%m-%d}, marked as history")


def _reason(source: Source) -> str:
    """Why there is none, as the connector's docstring says."""
    told = promise(type(source), "History")
    return told.removeprefix("none to bring. ") or "its connector cannot look back"


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(backfill)
