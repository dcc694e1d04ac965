"""The daemons of the Kafka runtime: ingest, worker score, worker trend, notify, web; and the scoring service."""

from typing import Annotated

import typer

from opinionwatch.pipeline.console import ConfigOption, out, settings
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.settings import Settings

worker = typer.Typer(help="Workers of the Kafka runtime: any number of each, on any machine.", no_args_is_help=True)
PortOption = Annotated[
    int | None,
    typer.Option(
        "--monitor-port", min=0, max=65535, help="Port of /healthz, /readyz and /metrics, instead of `monitor.port`."
    ),
]


def ingest(
    once: Annotated[bool, typer.Option("--once", help="End when every source is exhausted: for replays.")] = False,
    monitor_port: PortOption = None,
    config: ConfigOption = None,
) -> None:
    """Read the sources into Kafka, until SIGTERM. Run one; several need different names (`kafka.ingest`) and sources.

    Example: opinionwatch ingest -c opinionwatch.yaml
    """
    from opinionwatch.pipeline.daemon_ingest import Ingest, hooks  # what speaks to Kafka takes a while to load
    from opinionwatch.pipeline.daemon_life import living

    chosen = settings(config)
    if not chosen.sources:
        raise SettingsError(
            "no sources in the settings: name at least one under `sources:` (`opinionwatch config schema`)"
        )
    with living("ingest", chosen.monitor, monitor_port) as life:
        daemon = Ingest(chosen, life)
        with hooks(chosen, daemon):
            daemon.run(until_exhausted=once)


@worker.command("score")
def score(monitor_port: PortOption = None, config: ConfigOption = None) -> None:
    """Score documents from Kafka into the index, until SIGTERM. At most `kafka.documents_partitions` share the work.

    Example: opinionwatch worker score -c opinionwatch.yaml
    """
    from opinionwatch.pipeline import daemon_worker  # what speaks to Kafka takes a while to load
    from opinionwatch.pipeline.daemon_life import living

    chosen = _watching(settings(config))
    with living("score", chosen.monitor, monitor_port) as life:
        daemon_worker.score(chosen, life)


@worker.command("trend")
def trend(monitor_port: PortOption = None, config: ConfigOption = None) -> None:
    """Keep windows and episodes, and raise alerts, until SIGTERM. At most `kafka.mentions_partitions` share the work.

    Example: opinionwatch worker trend -c opinionwatch.yaml
    """
    from opinionwatch.pipeline import daemon_worker  # what speaks to Kafka takes a while to load
    from opinionwatch.pipeline.daemon_life import living

    chosen = _watching(settings(config))
    with living("trend", chosen.monitor, monitor_port) as life:
        daemon_worker.trend(chosen, life)


def web(monitor_port: PortOption = None, config: ConfigOption = None) -> None:
    """Serve the page and its API on what the workers have found, until SIGTERM.

    Example: opinionwatch web -c opinionwatch.yaml
    """
    from opinionwatch.pipeline.daemon_life import living
    from opinionwatch.pipeline.daemon_web import page

    chosen = settings(config)
    with living("web", chosen.monitor, monitor_port) as life:
        page(chosen, life, lambda url: out.print(f"[bold]opinionwatch[/] is at {url}  (Ctrl-C stops it)"))


def serve(monitor_port: PortOption = None, config: ConfigOption = None) -> None:
    """Serve the scorer: POST /api/score with {"texts": [...]}, until SIGTERM. No store is needed.

    Example: opinionwatch serve -c opinionwatch.yaml
    """
    from opinionwatch.pipeline import daemon_serve
    from opinionwatch.pipeline.daemon_life import living

    chosen = settings(config)
    with living("serve", chosen.monitor, monitor_port) as life:
        daemon_serve.serve(
            chosen, life, lambda url: out.print(f"[bold]opinionwatch[/] scores at {url}/api/score  (Ctrl-C stops it)")
        )


def _watching(chosen: Settings) -> Settings:
    if not chosen.watchlists:
        raise SettingsError("nothing to watch: name at least one watchlist under `watchlists:` in the settings file")
    return chosen


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(ingest)
    app.add_typer(worker, name="worker")
    app.command()(web)
    app.command()(serve)
