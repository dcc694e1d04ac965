"""Commands on models: score, evaluate, train."""

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated

import orjson
import typer

from opinionwatch.pipeline import wiring
from opinionwatch.pipeline.console import ConfigOption, settings
from opinionwatch.pipeline.console import out as out_
from opinionwatch.pipeline.errors import RejectedError, SettingsError
from opinionwatch.pipeline.registry import nearest
from opinionwatch.pipeline.scoring import score_texts
from opinionwatch.pipeline.submission import load

CHUNK = 512
LONGEST_LINE = 8 * 1024 * 1024


def score(config: ConfigOption = None) -> None:
    """Read JSON lines {"text": …} on standard input, write one each in the same order: sentiment, opinions, lang.

    A line that cannot be read is answered with {"error": …}; the others go on.

    Example: echo '{"text": "The battery is awful"}' | opinionwatch score
    """
    scorer = wiring.scorer(settings(config))
    lines = _lines()
    while chunk := list(islice(lines, CHUNK)):
        answers: list[dict[str, object] | None] = []
        texts: list[str] = []
        for line in chunk:
            try:
                texts.append(_text(line))
                answers.append(None)
            except RejectedError as error:
                answers.append({"error": error.reason, "detail": error.detail})
        scored = iter(score_texts(scorer, texts))
        for answer in answers:
            sys.stdout.buffer.write(orjson.dumps(answer if answer is not None else next(scored)) + b"\n")
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
    config: ConfigOption = None,
) -> None:
    """Measure the scorer on labelled files: accuracy, F1, calibration, coverage, triplets.

    Example: opinionwatch evaluate dev.jsonl.gz --json
    """
    import opinionwatch.models.evaluate as evaluation

    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise SettingsError(f"no such file: {', '.join(missing)}")
    report = evaluation.evaluate(wiring.scorer(settings(config)), files, limit=limit)
    if json_:
        sys.stdout.write(evaluation.to_json(report) + "\n")
    else:
        out_.print(evaluation.to_table(report))


def train(
    recipe: Annotated[str, typer.Option(help="A recipe file, or the name of one that ships: default.")] = "default",
    data: Annotated[Path, typer.Option(help="Folder with train/ and dev/.")] = Path("../shared/data"),
    backbone: Annotated[str, typer.Option(help="Folder or hub id of a Hugging Face encoder.")] = "../shared/backbone",
    out: Annotated[Path, typer.Option(help="Run folder: checkpoints, figures, the artefact.")] = Path("runs/default"),
    resume: Annotated[bool, typer.Option(help="Go on from the run folder's last checkpoint.")] = False,
    strict: Annotated[bool, typer.Option(help="Stop at the first bad row instead of counting it.")] = False,
) -> None:
    """Train a model by a recipe: the artefact, its card and its figures are left in the run folder.

    Survives kill -9: start it again with --resume.   Example: opinionwatch train --recipe default --out runs/mine
    """
    from opinionwatch.models.train import RECIPES
    from opinionwatch.models.train import train as trained

    path = Path(recipe) if recipe.endswith((".yaml", ".yml")) else RECIPES / f"{recipe}.yaml"
    if not path.is_file():
        raise SettingsError(f"no recipe {path}; {nearest(recipe, (found.stem for found in RECIPES.glob('*.yaml')))}")
    done = trained(path, out, data=data, backbone=backbone, resume=resume, strict=strict)
    out_.print(f"{done.version} in {done.artefact} after {done.minutes:.0f} minutes; use it with", markup=False)
    out_.print(f"  scorer: {{kind: neural, artefact: {done.artefact}}}", markup=False)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(score)
    app.command()(evaluate)
    app.command()(train)
