"""The page and its API alone, beside daemons that fill the store."""

from threading import Event

import typer

from opinionwatch.pipeline import web as page
from opinionwatch.pipeline import wiring
from opinionwatch.pipeline.archives import archive_of
from opinionwatch.pipeline.cli_run import stopping
from opinionwatch.pipeline.console import ConfigOption, out, settings
from opinionwatch.pipeline.settings import Settings


def web(config: ConfigOption = None) -> None:
    """Serve the page and its API on the store of the settings (`store: elasticsearch` for the daemons' index).

    Example: opinionwatch web -c opinionwatch.yaml
    """
    with stopping() as stop:
        _serve(settings(config), stop)


def _serve(chosen: Settings, stop: Event) -> None:
    app = page.build(
        archive_of(chosen),
        watchlists=[(watchlist.id, watchlist.name) for watchlist in wiring.watchlists(chosen)],
        settings=chosen.web,
        lang=chosen.language,
    )

    def ready(url: str) -> None:
        out.print(f"[bold]opinionwatch[/] is at {chosen.web.public_url or url}  (Ctrl-C stops it)")

    with page.serve(app, chosen.web, ready):
        stop.wait()


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(web)
