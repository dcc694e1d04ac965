"""The page beside an engine."""

from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue

from opinionwatch.pipeline import web, wiring
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.store_schema import connect


@contextmanager
def served(settings: Settings) -> Iterator[str]:
    """Serve the page while the block runs; yields its address. Raises SettingsError if strangers could reach it."""
    web.check_exposure(settings.web)
    connect(settings.store_path).close()
    lists = [(watchlist.id, watchlist.name) for watchlist in wiring.watchlists(settings)]
    app = web.build(SqliteArchive(settings.store_path), watchlists=lists, settings=settings.web, lang=settings.language)
    address: Queue[str] = Queue()
    server = web.serve(app, settings.web, address.put)
    try:
        yield address.get(timeout=30)
    finally:
        server.stop()
