"""`opinionwatch web`: the page and its API beside the daemons, and the numbers that only the whole index can tell."""

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from opinionwatch.pipeline import web, wiring
from opinionwatch.pipeline.archives import archive_of, let_in
from opinionwatch.pipeline.corrections import Corrections
from opinionwatch.pipeline.daemon_life import Life, wall_clock
from opinionwatch.pipeline.errors import FatalError
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.store_metrics import told
from opinionwatch.pipeline.web_health import HealthReader, SourceStatus
from opinionwatch.pipeline.wiring_why import explainer

COUNT_S = 15.0
"""Seconds between two looks at the ledger."""
SLOW_ROUNDS = 40
"""Rounds of counting between two looks at what takes many reads (alarms, drift): ten minutes."""


@runtime_checkable
class ReportedArchive(Protocol):
    """An archive to which daemons report how their sources are doing."""

    def reports(self) -> Mapping[str, SourceStatus]:
        """By source."""
        ...


def page(settings: Settings, life: Life, ready: Callable[[str], None]) -> None:
    """Serve until told to stop. Raises SettingsError when strangers could reach the page without a token,
    FatalError when the index refuses us.
    """
    let_in(settings)
    archive = archive_of(settings)
    watched = [(watchlist.id, watchlist.name) for watchlist in wiring.watchlists(settings)]
    budget = wiring.trend_settings(settings).detector.false_alarms_per_week
    reader = HealthReader(archive, None, len(watched), budget)
    app = web.build(
        archive,
        watchlists=watched,
        settings=settings.web,
        lang=settings.language,
        status=archive.reports if isinstance(archive, ReportedArchive) else None,
        budget=budget,
        answers=wiring.answers(settings),
        explain=explainer(settings),
        corrections=Corrections(settings.data_dir),
    )
    with web.serve(app, settings.web, ready) as serving:
        life.ready.set()
        life.watchdog.alive(waiting=True)
        left = 0
        while True:
            if told(archive, reader, life.metrics, wall_clock(), slow=left == 0):
                left = (left or SLOW_ROUNDS) - 1
            if life.stop.wait(COUNT_S):
                return
            if not serving.alive:
                raise FatalError("the page has stopped by itself")
            if serving.answers():
                life.watchdog.alive(waiting=True)
