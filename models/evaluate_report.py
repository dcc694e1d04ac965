"""What an evaluation found, as data."""

from pydantic import BaseModel, ConfigDict

from opinionwatch.models.evaluate_tally import MoodFigures, OpinionFigures, TargetFigures


class SkippedRow(BaseModel):
    """A row that was not measured."""

    model_config = ConfigDict(frozen=True)

    line: int
    reason: str


class FileReport(BaseModel):
    """What a scorer reaches on one file."""

    model_config = ConfigDict(frozen=True)

    file: str
    sentiment: MoodFigures | None
    """None where no row has a label."""
    by_language: dict[str, MoodFigures]
    by_slice: dict[str, MoodFigures]
    """Where the file says what a row stands for."""
    by_trait: dict[str, MoodFigures]
    """Length, negation, emoji, mixed-language, obfuscated: read off the texts, see `slices`."""
    opinions: OpinionFigures | None
    """None where no row has triplets."""
    targets: TargetFigures | None = None
    """None where no row has names."""
    skipped: dict[str, int]
    """Rows that were not measured, by reason."""
    first_skipped: tuple[SkippedRow, ...]
    """The first 20 of them."""


class Report(BaseModel):
    """All files in the order given, and all of them together."""

    model_config = ConfigDict(frozen=True)

    scorer: str
    files: tuple[FileReport, ...]
    sentiment: MoodFigures | None
    by_language: dict[str, MoodFigures]
    by_slice: dict[str, MoodFigures]
    by_trait: dict[str, MoodFigures]
    opinions: OpinionFigures | None
    targets: dict[str, TargetFigures] = {}
    """Of the names in all files, in those of each language, and of each slice."""


def to_json(report: Report) -> str:
    """For programs."""
    return report.model_dump_json(indent=2)
