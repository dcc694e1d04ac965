"""The page beside an engine, with the same `/metrics` as the daemons have where one process can tell them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from queue import Queue
from threading import Lock

from opinionwatch.connectors.pulling import Health
from opinionwatch.pipeline import web, wiring
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.corrections import Corrections
from opinionwatch.pipeline.engine import Engine
from opinionwatch.pipeline.metrics import Metrics
from opinionwatch.pipeline.monitor import numbers
from opinionwatch.pipeline.ports import Channel
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.source_metrics import SourceMetrics
from opinionwatch.pipeline.store_metrics import told
from opinionwatch.pipeline.store_schema import connect
from opinionwatch.pipeline.web_access import check_exposure
from opinionwatch.pipeline.web_health import HealthReader
from opinionwatch.pipeline.wiring_why import explainer

SLOW_S = 600.0
"""Seconds between two looks at what takes many reads."""


class Numbers:
    """`/metrics` of the embedded runtime, counted when somebody asks; behind the page's token like all of it."""

    def __init__(self, reader: HealthReader, archive: SqliteArchive, health: Callable[[], dict[str, Health]]) -> None:
        self._reader, self._archive, self._health = reader, archive, health
        self._metrics = Metrics()
        self._sources = SourceMetrics(self._metrics)
        self._slow_at: float | None = None
        self._turn = Lock()

    def text(self) -> bytes:
        """In Prometheus' text format. May be called from many threads."""
        with self._turn:
            now = time.monotonic()
            slow = self._slow_at is None or now - self._slow_at >= SLOW_S
            if told(self._archive, self._reader, self._metrics, datetime.now(UTC), slow=slow) and slow:
                self._slow_at = now
            self._sources.tell(self._health().values(), {})
        return self._metrics.text()


@contextmanager
def served(settings: Settings, channels: dict[str, Channel], *, dry_run: bool = False) -> Iterator[tuple[Engine, str]]:
    """Serve the page while the block runs; yields the engine to run and the page's address.

    Push sources have their routes on the page. Raises SettingsError when strangers could reach it without a token.
    """
    check_exposure(settings.web)
    connect(settings.store_path).close()
    engine = Engine(settings, settings.web.public_url or "", channels, dry_run=dry_run)
    archive = SqliteArchive(settings.store_path)
    watched = [(watchlist.id, watchlist.name) for watchlist in wiring.watchlists(settings)]
    budget = wiring.trend_settings(settings).detector.false_alarms_per_week
    known = Numbers(HealthReader(archive, None, len(watched), budget), archive, engine.health)
    app = web.build(
        archive,
        watchlists=watched,
        settings=settings.web,
        lang=settings.language,
        extra_routes=(*wiring.routes(engine.sources, engine.intake), numbers(known.text)),
        status=engine.health,
        budget=budget,
        answers=wiring.answers(settings),
        explain=explainer(settings),
        corrections=Corrections(settings.data_dir),
    )
    address: Queue[str] = Queue()
    with web.serve(app, settings.web, address.put):
        url = address.get(timeout=30)
        engine.public_url = settings.web.public_url or url
        yield engine, url
