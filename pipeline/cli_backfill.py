"""The command that brings a source's history beside its live cursor."""

from collections.abc import Callable
from datetime import UTC, datetime
from threading import Event, Thread
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from opinionwatch.connectors.backfill import Backfill, stored_as
from opinionwatch.connectors.backfill import Progress as Come
from opinionwatch.pipeline import wiring
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.console import ConfigOption, err, out, settings
from opinionwatch.pipeline.engine import Engine
from opinionwatch.pipeline.errors import FatalError, RetryableError, SettingsError
from opinionwatch.pipeline.ports import HistorySource
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.signals import stopping
from opinionwatch.pipeline.store_lock import held
from opinionwatch.pipeline.store_sqlite import SqliteStore

LOOK_S = 0.25


def backfill(
    source: Annotated[str, typer.Argument(help="Its name in the settings.")],
    since: Annotated[datetime, typer.Option(help="How far back, UTC.", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])],
    config: ConfigOption = None,
) -> None:
    """Bring what a source published before it was first asked, beside its live cursor and in polite steps.

    It is counted where it belongs in time, and marked as history: no alert is raised for it. A running daemon does it;
    without one, this command does. Interrupted, it goes on where it was when it is asked for again.

    Example: opinionwatch backfill blog --since 2026-01-01
    """
    chosen = settings(config)
    if chosen.store != "sqlite":
        raise SettingsError("backfill knows the embedded store only, so far")
    built = wiring.source(chosen, source)
    if not isinstance(built, HistorySource):
        raise SettingsError(
            f"{source} ({built.kind}) brings no history: files are read from their start anyway, and not every service "
            "gives out what is old"
        )
    begins = since.replace(tzinfo=UTC)
    if begins >= datetime.now(UTC):
        raise SettingsError("--since lies in the future: name a day that has been")
    _ask(chosen, source, begins)
    archive = SqliteArchive(chosen.store_path)

    def come() -> Come:
        return Come.read(archive.cursor(stored_as(source)) or Come(since=begins).model_dump_json())

    with stopping() as stop:
        _carried_out(chosen, Backfill(built, begins), come, stop)
    progress = come()
    if not progress.done:
        raise RetryableError("interrupted: the same command, or a running daemon, goes on from here")
    out.print(f"{progress.items} documents of {source} since {begins:%Y-%m-%d}, marked as history")


def _ask(chosen: Settings, source: str, since: datetime) -> None:
    """Store the wish, unless the same one is under way."""
    store = SqliteStore(chosen.store_path)
    try:
        before = SqliteArchive(chosen.store_path).cursor(stored_as(source))
        known = None if before is None else Come.read(before)
        if known is None or known.done or known.since != since:
            with store.transaction():
                store.save_cursor(stored_as(source), Come(since=since).model_dump_json())
    finally:
        store.close()


def _carried_out(chosen: Settings, source: Backfill, come: Callable[[], Come], stop: Event) -> None:
    """Bring it here, or watch the daemon bring it, with a progress bar on a terminal."""
    try:
        with held(chosen.data_dir):
            pass
    except FatalError:
        err.print("the running daemon brings it; Ctrl-C ends only this watching")
        _watch(come, stop, lambda: not come().done)
        return
    address = chosen.web.public_url or f"http://{chosen.web.host}:{chosen.web.port}"
    engine = Engine(chosen, address, sources=[source])
    failure: list[BaseException] = []

    def work() -> None:
        try:
            engine.run(stop, until_exhausted=True)
        except BaseException as error:  # noqa: BLE001 - raised again where people are told
            failure.append(error)

    worker = Thread(target=work, name="backfill")
    worker.start()
    _watch(come, stop, worker.is_alive)
    worker.join()
    if failure:
        raise failure[0]


def _watch(come: Callable[[], Come], stop: Event, going: Callable[[], bool]) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("backfill", total=1.0)
        while going() and not stop.wait(LOOK_S):
            progress = come()
            bar.update(task, completed=progress.share or 0.0, description=f"{progress.items:,} documents")


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(backfill)
