"""`opinionwatch evaluate`: any scorer on labelled files. Sentiment so far; `train` measures triplets."""

import gzip
from collections.abc import Sequence
from pathlib import Path

import orjson
from pydantic import BaseModel, ConfigDict
from rich.table import Table

from opinionwatch.models.figures import accuracy, macro_f1
from opinionwatch.pipeline.contracts import Sentiment
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.ports import Passage, Scorer

LABELS = ("negative", "neutral", "positive")
CHUNK = 512


class FileFigures(BaseModel):
    """What a scorer reaches on one file; shares in [0, 1]."""

    model_config = ConfigDict(frozen=True)

    file: str
    texts: int
    skipped: int
    """Rows without one of the three labels, or that are no JSON object with a text."""
    two_class: bool
    """Whether the file has no neutral rows: then the likelier of negative and positive counts."""
    accuracy: float
    macro_f1: float
    sure: float
    """Share of texts whose label is not `unsure`."""
    sure_accuracy: float


class Report(BaseModel):
    """All files, in the order given."""

    model_config = ConfigDict(frozen=True)

    scorer: str
    files: tuple[FileFigures, ...]


def evaluate(scorer: Scorer, files: Sequence[Path], *, limit: int | None = None) -> Report:
    """Measure on JSON lines (also .gz) with `text`, `label` and perhaps `lang`; at most `limit` rows a file.

    Raises SettingsError when a file cannot be read or has no labelled row.
    """
    return Report(scorer=scorer.version, files=tuple(_file(scorer, file, limit) for file in files))


def to_json(report: Report) -> str:
    """For programs."""
    return report.model_dump_json(indent=2)


def to_table(report: Report) -> Table:
    """For people."""
    table = Table("file", "texts", "skipped", "accuracy", "macro-F1", "sure", "right when sure", title=report.scorer)
    for each in report.files:
        shares = (each.accuracy, each.macro_f1, each.sure, each.sure_accuracy)
        table.add_row(each.file, str(each.texts), str(each.skipped), *(f"{share:.1%}" for share in shares))
    return table


def _rows(file: Path) -> list[bytes]:
    try:
        data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    except (OSError, EOFError) as error:
        raise SettingsError(f"cannot read {file}: {error}") from error
    return data.splitlines()


def _file(scorer: Scorer, file: Path, limit: int | None) -> FileFigures:
    passages: list[Passage] = []
    gold: list[int] = []
    lines = _rows(file)[:limit]
    for line in lines:
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if isinstance(row, dict) and isinstance(row.get("text"), str) and row.get("label") in LABELS:
            passages.append(Passage(row["text"], str(row.get("lang", "und"))))
            gold.append(LABELS.index(row["label"]))
    if not gold:
        raise SettingsError(f"{file}: no row has a text and a label of {', '.join(LABELS)}")
    said = [
        reading.sentiment
        for start in range(0, len(passages), CHUNK)
        for reading in scorer.score(passages[start : start + CHUNK])
    ]
    closed = 1 not in gold
    told = [_told(sentiment, closed) for sentiment in said]
    sure = [at for at, sentiment in enumerate(said) if not sentiment.unsure]
    return FileFigures(
        file=file.name,
        texts=len(gold),
        skipped=len(lines) - len(gold),
        two_class=closed,
        accuracy=accuracy(gold, told),
        macro_f1=macro_f1(gold, told),
        sure=len(sure) / len(gold),
        sure_accuracy=accuracy([gold[at] for at in sure], [told[at] for at in sure]) if sure else 0.0,
    )


def _told(sentiment: Sentiment, closed: bool) -> int:
    if closed:
        return 0 if sentiment.negative >= sentiment.positive else 2
    return LABELS.index(sentiment.label)
