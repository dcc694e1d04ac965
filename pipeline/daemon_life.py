"""What every daemon has: signals, a watchdog, numbers, and a small page that says how it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event
from typing import Literal

from opinionwatch.pipeline.metrics import Metrics
from opinionwatch.pipeline.monitor import monitor
from opinionwatch.pipeline.settings import Monitor, Web
from opinionwatch.pipeline.signals import stopping
from opinionwatch.pipeline.watchdog import Watchdog
from opinionwatch.pipeline.web_serve import started

Role = Literal["ingest", "score", "trend", "notify", "web", "serve"]
PORTS: dict[Role, int] = {"ingest": 9461, "score": 9462, "trend": 9463, "notify": 9464, "web": 9465, "serve": 9466}
"""Where each role's numbers are, unless `monitor.port` or `--monitor-port` says otherwise."""
STARTS = 3
"""So many times the patience a start may take: weights may have to come over a network."""
STOP_S = 25.0
"""What does not end within this after SIGTERM is ended: nothing that counts is lost by it."""


def wall_clock() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)


@dataclass
class Life:
    """One life of a daemon."""

    stop: Event
    """Set when it was told to stop."""
    watchdog: Watchdog
    metrics: Metrics
    ready: Event = field(default_factory=Event)
    """Set while it does its work."""

    def waits(self) -> None:
        """It waits for the world on purpose, with work in hand: a sign of life."""
        self.watchdog.alive(waiting=True)


@contextmanager
def watched(patience_s: float, start_s: float) -> Iterator[tuple[Watchdog, Event]]:
    """A watchdog that is awake while the block runs, and the event that SIGTERM sets: it ends within 25 s. `start_s` is
    how long the first sign of life may take.
    """
    dog = Watchdog(patience_s)
    dog.start(start_s)
    try:
        with stopping(lambda: dog.stop_within(STOP_S, 0)) as stop:
            yield dog, stop
    finally:
        dog.close()


@contextmanager
def living(role: Role, settings: Monitor, port: int | None = None) -> Iterator[Life]:
    """Live: SIGTERM ends within 25 s, a wedged process is ended by its watchdog, and `/metrics` answers.

    Raises SettingsError when the address cannot be used.
    """
    chosen = port if port is not None else settings.port if settings.port is not None else PORTS[role]
    with watched(settings.patience_s, STARTS * settings.patience_s) as (dog, stop):
        life = Life(stop, dog, Metrics())
        app = monitor(life.metrics, alive=lambda: dog.verdict() is None, ready=life.ready.is_set)
        with started(app, Web(host=settings.host, port=chosen), what="monitor.port"):
            yield life
