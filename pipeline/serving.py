"""The page beside an engine."""

from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue

from opinionwatch.pipeline import web, wiring
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.corrections import Corrections
from opinionwatch.pipeline.engine import Engine
from opinionwatch.pipeline.ports import Channel
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.store_schema import connect
from opinionwatch.pipeline.web_access import check_exposure
from opinionwatch.pipeline.wiring_why import explainer


@contextmanager
def served(settings: Settings, channels: dict[str, Channel], *, dry_run: bool = False) -> Iterator[tuple[Engine, str]]:
    """Serve the page while the block runs; yields the engine to run and the page's address.

    Push sources have their routes on the page. Raises SettingsError when strangers could reach it without a token.
    """
    check_exposure(settings.web)
    connect(settings.store_path).close()
    engine = Engine(settings, settings.web.public_url or "", channels, dry_run=dry_run)
    app = web.build(
        SqliteArchive(settings.store_path),
        watchlists=[(watchlist.id, watchlist.name) for watchlist in wiring.watchlists(settings)],
        settings=settings.web,
        lang=settings.language,
        extra_routes=wiring.routes(engine.sources, engine.intake),
        status=engine.health,
        budget=wiring.trend_settings(settings).detector.false_alarms_per_week,
        answers=wiring.answers(settings),
        explain=explainer(settings),
        corrections=Corrections(settings.data_dir),
    )
    address: Queue[str] = Queue()
    with web.serve(app, settings.web, address.put):
        url = address.get(timeout=30)
        engine.public_url = settings.web.public_url or url
        yield engine, url
