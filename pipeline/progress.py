"""Long work shows progress: what has been read, scored and decided, on standard error."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.console import err, out
from opinionwatch.pipeline.errors import OpinionwatchError
from opinionwatch.pipeline.settings import Settings


@contextmanager
def watching(settings: Settings) -> Iterator[None]:
    """Show how many documents are accepted and how far the pipeline's own time has come, while the block runs."""
    if not err.is_terminal:
        yield
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    stop = Event()
    # What goes to a file stays out of the terminal's way.
    with Progress(*columns, console=err, transient=True, redirect_stdout=out.is_terminal) as progress:
        task = progress.add_task("loading the scorer")

        def look() -> None:
            while not stop.wait(0.5):
                try:
                    archive = SqliteArchive(settings.store_path)
                    accepted = sum(row.accepted for row in archive.ledger())
                    now = archive.now()
                except OpinionwatchError:
                    continue
                when = f", {now:%Y-%m-%d %H:%M}" if now else ""
                progress.update(task, description=f"{accepted:,} documents{when}")

        watcher = Thread(target=look, name="progress", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            stop.set()
            watcher.join(2)
