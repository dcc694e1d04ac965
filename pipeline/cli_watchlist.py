"""Commands about watchlists: test them on texts, import them from a table."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.table import Table

from opinionwatch.pipeline import wiring
from opinionwatch.pipeline.console import ConfigOption, FieldOption, err, out, plain, recorded, settings
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.registry import nearest
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.study import Study, study
from opinionwatch.pipeline.trial import Trial, Trials
from opinionwatch.pipeline.watchlist_table import COLUMNS, read_table

watchlist_app = typer.Typer(help="Watchlists: test them on texts, import them.", no_args_is_help=True)


@watchlist_app.command("test")
def test_watchlists(
    file: Annotated[str, typer.Argument(help="Texts: JSON lines or .csv, plain or .gz; - reads standard input.")],
    watchlist: Annotated[str | None, typer.Option(help="Id of one watchlist; all when left out.")] = None,
    field: FieldOption = None,
    candidates: Annotated[int, typer.Option(min=0, max=100, help="Show so many missed names.")] = 10,
    config: ConfigOption = None,
) -> None:
    """Show what each clause of the watchlists finds in recorded texts, which names often stand beside it and are not in
    the list, and which of its names are ambiguous. Exits 1 when a watchlist matches nothing.

    Example: opinionwatch watchlist test posts.jsonl.gz -c brands.yaml --field native_id=id
    """
    chosen = settings(config)
    lists = wiring.watchlists(chosen)
    if not lists:
        raise SettingsError(
            "no watchlists in the settings: name one under `watchlists:`, or `watchlist import` a table"
        )
    if watchlist is not None and watchlist not in [one.id for one in lists]:
        raise SettingsError(f"no watchlist '{watchlist}'; {nearest(watchlist, [one.id for one in lists])}")
    dead: list[str] = []
    found = study(lists, _trials(chosen, file, field, dead), candidates)
    for one in found:
        if watchlist in (None, one.watchlist.id):
            _show(one)
    if dead:
        err.print(plain(f"{len(dead)} texts could not be taken; the first: {dead[0]}"), markup=False)
    if not all(one.matched for one in found if watchlist in (None, one.watchlist.id)):
        raise typer.Exit(1)


@watchlist_app.command("import")
def import_watchlists(
    file: Annotated[Path, typer.Argument(help=f"A CSV table with a header line; columns: {', '.join(COLUMNS)}.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A new YAML file; else standard output.")
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="Of the table, e.g. gb18030; it is guessed if left out.")] = None,
) -> None:
    """Turn a table into the `watchlists:` section of a settings file; terms in a cell are parted by | or ;.

    Example: opinionwatch watchlist import brands.csv -o brands.yaml
    """
    try:
        found = read_table(file.read_bytes(), encoding)
    except OSError as error:
        raise SettingsError(f"cannot read {file}: {error.strerror}") from error
    entries = [one.model_dump(mode="json", exclude_defaults=True) for one in found]
    text = yaml.safe_dump({"watchlists": entries}, allow_unicode=True, sort_keys=False, width=120)
    if output is None:
        out.print(plain(text, keep_lines=True), markup=False, end="")
    else:
        try:
            with output.open("x", encoding="utf-8") as stream:
                stream.write(text)
        except FileExistsError as error:
            raise SettingsError(f"--output {output} is there already: name another file") from error
        except OSError as error:
            raise SettingsError(f"--output {output} cannot be written: {error.strerror}") from error
    err.print(f"{len(found)} watchlists; try them: opinionwatch watchlist test POSTS -c {output or 'brands.yaml'}")


def _trials(chosen: Settings, file: str, field: list[str] | None, dead: list[str]) -> Iterator[Trial]:
    source = recorded("texts", file, field)
    if source.kind == "jsonl" and not any(entry.startswith("native_id=") for entry in field or ()):
        source = source.model_copy(update={"native_id": "content"})
    [reader] = wiring.sources(chosen.model_copy(update={"sources": (source,)}))
    trials, now = Trials(chosen), datetime.now(UTC)
    for page in reader.fetch(None):
        for trial in trials.of(reader, page.items, now):
            dead += trial.clauses if trial.end == "dead" else ()
            yield trial


def _show(one: Study) -> None:
    share = f" ({one.matched / one.texts:.1%})" if one.texts else ""
    out.print(plain(f"{one.watchlist.id}: {one.matched} of {one.texts} texts{share}"), style="bold", markup=False)
    table = Table("clause", "term", "stands in", "matched", "example")
    for clause in one.clauses:
        example = plain(clause.example.replace("\n", " ")[:100])
        matched = f"keeps out {clause.matched}" if clause.role == "exclude" else str(clause.matched)
        table.add_row(clause.role, plain(clause.text), str(clause.stands), matched, example)
    out.print(table)
    if one.candidates:
        table = Table("often beside it", "in matched texts", "adding it would bring")
        for candidate in one.candidates:
            table.add_row(plain(candidate.name), str(candidate.beside), f"{candidate.alone} more texts")
        out.print(table)
    for warning in one.warnings:
        out.print("[yellow]warning:[/]", end=" ")
        out.print(plain(warning), markup=False)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(watchlist_app, name="watchlist")
