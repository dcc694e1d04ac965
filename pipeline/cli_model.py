"""Commands on models: evaluate, compare, train, companion, compress."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from opinionwatch.pipeline import wiring
from opinionwatch.pipeline.console import ConfigOption, all_there, err, plain, settings
from opinionwatch.pipeline.console import out as out_
from opinionwatch.pipeline.corrections import Corrections
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.live_scorer import artefact_of, in_force
from opinionwatch.pipeline.ports import Scorer
from opinionwatch.pipeline.registry import nearest
from opinionwatch.pipeline.settings import Settings

if TYPE_CHECKING:  # the models' libraries take long to load, and most commands never need them
    from opinionwatch.models.examples import Example


def evaluate(
    files: Annotated[
        list[Path],
        typer.Argument(help="Labelled JSON lines (also .gz): text, and label, triplets, targets or aspects."),
    ],
    json_: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first rows of each file.")] = None,
    report_: Annotated[
        Path | None, typer.Option("--report", help="Folder for report.md, report.html and their plots.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Measure the model in force on labelled files: accuracy, F1, calibration, coverage, triplets, names.

    Example: opinionwatch evaluate dev.jsonl.gz --json
    """
    import opinionwatch.models.evaluate as evaluation

    all_there(files)
    report = evaluation.evaluate(wiring.scorer(in_force(settings(config))), files, limit=limit)
    if json_:
        sys.stdout.write(evaluation.to_json(report) + "\n")
    else:
        out_.print(evaluation.to_table(report))
    if report_ is not None:
        from opinionwatch.models.evaluate_pages import write_pages

        write_pages(report, report_)
        err.print(f"written: {report_ / 'report.md'} and {report_ / 'report.html'}", markup=False)


def compare(
    old: Annotated[str, typer.Argument(help="An artefact folder, a scorer's name (lexicon), or a settings file.")],
    new: Annotated[str, typer.Argument(help="The same; what is judged.")],
    files: Annotated[list[Path], typer.Argument(help="Labelled files, as for evaluate.")],
    json_: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first rows of each file.")] = None,
    flips: Annotated[int, typer.Option(min=0, help="Rows a file to list where the two part.")] = 10,
    gate: Annotated[
        bool, typer.Option(help="Exit 1 if the new one is significantly worse on any file, or one cannot be judged.")
    ] = False,
) -> None:
    """Is a new model better than an old one? Paired, with 95 % intervals, and the rows where they part.

    Example: opinionwatch compare models/default runs/mine/artefact dev/*.jsonl.gz --gate
    """
    import opinionwatch.models.compare as comparing
    from opinionwatch.models.compare_show import to_table

    all_there(files)
    found = comparing.compare(_scorer(old), _scorer(new), files, limit=limit, flips=flips)
    if json_:
        sys.stdout.write(found.model_dump_json(indent=2) + "\n")
    else:
        out_.print(to_table(found))
    if not gate:
        return
    if found.worse or found.unjudged:
        why = f"significantly worse on {', '.join(found.worse)}"
        blind = f"no row of {', '.join(found.unjudged)} has a label, triplets or names"
        err.print(f"refused: {why if found.worse else blind}", markup=False)
        raise typer.Exit(1)
    err.print(f"may take its place: significantly worse on none of {len(found.judged)} files", markup=False)


def _scorer(name: str) -> Scorer:
    """What a person means by the name of a model: an artefact folder, a settings file, or a scorer's kind."""
    path = Path(name)
    if path.is_dir():
        return wiring.scorer(Settings.model_validate({"scorer": {"kind": "neural", "artefact": path}}))
    return wiring.scorer(settings(path) if path.is_file() else Settings.model_validate({"scorer": {"kind": name}}))


def train(
    recipe: Annotated[
        str, typer.Option(help="A recipe file, or one that ships: default, fast, accurate, distilled, lstm and more.")
    ] = "default",
    data: Annotated[Path, typer.Option(help="Folder with train/ and dev/.")] = Path("../shared/data"),
    backbone: Annotated[str, typer.Option(help="Folder or hub id of a Hugging Face encoder.")] = "../shared/backbone",
    out: Annotated[Path, typer.Option(help="Run folder: checkpoints, figures, the artefact.")] = Path("runs/default"),
    resume: Annotated[bool, typer.Option(help="Go on from the run folder's last checkpoint.")] = False,
    strict: Annotated[bool, typer.Option(help="Stop at the first bad row instead of counting it.")] = False,
    continue_: Annotated[
        bool, typer.Option("--continue", help="Go on from the model in force with what people corrected; needs --data.")
    ] = False,
    rehearsal: Annotated[int, typer.Option(min=1, help="Old rows for each correction, with --continue.")] = 20,
    minutes: Annotated[float | None, typer.Option(min=0.1, help="Train at most so long, with --continue.")] = None,
    config: ConfigOption = None,
) -> None:
    """Train a model by a recipe: the artefact, its card and its figures are left in the run folder.

    With --continue the model in force learns from the stored corrections (at least 10, of whole texts or towards
    watchlists) and rehearses old rows of the recipe's files in --data, so that it does not forget: minutes on one core.
    Then: opinionwatch model promote.

    Survives kill -9: start it again with --resume.   Example: opinionwatch train --recipe default --out runs/mine
    """
    if continue_:
        from opinionwatch.models.continuing import continue_training

        chosen, plan = in_force(settings(config)), _recipe(recipe)
        artefact, given = artefact_of(chosen), _lessons(chosen)
        done = continue_training(
            artefact, given, out, recipe_path=plan, data=data, rehearsal=rehearsal, minutes=minutes
        )
        out_.print(f"{done.version} in {done.artefact} after {done.minutes:.1f} minutes; judge and use it with")
        out_.print(f"  opinionwatch model promote {done.artefact} --fixed FILE…", markup=False)
        return
    from opinionwatch.models.train import train as trained

    done = trained(_recipe(recipe), out, data=data, backbone=backbone, resume=resume, strict=strict)
    out_.print(f"{done.version} in {done.artefact} after {done.minutes:.0f} minutes; use it with", markup=False)
    out_.print(f"  scorer: {{kind: neural, artefact: {done.artefact}}}", markup=False)


