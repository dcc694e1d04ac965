"""Commands that run the plan: demo, run, replay."""

import os
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Annotated

import typer

from opinionwatch.pipeline import demo_run
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.console import ConfigOption, FieldOption, err, out, recorded, settings
from opinionwatch.pipeline.daemon_life import STARTS, watched
from opinionwatch.pipeline.engine import Engine
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.progress import watching
from opinionwatch.pipeline.serving import served
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.signals import stopping


def demo(
    once: Annotated[bool, typer.Option("--once", help="No page: run to the end, judge the result, exit.")] = False,
    data_dir: Annotated[Path, typer.Option(help="Folder for the demo's store; emptied at the start.")] = Path(
        "opinionwatch-data/demo"
    ),
    scorer: Annotated[str, typer.Option(help="neural (the shipped model) or lexicon (no torch).")] = "neural",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the page; 0 picks a free one.")] = 8765,
    lang: Annotated[str, typer.Option(help="en or zh: language of alerts and page.")] = "en",
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
) -> None:
    """Watch three fictional brands through a crisis: a normal week and one bad day, in English and Chinese.

    With --once, exits 0 only if exactly the crisis was found.   Example: opinionwatch demo
    """
    chosen = demo_run.prepared(data_dir, scorer=scorer, port=port, language=lang)
    with stopping() as stop:
        if once:
            _to_the_end(chosen, stop)
            raise typer.Exit(0 if demo_run.judged(SqliteArchive(chosen.store_path)) else 1)
        err.print(
            f"The demo replays eight days in about a minute. Its store stays in {data_dir}: "
            f"try `opinionwatch audit -c {data_dir / 'opinionwatch.yaml'}` afterwards."
        )
        _with_page(chosen, stop, webbrowser.open if browser and _has_screen() else None)


def _has_screen() -> bool:
    """Whether a graphical browser can open; a text browser would take the terminal from us."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def run(
    dry_run: Annotated[
        bool, typer.Option(help="Write to the terminal what would be sent; it is not sent later.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Run as a daemon on the settings file, page included, until SIGTERM. One that stands still for six minutes ends
    with code 75, for its supervisor (`monitor.patience_s` times three).

    Example: opinionwatch run -c opinionwatch.yaml
    """
    chosen = settings(config)
    if not chosen.sources:
        raise SettingsError(
            "no sources in the settings: name at least one under `sources:` (`opinionwatch config schema`)"
        )
    patience_s = STARTS * chosen.monitor.patience_s  # a batch may hold an erasure of years
    with watched(patience_s, patience_s) as (dog, stop):
        _with_page(chosen, stop, None, dry_run=dry_run, alive=lambda: dog.alive(waiting=True))


def replay(
    file: Annotated[str, typer.Argument(help="JSON lines or .csv, plain or .gz; - reads standard input.")],
    config: ConfigOption = None,
    field: FieldOption = None,
    speed: Annotated[float, typer.Option(min=0, help="1 as it was, 60 an hour a minute, 0 as fast as possible.")] = 0,
    data_dir: Annotated[Path, typer.Option(help="Folder for the replay's store; emptied at the start.")] = Path(
        "opinionwatch-data/replay"
    ),
) -> None:
    """Play a recorded stream through the whole plan by its own clock, and print the alerts it would have raised.

    Channels of the settings are not used; nobody is told but the terminal.

    Example: opinionwatch replay posts.jsonl.gz -c brands.yaml --field native_id=id --field published_at=created_at
    """
    given = settings(config)
    if not given.watchlists:
        raise SettingsError("nothing to watch: name at least one watchlist under `watchlists:` in the settings file")
    source = recorded("replay", file, field, replay={"speed": speed})
    demo_run.emptied(data_dir)
    chosen = given.model_copy(update={"data_dir": data_dir, "channels": (), "notify": {}, "sources": (source,)})
    with stopping() as stop:
        _to_the_end(chosen, stop)
    demo_run.summary(SqliteArchive(chosen.store_path))


def _to_the_end(chosen: Settings, stop: Event) -> None:
    address = chosen.web.public_url or f"http://{chosen.web.host}:{chosen.web.port}"
    engine = Engine(chosen, address, demo_run.terminal(chosen))
    with watching(chosen):
        engine.run(stop, until_exhausted=True)


def _with_page(
    chosen: Settings,
    stop: Event,
    opened: Callable[[str], object] | None,
    *,
    dry_run: bool = False,
    alive: Callable[[], None] = lambda: None,
) -> None:
    beside = {} if dry_run and chosen.channels else demo_run.terminal(chosen)
    with served(chosen, beside, dry_run=dry_run) as (engine, url):
        out.print(f"[bold]opinionwatch[/] is at {url}  (Ctrl-C stops it)")
        if opened is not None:
            opened(url)
        engine.run(stop, alive=alive)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(demo)
    app.command()(run)
    app.command()(replay)
