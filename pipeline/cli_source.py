"""Commands that look at sources before they run: list, check, try, schema."""

import inspect
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from opinionwatch.connectors.checking import checked, left
from opinionwatch.connectors.registry import CONNECTORS
from opinionwatch.connectors.trying import Taste, taste
from opinionwatch.pipeline import wiring, wiring_shown
from opinionwatch.pipeline.console import ConfigOption, err, out, plain, promise, settings
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.ports import PushSource, Source
from opinionwatch.pipeline.redact import redact
from opinionwatch.pipeline.registry import nearest, resolve
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.source_standing import Standing, standings
from opinionwatch.pipeline.trial import Trial, Trials

source_app = typer.Typer(help="Sources: what there is, whether they work, what they would bring.", no_args_is_help=True)
SecondsOption = Annotated[float, typer.Option("--seconds", min=0.1, max=600, help="Wait at most so long for a source.")]


@source_app.command("list")
def list_sources(
    kinds: Annotated[bool, typer.Option("--kinds", help="All kinds there are, instead of yours.")] = False,
    config: ConfigOption = None,
) -> None:
    """List the sources of the settings: how often each is asked, how it is doing, how often its service had
    dropped something before it was asked for (gaps; `audit` lists them), and what it guarantees, in a few words; `try`
    and `--kinds` have all of them.

    Example: opinionwatch source list -c opinionwatch.yaml
    """
    if kinds:
        table = Table("kind", "what it reads", "delivery", "terms")
        for kind in sorted(CONNECTORS):
            found = resolve(CONNECTORS, kind, kind)
            first = (inspect.getdoc(found) or "").splitlines()[0]
            table.add_row(kind, plain(first), promise(found, "Delivery"), promise(found, "Terms") or "-")
        out.print(table)
        return
    chosen = settings(config)
    built = _sources(chosen)
    doing = standings(chosen)
    table = Table("name", "kind", "reads", "asked", "last document (UTC)", "last hour / usual", "gaps", "delivery")
    for source in built:
        standing = doing.get(source.name, Standing())
        last, pace = standing.words()
        reads, delivery = plain(redact(source.instance)), re.split("[.,:;]", promise(type(source), "Delivery"))[0]
        table.add_row(source.name, source.kind, reads, _pace(source), last, pace, str(standing.gaps), delivery)
    out.print(table)


@source_app.command("check")
def check_sources(
    name: Annotated[str | None, typer.Argument(help="Its name in the settings; all when left out.")] = None,
    seconds: SecondsOption = 30,
    config: ConfigOption = None,
) -> None:
    """Ask each source whether it would work: credentials, quota, reachability. Exits 1 when one would not.

    Example: opinionwatch source check blog
    """
    built = _sources(settings(config))
    chosen = [_named(built, name)] if name is not None else built
    troubled = 0
    for source in chosen:
        found = checked(source, seconds)
        troubled += not found.works
        out.print("[green]ok  [/]" if found.works else "[bold red]BAD [/]", end=" ")
        out.print(plain(f"{source.name} ({source.kind}): {found.words}"), markup=False)
    if troubled:
        raise typer.Exit(1)


@source_app.command("try")
def try_source(
    name: Annotated[str, typer.Argument(help="Its name in the settings.")],
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=1000, help="So many documents.")] = 10,
    seconds: SecondsOption = 30,
    config: ConfigOption = None,
) -> None:
    """Show the first documents of a source as they would be accepted, and what would be dropped, by which clause.

    Nothing is stored. Exits 1 when the source brings nothing.   Example: opinionwatch source try blog
    """
    chosen = settings(config)
    source = _named(_sources(chosen), name)
    if isinstance(source, PushSource):
        raise SettingsError(
            f"{name} is a {source.kind}: it is told, not asked. Start `opinionwatch run` and send something to "
            f"/hooks/{name}; `opinionwatch deadletters list` shows what could not be taken"
        )
    trials = Trials(chosen)
    found = taste(source, count, seconds)
    table = Table("end", "clause", "published (UTC)", "lang", "author", "text")
    for trial in trials.of(source, found.items, datetime.now(UTC)):
        table.add_row(*_row(trial))
    if found.items:
        out.print(table)
    out.print(plain(_cost(source, found)), markup=False)
    for what in ("Delivery", "Terms"):
        if words := promise(type(source), what):
            out.print(f"{what}: {words}", markup=False)
    if found.error:
        err.print(f"[bold red]{found.kind}:[/]", end=" ")
        err.print(plain(found.error), markup=False)
    if not found.items:
        raise typer.Exit(1)


@source_app.command("schema")
def source_schema(
    name: Annotated[str, typer.Argument(help="A source's name in the settings, or a kind.")],
    config: ConfigOption = None,
) -> None:
    """Print the JSON Schema of what a source can be told.   Example: opinionwatch source schema rss"""
    given = {component.name: component.kind for component in settings(config).sources}
    kind = given.get(name, name)
    if kind not in CONNECTORS and ":" not in kind:
        raise SettingsError(f"no source and no kind '{name}'; {nearest(name, [*given, *CONNECTORS])}")
    out.print_json(data=wiring_shown.settings_schema(CONNECTORS, kind, f"sources.{name}"))


def _sources(chosen: Settings) -> list[Source]:
    built = wiring.sources(chosen)
    if not built:
        raise SettingsError(
            "no sources in the settings: name one under `sources:` (`opinionwatch source list --kinds`)"
        )
    return built


def _named(built: Sequence[Source], name: str) -> Source:
    found = next((source for source in built if source.name == name), None)
    if found is None:
        raise SettingsError(f"no source '{name}' in the settings; {nearest(name, [source.name for source in built])}")
    return found


def _cost(source: Source, found: Taste) -> str:
    """What reading it takes: time, and of the quota."""
    brought = f"{len(found.items)} documents in {found.took_s:.1f} s, {'more are there' if found.more else 'no more'}"
    pace = f"; asked {_pace(source)}" if source.interval_s is not None else ""
    return brought + pace + left(found.quota)


def _pace(source: Source) -> str:
    if source.interval_s is not None:
        return f"every {source.interval_s:g} s"
    return "never: it tells us" if isinstance(source, PushSource) else "once, to its end"


def _row(trial: Trial) -> tuple[str, ...]:
    clauses = plain("; ".join(trial.clauses))
    document = trial.document
    if document is None or trial.read is None:
        return trial.end, clauses, "", "", "", ""
    text = document.text if len(document.text) <= 160 else document.text[:159] + "…"
    return (
        trial.end,
        clauses,
        f"{document.published_at:%Y-%m-%d %H:%M}" + (" (no time given)" if "no_time" in document.flags else ""),
        trial.read.language.tag,
        document.author or "",
        plain(text.replace("\n", " ")),
    )


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(source_app, name="source")
