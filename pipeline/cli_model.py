"""Commands on models: score, explain, evaluate, compare, train, companion, compress."""

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated

import orjson
import typer

from opinionwatch.pipeline import wiring
from opinionwatch.pipeline.archives import archive_of
from opinionwatch.pipeline.console import ConfigOption, err, settings
from opinionwatch.pipeline.console import out as out_
from opinionwatch.pipeline.corrections import Corrections
from opinionwatch.pipeline.errors import RejectedError, SettingsError
from opinionwatch.pipeline.fold import fold
from opinionwatch.pipeline.live_scorer import artefact_of, in_force
from opinionwatch.pipeline.ports import Passage, Scorer
from opinionwatch.pipeline.read import language
from opinionwatch.pipeline.registry import nearest
from opinionwatch.pipeline.scoring import Answer, RefusedText, score_texts
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.submission import load

CHUNK = 512
LONGEST_LINE = 8 * 1024 * 1024


def score(config: ConfigOption = None) -> None:
    """Read JSON lines {"text": …} on standard input, write one each in the same order: sentiment, opinions, lang.

    A line that cannot be read is answered with {"error": …}; the others go on.

    Example: echo '{"text": "The battery is awful"}' | opinionwatch score
    """
    scorer = wiring.scorer(in_force(settings(config)))
    lines = _lines()
    while chunk := list(islice(lines, CHUNK)):
        answers: list[Answer | None] = []
        texts: list[str] = []
        for line in chunk:
            try:
                texts.append(_text(line))
                answers.append(None)
            except RejectedError as error:
                answers.append(RefusedText(error=error.reason, detail=error.detail))
        scored = iter(score_texts(scorer, texts))
        for answer in answers:
            said = answer if answer is not None else next(scored)
            sys.stdout.buffer.write(said.model_dump_json().encode() + b"\n")
        sys.stdout.buffer.flush()


def _lines() -> Iterator[bytes]:
    while line := sys.stdin.buffer.readline(LONGEST_LINE + 1):
        yield line.rstrip(b"\r\n")
        while len(line) > LONGEST_LINE and not line.endswith(b"\n"):
            line = sys.stdin.buffer.readline(LONGEST_LINE + 1)


def _text(line: bytes) -> str:
    text = load(line, LONGEST_LINE).get("text")
    if not isinstance(text, str):
        raise RejectedError("missing_field" if text is None else "invalid_field", 'a line is {"text": "…"}')
    return text


