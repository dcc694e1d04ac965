"""`opinionwatch evaluate`: any scorer on anybody's labelled files, streamed, in constant memory."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from opinionwatch.models.evaluate_read import Labelled, Skipped, names_of, read_labelled
from opinionwatch.models.evaluate_report import FileReport, Report, SkippedRow, to_json
from opinionwatch.models.evaluate_show import progress, to_table
from opinionwatch.models.evaluate_tally import MoodFigures, MoodTally, OpinionTally, TargetTally
from opinionwatch.models.examples import LABELS
from opinionwatch.models.readings import CHUNK, folded_of, links_of, moods_of, readings
from opinionwatch.models.slices import slices_of
from opinionwatch.pipeline.contracts import Reading
from opinionwatch.pipeline.errors import RejectedError, SettingsError
from opinionwatch.pipeline.ports import Scorer

SHOWN = 20
"""Skipped rows that are listed with their line; all are counted."""
MOST_REASONS = 50
ALL = "all"
__all__ = ["FileReport", "Report", "evaluate", "to_json", "to_table"]


def evaluate(scorer: Scorer, files: Sequence[Path], *, limit: int | None = None) -> Report:
    """Measure on labelled files (`evaluate_read` says which), at most `limit` rows each.

    A file without neutral rows is judged on negative and positive alone. Raises SettingsError when a file cannot be
    read, or when no row of any of them can be measured.
    """
    reports: list[FileReport] = []
    moods: dict[_Group, MoodTally] = {}
    opinions = OpinionTally()
    targets: defaultdict[str, TargetTally] = defaultdict(TargetTally)
    with progress(len(files)) as step:
        for file, name in zip(files, names_of(files), strict=True):
            counts = _Counts()
            rows = read_labelled(file, limit)
            while chunk := list(islice(rows, CHUNK)):
                counts.add(scorer, chunk)
                step(file.name, len(chunk), False)
            step(file.name, 0, True)
            reports.append(counts.report(name))
            for group, tally in counts.moods().items():
                moods.setdefault(group, MoodTally(closed=True)).merge(tally)
            opinions.merge(counts.opinions)
            for part, told in counts.targets.items():
                targets[part].merge(told)
    if not moods and not opinions.texts and not targets:
        why = "; ".join(f"{reason}: {count}" for each in reports for reason, count in each.skipped.items())
        raise SettingsError(f"{', '.join(map(str, files))}: no row can be measured ({why or 'no rows'})")
    return Report(
        scorer=scorer.version,
        files=tuple(reports),
        sentiment=_figures(moods, "all").get(""),
        by_language=_figures(moods, "lang"),
        by_slice=_figures(moods, "slice"),
        by_trait=_figures(moods, "trait"),
        opinions=opinions.figures() if opinions.texts else None,
        targets={part: tally.figures() for part, tally in targets.items()},
    )


_Group = tuple[str, str]
"""Kind (`all`, `lang`, `slice`, `trait`) and name."""


@dataclass
class _Counts:
    """The counts of one file. Only its end tells whether it has neutral rows: until then both verdicts are kept."""

    judged: dict[_Group, tuple[MoodTally, MoodTally]] = field(default_factory=dict)
    opinions: OpinionTally = field(default_factory=OpinionTally)
    targets: defaultdict[str, TargetTally] = field(default_factory=lambda: defaultdict(TargetTally))
    """All of them, and those of each language and slice, by its name."""
    skipped: Counter[str] = field(default_factory=Counter)
    first_skipped: list[SkippedRow] = field(default_factory=list)
    neutral: bool = False

    def add(self, scorer: Scorer, rows: Sequence[Labelled | Skipped]) -> None:
        """Read some rows."""
        labelled = [row for row in rows if isinstance(row, Labelled)]
        for row in rows:
            if isinstance(row, Skipped):
                self._skip(row)
        folded = folded_of(labelled)
        for row, text, reading in zip(labelled, folded, readings(scorer, labelled, folded), strict=True):
            if isinstance(reading, RejectedError):
                self._skip(Skipped(row.line, f"refused by the scorer: {reading.reason}"))
                continue
            if row.label is not None:
                self._judge(row, row.label, reading, slices_of(text, row.lang))
            if row.links is not None:
                self.opinions.add(row.links, links_of(reading, text))
            for (_, mood), said in zip(row.targets or (), moods_of(row, reading), strict=True):
                for part in filter(None, (ALL, row.lang, row.slice)):
                    self.targets[part].add(mood, said, reading.sentiment)

    def _judge(self, row: Labelled, label: int, reading: Reading, traits: Sequence[str]) -> None:
        self.neutral = self.neutral or LABELS[label] == "neutral"
        groups: list[_Group] = [("all", ""), ("lang", row.lang), *(("trait", trait) for trait in traits)]
        if row.slice is not None:
            groups.append(("slice", row.slice))
        for group in groups:
            for tally in self.judged.setdefault(group, (MoodTally(closed=False), MoodTally(closed=True))):
                tally.add(label, reading.sentiment)

    def _skip(self, row: Skipped) -> None:
        self.skipped[row.reason if row.reason in self.skipped or len(self.skipped) < MOST_REASONS else "other"] += 1
        if len(self.first_skipped) < SHOWN:
            self.first_skipped.append(SkippedRow(line=row.line, reason=row.reason))

    def moods(self) -> dict[_Group, MoodTally]:
        """The verdicts that count."""
        return {group: open_ if self.neutral else closed for group, (open_, closed) in self.judged.items()}

    def report(self, name: str) -> FileReport:
        """What came out."""
        moods = self.moods()
        return FileReport(
            file=name,
            sentiment=_figures(moods, "all").get(""),
            by_language=_figures(moods, "lang"),
            by_slice=_figures(moods, "slice"),
            by_trait=_figures(moods, "trait"),
            opinions=self.opinions.figures() if self.opinions.texts else None,
            targets=self.targets[ALL].figures() if self.targets else None,
            skipped=dict(self.skipped.most_common()),
            first_skipped=tuple(self.first_skipped),
        )


def _figures(moods: Mapping[_Group, MoodTally], kind: str) -> dict[str, MoodFigures]:
    return {name: tally.figures() for (each, name), tally in sorted(moods.items()) if each == kind}
