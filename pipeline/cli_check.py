"""Commands that look before anything runs: config, doctor, notify test."""

from typing import Annotated

import typer
import yaml

from opinionwatch.pipeline import wiring
from opinionwatch.pipeline.console import ConfigOption, err, out, plain, settings
from opinionwatch.pipeline.doctor import examine
from opinionwatch.pipeline.errors import OpinionwatchError, SettingsError
from opinionwatch.pipeline.registry import nearest

config_app = typer.Typer(help="The settings: check them, show them, see what there is.", no_args_is_help=True)
notify_app = typer.Typer(invoke_without_command=True)


@config_app.command("check")
def check(config: ConfigOption = None) -> None:
    """Read the settings and build everything they name, without starting it.

    Exits 2 with the field and the cure when something cannot work.   Example: opinionwatch config check -c my.yaml
    """
    chosen = settings(config)
    counts = (len(build(chosen)) for build in (wiring.sources, wiring.watchlists, wiring.channels))
    wiring.trend_settings(chosen)
    wiring.notify_settings(chosen)
    version = wiring.scorer(chosen).version
    out.print("ok: {} sources, {} watchlists, {} channels, scorer {}".format(*counts, version), markup=False)


@config_app.command("show")
def show(config: ConfigOption = None) -> None:
    """Print the settings in force, with defaults filled in and secrets hidden.   Example: opinionwatch config show"""
    text = yaml.safe_dump(wiring.shown(settings(config)), allow_unicode=True, sort_keys=False)
    out.print(plain(text, keep_lines=True), markup=False, end="")


@config_app.command("schema")
def schema() -> None:
    """Print the JSON Schema of the settings file, with every source, channel and scorer there is.

    Example: opinionwatch config schema > opinionwatch.schema.json
    """
    out.print_json(data=wiring.schema())


def doctor(config: ConfigOption = None) -> None:
    """Look at everything opinionwatch needs here: Python, scorer, store, port, sources, channels. Exits 1 on a problem.

    Example: opinionwatch doctor
    """
    problems = 0
    for finding in examine(settings(config)):
        mark = "[green]ok  [/]" if finding.ok else "[bold red]BAD [/]"
        out.print(mark, end=" ")
        out.print(plain(f"{finding.what}: {finding.detail}"), markup=False)
        problems += not finding.ok
    if problems:
        raise typer.Exit(1)


@notify_app.callback()
def notify(
    context: typer.Context,
    monitor_port: Annotated[
        int | None,
        typer.Option(
            "--monitor-port", min=0, max=65535, help="Port of /healthz, /readyz and /metrics, not `monitor.port`."
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Deliver the alerts of the Kafka runtime, until SIGTERM; or try a channel with `notify test`.

    Example: opinionwatch notify -c opinionwatch.yaml
    """
    if context.invoked_subcommand is not None:
        return
    from opinionwatch.pipeline.daemon_life import living  # what speaks to Kafka takes a while to load
    from opinionwatch.pipeline.daemon_notify import Notifier

    chosen = settings(config)
    channels = wiring.channels(chosen)
    if not channels:
        raise SettingsError("nobody to tell: name at least one channel under `channels:` in the settings file")
    with living("notify", chosen.monitor, monitor_port) as life:
        Notifier(chosen, channels, life).run()


@notify_app.command("test")
def notify_test(
    channel: Annotated[str, typer.Argument(help="The channel's name in the settings.")],
    dry_run: Annotated[bool, typer.Option(help="Print the message instead of sending it.")] = False,
    config: ConfigOption = None,
) -> None:
    """Send a sample alert, labelled as a test.   Example: opinionwatch notify test slack"""
    chosen = settings(config)
    channels = wiring.channels(chosen)
    if channel not in channels:
        known = nearest(channel, channels) if channels else "there is none under `channels:`"
        raise SettingsError(f"no channel '{channel}' in the settings; {known}")
    message = wiring.sample_message(chosen)
    if dry_run:
        out.print(message.model_dump_json(indent=2, exclude={"chart_png"}, ensure_ascii=True), markup=False)
        return
    try:
        channels[channel].notify(message)
    except OpinionwatchError as error:
        err.print(f"[bold red]{channel} did not take it:[/]", end=" ")
        err.print(plain(str(error)), markup=False)
        raise typer.Exit(1) from error
    out.print(f"{channel} took the test message {message.alert_id}")


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(config_app, name="config")
    app.command()(doctor)
    app.add_typer(notify_app, name="notify")