def _lessons(chosen: Settings) -> "list[Example]":
    """What people corrected, as the model in force can learn it; what it cannot is counted and listed."""
    from opinionwatch.models.artefact import read
    from opinionwatch.models.corrected import lessons

    told = read(artefact_of(chosen)).config.body.targets
    found = lessons(Corrections(chosen.data_dir).standing(), wiring.watchlists(chosen), tells_targets=told)
    if found.unusable:
        err.print(f"{len(found.unusable)} corrections teach nothing; `opinionwatch label list` has them all")
    for one, reason in found.unusable[:20]:
        text = " ".join(one.text.split())[:60]
        err.print(plain(f"  {one.label} for {one.watchlist}: “{text}”: {reason}"))
    return found.rows


def compress(
    artefact: Annotated[Path, typer.Argument(help="An artefact folder; it is not changed.")],
    out: Annotated[Path, typer.Option(help="Folder for the smaller artefact.")],
    layers: Annotated[int | None, typer.Option(min=1, help="Keep so many layers; the top ones go.")] = None,
    heads: Annotated[int | None, typer.Option(min=1, help="Keep so many attention heads a layer.")] = None,
    vocabulary: Annotated[bool, typer.Option(help="Keep only the word pieces that the texts use.")] = False,
    texts: Annotated[list[Path] | None, typer.Option(help="JSON lines with the texts it is for (also .gz).")] = None,
    on: Annotated[list[Path] | None, typer.Option(help="Labelled files: what is lost is measured on them.")] = None,
    limit: Annotated[int, typer.Option(min=32, help="Only the first rows of each file.")] = 2000,
) -> None:
    """Make a trained model smaller and faster, and say what that costs. Train it on to win some of it back.

    Example: opinionwatch compress models/default --layers 4 --texts posts.jsonl --on dev.jsonl --out runs/small
    """
    from opinionwatch.models.compress import Plan, texts_of
    from opinionwatch.models.compress import compress as compressed
    from opinionwatch.models.compress_show import to_table

    plan = Plan(layers, heads, vocabulary)
    if plan == Plan():
        raise SettingsError("nothing to do: give --layers, --heads or --vocabulary")
    all_there([*(texts or []), *(on or [])])
    given = texts_of(texts or on or [], limit)
    out_.print(to_table(compressed(artefact, out, plan, given, on or [], limit=limit)))
    out_.print(f"train it on: opinionwatch train --backbone {out} --out runs/recovered", markup=False)


def companion(
    artefact: Annotated[Path, typer.Argument(help="An artefact folder; it is not changed.")],
    steps: Annotated[int, typer.Option(min=1, help="Steps of its training run, as its card says.")],
    minutes: Annotated[float, typer.Option(min=0, help="Minutes of that run, for the new card.")],
    recipe: Annotated[str, typer.Option(help="The recipe it was trained by, with a companion.")] = "default",
    data: Annotated[Path, typer.Option(help="Folder with train/ and dev/.")] = Path("../shared/data"),
    backbone: Annotated[str, typer.Option(help="Where its encoder came from, for the card.")] = "../shared/backbone",
    out: Annotated[Path, typer.Option(help="Folder for the artefact and its figures.")] = Path("runs/companion"),
) -> None:
    """Give a trained model its linear companion of n-grams, or a new one; the encoder is not trained again.

    Example: opinionwatch companion models/default --steps 2660 --minutes 64 --out runs/joined
    """
    from opinionwatch.models.companion_add import add_companion

    done = add_companion(artefact, _recipe(recipe), out, data=data, backbone=backbone, steps=steps, minutes=minutes)
    out_.print(f"{done.version} in {done.artefact}; use it with", markup=False)
    out_.print(f"  scorer: {{kind: neural, artefact: {done.artefact}}}", markup=False)


def _recipe(name: str) -> Path:
    """A recipe file, or one that ships, by its name."""
    from opinionwatch.models.train import RECIPES

    path = Path(name) if name.endswith((".yaml", ".yml")) else RECIPES / f"{name}.yaml"
    if not path.is_file():
        raise SettingsError(f"no recipe {path}; {nearest(name, (found.stem for found in RECIPES.glob('*.yaml')))}")
    return path


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(evaluate)
    app.command()(compare)
    app.command()(train)
    app.command()(companion)
    app.command()(compress)
