"""The command that tries settings on the past."""

import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.table import Table

from opinionwatch.alerts.calibration import Curve
from opinionwatch.pipeline import curves, wiring
from opinionwatch.pipeline.archive import Archive
from opinionwatch.pipeline.archives import archive_of
from opinionwatch.pipeline.backtest import Candidate, backtest
from opinionwatch.pipeline.backtest_events import answered, load
from opinionwatch.pipeline.backtest_judge import Figures, Verdict, judged
from opinionwatch.pipeline.backtest_page import page
from opinionwatch.pipeline.console import ConfigOption, err, out, plain, settings
from opinionwatch.pipeline.contracts_trend import AlertEvent
from opinionwatch.pipeline.errors import RetryableError, SettingsError
from opinionwatch.pipeline.moments import moment
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.ticks import TICK

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
SENT: tuple[AlertEvent, ...] = ("escalated", "updated", "resolved")


def run(
    since: Annotated[str, typer.Option("--from", help="From when on alarms count; all before is learned from.")],
    until: Annotated[str | None, typer.Option("--to", help="Until when; the end of the history without it.")] = None,
    other: Annotated[
        Path | None, typer.Option("--settings", help="A second settings file, whose figures stand beside the first.")
    ] = None,
    events: Annotated[
        Path | None, typer.Option(help="YAML list of {watchlist, start, end, name, should_alert}: what happened.")
    ] = None,
    answers: Annotated[
        bool, typer.Option(help="Whether answers to alerts (real, not a crisis) count as marked events, too.")
    ] = True,
    html: Annotated[Path | None, typer.Option(help="Write a page with charts to this file.")] = None,
    newest: Annotated[
        bool, typer.Option("--newest-calibration", help="Judge all of it by the latest `calibrate`, not as it was.")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
    config: ConfigOption = None,
) -> None:
    """Run the production detector over the store's history: the alerts that would have been sent, false alarms, delays.

    Example: opinionwatch backtest --from 2026-03-01 --to 2026-03-15 --settings stricter.yaml --events known.yaml
    """
    from opinionwatch.pipeline.daemon_worker import errors_of  # what daemons need takes long to load

    first = settings(config)
    archive = archive_of(first)
    period = _period(archive, since, until)
    marked = load(events) if events is not None else ()
    told_by_people = answered(archive, *period, marked) if answers else ()
    known = _calibrations(first)
    if newest:
        known = tuple(curve.model_copy(update={"applies_from": BEGINNING}) for curve in known[-1:])
    files = [(str(config or "settings"), first)] + ([(str(other), settings(other))] if other is not None else [])
    for _, chosen in files:
        _knows(chosen, {event.watchlist for event in marked})
    watched = {each.id for each in wiring.watchlists(first)}
    marked += tuple(event for event in told_by_people if event.watchlist in watched)
    candidates = [
        Candidate(name, wiring.watchlists(chosen), wiring.trend_settings(chosen), known, errors_of(chosen))
        for name, chosen in files
    ]
    told = backtest(archive, candidates, *period, first.tenant)
    found = [
        judged(
            candidate.name,
            alerts,
            marked,
            nominal=candidate.trend.detector.false_alarms_per_week,
            watchlists=len(candidate.watchlists),
            period=period,
        )
        for candidate, alerts in zip(candidates, told, strict=True)
    ]
    if json_:
        sys.stdout.write(orjson.dumps([each.model_dump(mode="json") for each in found]).decode() + "\n")
    else:
        _show(found, marked_any=bool(marked))
    if html is not None:
        names = {each.id: each.name for candidate in candidates for each in candidate.watchlists}
        _write(html, page(archive, names, found, first.language, *period))


def _calibrations(chosen: Settings) -> tuple[Curve, ...]:
    """The daemons keep theirs in the log; whoever looks back from where it cannot be read judges by the bound."""
    if chosen.store != "elasticsearch":
        return curves.load(chosen.data_dir)
    from opinionwatch.pipeline.kafka_read import KafkaReader  # what speaks to Kafka takes a while to load

    try:
        return curves.in_the_log(KafkaReader(chosen.kafka), chosen.kafka.mentions_partitions)
    except (RetryableError, SettingsError) as error:
        err.print(f"calibrations lie in the log, which cannot be read, so the bound is the threshold: {error}")
        return ()


def _period(archive: Archive, since: str, until: str | None) -> tuple[datetime, datetime]:
    span = archive.span()
    if span is None:
        raise SettingsError("the store holds no history yet: `opinionwatch run` or `replay` fills it")
    end = archive.now() or span[1] + TICK
    period = (_time("--from", since), end if until is None else min(_time("--to", until), end))
    if period[0] >= period[1]:
        raise SettingsError(
            f"--from must lie before --to and within the history, {span[0]:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"
        )
    return period


def _time(option: str, text: str) -> datetime:
    try:
        found = moment(text)
    except ValueError as error:
        raise SettingsError(f"{option} {text}: {error}") from error
    if found is None:
        raise SettingsError(f"{option}: write it as 2024-03-04T08:00:00Z")
    return found


def _knows(chosen: Settings, named: set[str]) -> None:
    known = {watchlist.id for watchlist in wiring.watchlists(chosen)}
    if strange := sorted(named - known):
        raise SettingsError(f"events: no watchlist '{strange[0]}' in the settings; known: {', '.join(sorted(known))}")


def _show(found: Sequence[Figures], *, marked_any: bool) -> None:
    rows: list[tuple[str, Callable[[Figures], str]]] = [
        ("budget, false alarms per watchlist-week", lambda run: f"{run.per_week_nominal:g}"),
        ("false alarms per watchlist-week", lambda run: f"{run.per_week_realised:.3f}"),
        ("watchlist-weeks", lambda run: f"{run.watchlist_weeks:.1f}"),
        ("alerts opened", lambda run: str(run.sent["opened"])),
        ("alerts escalated, updated, resolved", lambda run: " ".join(str(run.sent[kind]) for kind in SENT)),
        ("false alarms", lambda run: str(run.false_alarms)),
        ("events found", lambda run: f"{run.found} of {run.events}"),
        ("median delay, min", lambda run: "–" if run.median_delay_min is None else f"{run.median_delay_min:.0f}"),
    ]
    table = Table("", *(plain(run.settings) for run in found), title="back-test", title_justify="left")
    for name, value in rows:
        table.add_row(name, *(value(run) for run in found))
    out.print(table)
    if not marked_any:
        err.print("no --events are marked and nobody has answered, so every alarm counts as a false one")
        return
    each = Table("watchlist", "event", "should alert", *(plain(run.settings) for run in found))
    for place, verdict in enumerate(found[0].verdicts):
        period = f"{verdict.name} {verdict.start:%m-%d %H:%M} – {verdict.end:%m-%d %H:%M}"
        each.add_row(
            plain(verdict.watchlist),
            plain(period),
            "yes" if verdict.should_alert else "no",
            *(_verdict(run.verdicts[place]) for run in found),
        )
    out.print(each)


def _verdict(verdict: Verdict) -> str:
    if verdict.delay_min is not None:
        return f"{verdict.delay_min:.0f} min"
    return "missed" if verdict.should_alert else "quiet"


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"--html {path} cannot be written: {error.strerror}") from error
    err.print(f"page written to {path}")


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("backtest")(run)