def evaluate(
    files: Annotated[list[Path], typer.Argument(help="Labelled JSON lines (also .gz): text, label, or triplets.")],
    json_: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first rows of each file.")] = None,
    report_: Annotated[
        Path | None, typer.Option("--report", help="Folder for report.md, report.html and their plots.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Measure the scorer on labelled files: accuracy, F1, calibration, coverage, triplets.

    Example: opinionwatch evaluate dev.jsonl.gz --json
    """
    import opinionwatch.models.evaluate as evaluation

    _all_there(files)
    report = evaluation.evaluate(wiring.scorer(settings(config)), files, limit=limit)
    if json_:
        sys.stdout.write(evaluation.to_json(report) + "\n")
    else:
        out_.print(evaluation.to_table(report))
    if report_ is not None:
        from opinionwatch.models.evaluate_pages import write_pages

        write_pages(report, report_)
        err.print(f"written: {report_ / 'report.md'} and {report_ / 'report.html'}", markup=False)


def _text_of(chosen: Settings, text: str | None, document: str | None) -> str:
    """What is to be explained."""
    if (text is None) == (document is None):
        raise SettingsError("name a text, or a document of the store with --document ID")
    if document is None:
        return text or ""
    found = archive_of(chosen).document(document)
    if found is None:
        raise SettingsError(f"no document '{document}': the page and `opinionwatch export` show their ids")
    return found.document.text


def explain(
    text: Annotated[
        str | None, typer.Argument(help="A text of any length; what the model reads of it is explained.")
    ] = None,
    document: Annotated[
        str | None, typer.Option("--document", help="Id of a document of the store, instead of a text.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
    config: ConfigOption = None,
) -> None:
    """Show which words made the model read a text as it does, and whether taking them out changes its mind.

    Example: opinionwatch explain "The screen is great but the battery is awful"
    """
    from opinionwatch.models.explain_show import to_text
    from opinionwatch.models.neural import NeuralScorer

    chosen = in_force(settings(config))
    if chosen.scorer.kind != "neural":
        raise SettingsError(f"explain needs a neural scorer; the settings say '{chosen.scorer.kind}'")
    folded = fold(_text_of(chosen, text, document)[: chosen.limits.text_chars]).text
    scorer = NeuralScorer(NeuralScorer.Settings.model_validate({**chosen.scorer.options, "precision": "fp32"}))
    passage = Passage(folded, language(folded).tag)
    found = scorer.explain(passage)
    if json_:
        words = [{"text": passage.text[slice(*word.span)], "weight": round(word.weight, 4)} for word in found.words]
        plain = {**found._asdict(), "words": words, "faithfulness": found.faithfulness}
        sys.stdout.buffer.write(orjson.dumps(plain) + b"\n")
    else:
        out_.print(to_text(passage.text, found))


def compare(
    old: Annotated[str, typer.Argument(help="An artefact folder, a scorer's name (lexicon), or a settings file.")],
    new: Annotated[str, typer.Argument(help="The same; what is judged.")],
    files: Annotated[list[Path], typer.Argument(help="Labelled files, as for evaluate.")],
    json_: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first rows of each file.")] = None,
    flips: Annotated[int, typer.Option(min=0, help="Rows a file to list where the two part.")] = 10,
    gate: Annotated[bool, typer.Option(help="Exit 1 if the new one is significantly worse on any file.")] = False,
) -> None:
    """Is a new model better than an old one? Paired, with 95 % intervals, and the rows where they part.

    Example: opinionwatch compare models/default runs/mine/artefact dev/*.jsonl.gz --gate
    """
    import opinionwatch.models.compare as comparing
    from opinionwatch.models.compare_show import to_table

    _all_there(files)
    found = comparing.compare(_scorer(old), _scorer(new), files, limit=limit, flips=flips)
    if json_:
        sys.stdout.write(found.model_dump_json(indent=2) + "\n")
    else:
        out_.print(to_table(found))
    if gate and found.worse:
        out_.print(f"refused: significantly worse on {', '.join(found.worse)}", markup=False)
        raise typer.Exit(1)


def _scorer(name: str) -> Scorer:
    """What a person means by the name of a model: an artefact folder, a settings file, or a scorer's kind."""
    path = Path(name)
    if path.is_dir():
        return wiring.scorer(Settings.model_validate({"scorer": {"kind": "neural", "artefact": path}}))
    return wiring.scorer(settings(path) if path.is_file() else Settings.model_validate({"scorer": {"kind": name}}))


def _all_there(files: list[Path]) -> None:
    if missing := [str(file) for file in files if not file.is_file()]:
        raise SettingsError(f"no such file: {', '.join(missing)}")


def train(
    recipe: Annotated[str, typer.Option(help="A recipe file, or the name of one that ships: default.")] = "default",
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

    With --continue the model in force learns from the stored corrections (at least 10) and rehearses old rows of the
    recipe's files in --data, so that it does not forget: minutes on one core. Then: opinionwatch model promote.

    Survives kill -9: start it again with --resume.   Example: opinionwatch train --recipe default --out runs/mine
    """
    if continue_:
        from opinionwatch.models.continuing import continue_training, examples_of

        chosen, plan = in_force(settings(config)), _recipe(recipe)
        given = examples_of(Corrections(chosen.data_dir).standing())
        done = continue_training(
            artefact_of(chosen), given, out, recipe_path=plan, data=data, rehearsal=rehearsal, minutes=minutes
        )
        out_.print(f"{done.version} in {done.artefact} after {done.minutes:.1f} minutes; judge and use it with")
        out_.print(f"  opinionwatch model promote {done.artefact} --fixed FILE…", markup=False)
        return
    from opinionwatch.models.train import train as trained

    done = trained(_recipe(recipe), out, data=data, backbone=backbone, resume=resume, strict=strict)
    out_.print(f"{done.version} in {done.artefact} after {done.minutes:.0f} minutes; use it with", markup=False)
    out_.print(f"  scorer: {{kind: neural, artefact: {done.artefact}}}", markup=False)


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
    _all_there([*(texts or []), *(on or [])])
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
    app.command()(score)
    app.command()(evaluate)
    app.command()(explain)
    app.command()(compare)
    app.command()(train)
    app.command()(companion)
    app.command()(compress)
