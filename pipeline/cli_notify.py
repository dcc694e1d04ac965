"""Commands about telling people: the notify daemon, a test of a channel, a digest by hand."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from opinionwatch.alerts.digest_body import plain_digest
from opinionwatch.pipeline import digests, wiring
from opinionwatch.pipeline.archives import archive_of
from opinionwatch.pipeline.console import ConfigOption, err, out, plain, settings
from opinionwatch.pipeline.errors import OpinionwatchError, SettingsError
from opinionwatch.pipeline.ports import DigestChannel
from opinionwatch.pipeline.registry import nearest

notify_app = typer.Typer(invoke_without_command=True)


@notify_app.callback()
def notify(
    context: typer.Context,
    monitor_port: Annotated[
        int | None,
        typer.Option(
            "--monitor-port", min=0, max=65535, help="Port of /healthz, /readyz and /metrics, not `monitor.port`."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option(help="Write to the terminal what would be sent; it is not sent later.")
    ] = False,
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
        Notifier(chosen, channels, life, dry_run=dry_run).run()


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


@notify_app.command("digest")
def notify_digest(
    name: Annotated[str, typer.Argument(help="The digest's name in the settings.")],
    dry_run: Annotated[bool, typer.Option(help="Print the digest instead of sending it.")] = False,
    now: Annotated[bool, typer.Option("--now", help="Of the time up to now, not of the last whole period.")] = False,
    config: ConfigOption = None,
) -> None:
    """Send a digest of the last whole day or week again, besides those that come by themselves.

    Example: opinionwatch notify digest morning --dry-run
    """
    chosen = settings(config)
    channels = wiring.channels(chosen)
    known = {one.name: one for one in digests.chosen(chosen, channels)}
    if name not in known:
        there = nearest(name, known) if known else "there is none under `notify.digests:`"
        raise SettingsError(f"no digest '{name}' in the settings; {there}")
    one = known[name]
    begin, end = digests.last_period(one, chosen.zone, datetime.now(UTC))
    if now:
        begin, end = end, datetime.now(UTC)
    address = wiring.public_url(chosen)
    made = digests.Maker(chosen, archive_of(chosen), lambda: address).made(one, begin, end)
    channel = channels[one.channel]
    if dry_run or not isinstance(channel, DigestChannel):
        out.print(plain(plain_digest(made), keep_lines=True), markup=False, end="")
        return
    try:
        channel.digest(made)
    except OpinionwatchError as error:
        err.print(f"[bold red]{one.channel} did not take it:[/]", end=" ")
        err.print(plain(str(error)), markup=False)
        raise typer.Exit(1) from error
    out.print(f"{one.channel} took the digest {made.id}")


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(notify_app, name="notify")
