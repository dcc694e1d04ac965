"""Commands on the model in force: promote, rollback, list, shadow, drift, export."""

from datetime import UTC, datetime, timedelta
from getpass import getuser
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from opinionwatch.pipeline import live_scorer, wiring
from opinionwatch.pipeline.archives import archive_of
from opinionwatch.pipeline.console import ConfigOption, all_there, out, plain, settings
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.promotions import Promotion, Shelf, rolled_back
from opinionwatch.pipeline.settings import Settings

app = typer.Typer(help="The model in force: promote another, go back, watch one in the shadow.", no_args_is_help=True)
ByOption = Annotated[str | None, typer.Option("--by", help="Who decides; your user name if not given.")]


@app.command()
def promote(
    artefact: Annotated[Path, typer.Argument(help="Folder of the artefact that is to come into force.")],
    fixed: Annotated[
        list[Path] | None,
        typer.Option(help="Labelled files on which it must not be significantly worse; the challenge sets if none."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first rows of each file.")] = None,
    by: ByOption = None,
    config: ConfigOption = None,
) -> None:
    """Put a model in force: checked by its hashes, judged on fixed sets, taken up by running workers between batches.

    Exit 1: significantly worse on a fixed set; nothing is changed.

    Example: opinionwatch model promote runs/next/artefact --fixed dev/a.jsonl.gz --fixed dev/b.jsonl.gz
    """
    import opinionwatch.models.compare as comparing
    from opinionwatch.models.compare_show import to_table

    chosen = _neural(settings(config))
    shelf = Shelf(chosen.data_dir)
    found = shelf.read()
    shipped = Path(comparing.__file__).parent
    files = fixed or [shipped / "challenge.tsv", shipped / "challenge_targets.jsonl"]
    all_there(files)
    new = wiring.scorer(live_scorer.with_artefact(chosen, artefact))
    standing = live_scorer.in_force(chosen)
    old = wiring.scorer(standing)
    if new.version == old.version:
        raise SettingsError(f"{new.version} is in force already")
    judged = comparing.compare(old, new, files, limit=limit, flips=0)
    out.print(to_table(judged))
    if judged.unjudged:
        raise SettingsError(
            f"no row of {', '.join(judged.unjudged)} has a label, triplets or names: give files that can judge it"
        )
    if judged.worse:
        out.print(f"refused: significantly worse on {', '.join(judged.worse)}; {old.version} stays", markup=False)
        raise typer.Exit(1)
    now, who = datetime.now(UTC), by or getuser()
    base = found.current or Promotion(
        name=old.version,
        version=old.version,
        manifest=_kept(shelf, chosen, live_scorer.artefact_of(standing), old.version),
        at=now,
        by=who,
        kind="base",
        before=None,
    )
    entry = Promotion(
        name=found.name_for(new.version),
        version=new.version,
        manifest=_kept(shelf, chosen, artefact, new.version),
        at=now,
        by=who,
        kind="promotion",
        before=base.name,
        gate=judged.judged,
    )
    shelf.add(*([] if found.entries else [base]), entry, decided_on=found)
    _said(entry)


@app.command()
def rollback(by: ByOption = None, config: ConfigOption = None) -> None:
    """Go back to the model that was in force before. Its copy is checked by its hashes first.

    Example: opinionwatch model rollback --by dana
    """
    chosen = _neural(settings(config))
    shelf = Shelf(chosen.data_dir)
    found = shelf.read()
    entry = rolled_back(found, datetime.now(UTC), by or getuser())
    wiring.scorer(live_scorer.with_artefact(chosen, live_scorer.checked(shelf, entry)))
    shelf.add(entry, decided_on=found)
    _said(entry)


@app.command("list")
def list_(config: ConfigOption = None) -> None:
    """Show every model there was, the one in force last: when, by whom, and what it was judged on.

    Example: opinionwatch model list
    """
    found = Shelf(settings(config).data_dir).read()
    if not found.entries:
        out.print("The model of the settings is in force; none was ever promoted.")
        return
    table = Table("name", "how", "when", "by", "judged on")
    for entry in found.entries:
        judged = ", ".join(entry.gate) or "–"
        table.add_row(plain(entry.name), entry.kind, f"{entry.at:%Y-%m-%d %H:%M}", plain(entry.by), plain(judged))
    out.print(table)


@app.command()
def shadow(
    artefact: Annotated[Path, typer.Argument(help="Folder of the artefact that reads along.")],
    hours: Annotated[
        float, typer.Option(min=0, max=100_000, help="How far back it begins; 0: with what comes now.")
    ] = 24,
    minutes: Annotated[float, typer.Option(min=0, help="How long it follows what comes; 0: not at all.")] = 0,
    most: Annotated[int, typer.Option(min=1, help="At most so many documents, the newest of them.")] = 20_000,
    json_: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
    config: ConfigOption = None,
) -> None:
    """Let a second model read what the pipeline reads, and say where the two part and what the windows would have been.

    It runs in this process, beside the pipeline: nothing is written, nobody is told, and no worker waits for it.

    Example: opinionwatch model shadow runs/next/artefact --hours 48 --minutes 30
    """
    from opinionwatch.pipeline.shadow import follow
    from opinionwatch.pipeline.shadow_show import to_table
    from opinionwatch.pipeline.signals import stopping

    chosen = _neural(settings(config))
    reader = wiring.scorer(live_scorer.with_artefact(chosen, artefact))
    since = datetime.now(UTC) - timedelta(hours=hours)
    with stopping() as stop:
        found = follow(
            archive_of(chosen),
            reader,
            wiring.watchlists(chosen),
            since=since,
            seconds=60 * minutes,
            most=most,
            stop=stop,
        )
    if json_:
        out.print_json(found.model_dump_json())
    else:
        out.print(to_table(found))


@app.command()
def drift(
    hours: Annotated[float, typer.Option(min=1, help="What counts as now.")] = 24,
    days: Annotated[float, typer.Option(min=1, help="What counts as before: so many days up to then.")] = 14,
    json_: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
    config: ConfigOption = None,
) -> None:
    """Say whether what people write has moved away from what the model is used to: labels, confidence, vocabulary.

    Exit 1: it has.   Example: opinionwatch model drift --hours 24 --days 14
    """
    from opinionwatch.pipeline.drifting import lately

    found = lately(archive_of(settings(config)), timedelta(hours=hours), timedelta(days=days))
    if json_:
        out.print_json(found.model_dump_json())
    else:
        table = Table("", "before", "now", title=f"{plain(found.scorer) or 'no model'}: {found.verdict}")
        table.add_row("texts", f"{found.before:,}", f"{found.now:,}")
        table.add_row("confidence", f"{found.confidence_before:.1%}", f"{found.confidence_now:.1%}")
        table.add_row("unsure", f"{found.unsure_before:.1%}", f"{found.unsure_now:.1%}")
        table.add_row("unknown words", f"{found.unknown_before:.1%}", f"{found.unknown_now:.1%}")
        table.add_row("label mix, stability index", "", f"{found.label_psi:.3f}")
        out.print(table)
        for reason in found.reasons:
            out.print(reason, markup=False)
    if found.verdict == "shifted":
        raise typer.Exit(1)


@app.command()
def export(
    folder: Annotated[Path, typer.Option("--out", help="A new folder for the files and their README.")],
    artefact: Annotated[Path | None, typer.Argument(help="An artefact folder; the model in force if none.")] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Static 8 bits in the products: smaller and faster.")] = False,
    on: Annotated[list[Path] | None, typer.Option(help="Labelled files: what is lost is measured on them.")] = None,
    limit: Annotated[int, typer.Option(min=32, help="Only the first rows of each file.")] = 2000,
    config: ConfigOption = None,
) -> None:
    """Write a model as ONNX for other programs, and compare what ONNX Runtime reads with it: labels, size, speed.

    Sentiment, triplets, names, and a program that reads them; needs `pip install 'opinionwatch[onnx]'`.

    Example: opinionwatch model export --out runs/onnx --on dev/a.jsonl.gz
    """
    from opinionwatch.models.onnx_export import export as exported
    from opinionwatch.models.onnx_show import to_table

    all_there(on or [])
    chosen = live_scorer.artefact_of(live_scorer.in_force(settings(config))) if artefact is None else artefact
    out.print(to_table(exported(chosen, folder, on or [], int8=int8, limit=limit)))
    out.print(f"how to run it: {folder / 'README.md'}", markup=False)


def _neural(chosen: Settings) -> Settings:
    if chosen.scorer.kind != "neural":
        raise SettingsError(f"models are promoted for the neural scorer; the settings say '{chosen.scorer.kind}'")
    return chosen


def _kept(shelf: Shelf, chosen: Settings, artefact: Path, version: str) -> str:
    """Copy an artefact, and see that the copy is it: one of an earlier promotion may have been altered since."""
    manifest = shelf.keep(artefact, version)
    copied = wiring.scorer(live_scorer.with_artefact(chosen, shelf.copy(version))).version
    if copied != version:
        raise SettingsError(f"{shelf.copy(version)} holds {copied}: move that folder away, and promote again")
    return manifest


def _said(entry: Promotion) -> None:
    out.print(f"{entry.name} is in force; running workers take it up with their next batch, within seconds")


def register(root: typer.Typer) -> None:
    """Add these commands."""
    root.add_typer(app, name="model")
