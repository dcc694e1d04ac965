"""Commands that look before anything runs: config, doctor."""

from typing import Annotated

import typer
import yaml

from opinionwatch.pipeline import digests, tuning, wiring, wiring_shown
from opinionwatch.pipeline.console import ConfigOption, out, plain, settings
from opinionwatch.pipeline.doctor import examine
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.live_scorer import in_force
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.tuning import LONGEST_S

PRECISIONS = ("fp32", "bf16", "fp16", "int8")
"""The most exact first."""
config_app = typer.Typer(help="The settings: check them, show them, see what there is.", no_args_is_help=True)


@config_app.command("check")
def check(config: ConfigOption = None) -> None:
    """Read the settings and build everything they name, without starting it.

    Exits 2 with the field and the cure when something cannot work.   Example: opinionwatch config check -c my.yaml
    """
    chosen = settings(config)
    channels = wiring.channels(chosen)
    counts = (len(wiring.sources(chosen)), len(wiring.watchlists(chosen)), len(channels))
    wiring.trend_settings(chosen)
    digests.chosen(chosen, channels)
    version = wiring.scorer(chosen).version
    out.print("ok: {} sources, {} watchlists, {} channels, scorer {}".format(*counts, version), markup=False)


@config_app.command("show")
def show(config: ConfigOption = None) -> None:
    """Print the settings in force, with defaults filled in and secrets hidden.   Example: opinionwatch config show"""
    text = yaml.safe_dump(wiring_shown.shown(settings(config)), allow_unicode=True, sort_keys=False)
    out.print(plain(text, keep_lines=True), markup=False, end="")


@config_app.command("schema")
def schema() -> None:
    """Print the JSON Schema of the settings file, with every source, channel and scorer there is.

    Example: opinionwatch config schema > opinionwatch.schema.json
    """
    out.print_json(data=wiring_shown.schema())


def doctor(
    config: ConfigOption = None,
    tune: Annotated[
        bool, typer.Option("--tune", help="Measure how the neural scorer is fastest here; writes nothing.")
    ] = False,
    within: Annotated[
        float, typer.Option("--within", min=1, max=600, help="Seconds that --tune may take.")
    ] = LONGEST_S,
) -> None:
    """Look at everything opinionwatch needs here: Python, scorer, store, port, sources, channels. Exits 1 on a problem.

    Example: opinionwatch doctor
    """
    if tune:
        _tune(settings(config), within)
        return
    problems = 0
    for finding in examine(settings(config)):
        mark = "[green]ok  [/]" if finding.ok else "[bold red]BAD [/]"
        out.print(mark, end=" ")
        out.print(plain(f"{finding.what}: {finding.detail}"), markup=False)
        problems += not finding.ok
    if problems:
        raise typer.Exit(1)


def _tune(chosen: Settings, within: float) -> None:
    if chosen.scorer.kind != "neural":
        raise SettingsError(f"doctor --tune measures the neural scorer; the settings say '{chosen.scorer.kind}'")
    given = {key: str(value) for key, value in in_force(chosen).scorer.options.items() if key in ("artefact", "device")}
    out.print(f"Measuring for {within:.0f} s at most; the first figure takes longest.", markup=False)
    out.print(tuning.HEADING, markup=False)
    with out.status("loading the model") as status:
        advice = tuning.tune(
            given,
            PRECISIONS,
            lambda way: out.print(plain(way.row), markup=False),
            longest_s=within,
            about=status.update,
        )
    out.print(plain(advice.words, keep_lines=True), markup=False)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(config_app, name="config")
    app.command()(doctor)
