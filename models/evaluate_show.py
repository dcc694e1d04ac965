"""Shows an evaluation in a terminal: progress while it runs, tables when it is done."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from opinionwatch.models.evaluate_report import Report
from opinionwatch.models.evaluate_tally import MoodFigures, OpinionFigures, TargetFigures
from opinionwatch.models.examples import LABELS

_MOOD = ("texts", "accuracy", "macro F1", "macro recall", "calib. error", "sure", "right if sure")
_OPINION = ("texts", "right", "given", "P", "R", "F1", "F1 partial", "terms F1", "terms F1 partial")


@contextmanager
def progress(files: int) -> Iterator[Callable[[str, int, bool], None]]:
    """A bar on standard error if that is a terminal.

    Call what it gives with the file, how many more rows were read, and whether that was the last of them.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("files"))
    rows = 0
    with Progress(
        *columns,
        TextColumn("{task.fields[rows]:,} rows"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    ) as bar:
        task = bar.add_task("", total=files, rows=0)

        def step(file: str, more: int, done: bool) -> None:
            nonlocal rows
            rows += more
            bar.update(task, description=escape(file), rows=rows, advance=int(done))

        yield step


def to_table(report: Report) -> RenderableType:
    """Tables for people: sentiment by file, language and slice; classes of all files; triplets; names; skipped rows."""
    parts: list[RenderableType] = []
    if report.sentiment is not None:
        parts += [_moods(report), _classes(report.sentiment)]
    if report.opinions is not None:
        parts.append(_opinions(report))
    if report.targets:
        parts.append(_targets(report))
    if any(each.skipped for each in report.files):
        parts.append(_skipped(report))
    return Group(*parts)


def _moods(report: Report) -> Table:
    table = _table(f"sentiment · {escape(report.scorer)}", *_MOOD)
    table.caption = "² judged on two classes"
    for each in report.files:
        if each.sentiment is not None:
            table.add_row(_short(each.file), *_mood(each.sentiment))
    for groups in (report.by_language, report.by_slice, report.by_trait):
        if len(groups) > 1:
            table.add_section()
            for name, figures in groups.items():
                table.add_row(escape(name), *_mood(figures))
    if report.sentiment is not None and len(report.files) > 1:
        table.add_section()
        table.add_row("all", *_mood(report.sentiment))
    return table


def _mood(figures: MoodFigures) -> list[str]:
    shares = (
        figures.accuracy,
        figures.macro_f1,
        figures.macro_recall,
        figures.calibration_error,
        figures.coverage,
        figures.sure_accuracy,
    )
    return [f"{figures.texts:,}{'²' if figures.classes == 2 else ''}", *(f"{share:.1%}" for share in shares)]


def _classes(figures: MoodFigures) -> Table:
    table = Table("is", *(f"said {name}" for name in figures.by_class), "precision", "recall", "F1")
    table.title = "classes, all files"
    for name, found in figures.by_class.items():
        counts = (figures.confusion[LABELS.index(name)][LABELS.index(said)] for said in figures.by_class)
        shares = (found.precision, found.recall, found.f1)
        table.add_row(name, *(f"{count:,}" for count in counts), *(f"{share:.1%}" for share in shares))
    return table


def _opinions(report: Report) -> Table:
    table = _table("opinions: aspect, opinion term and polarity, exactly; and partial, and terms alone", *_OPINION)
    for each in report.files:
        if each.opinions is not None:
            table.add_row(_short(each.file), *_opinion(each.opinions))
    if report.opinions is not None and len(report.files) > 1:
        table.add_section()
        table.add_row("all", *_opinion(report.opinions))
    return table


def _opinion(figures: OpinionFigures) -> list[str]:
    exact = figures.triplets
    shares = (exact.precision, exact.recall, exact.f1, figures.triplets_partial.f1)
    alone = (figures.opinions.f1, figures.opinions_partial.f1)
    counts = (figures.texts, figures.right, figures.given)
    return [*(f"{count:,}" for count in counts), *(f"{share:.1%}" for share in (*shares, *alone))]


def _targets(report: Report) -> Table:
    table = _table("sentiment towards names", "names", *_MOOD[1:], "of the text")
    table.caption = "of the text: macro F1 of the text's own sentiment, taken for that towards every name in it"
    for each in report.files:
        if each.targets is not None:
            table.add_row(_short(each.file), *_target(each.targets))
    table.add_section()
    for part, figures in report.targets.items():
        table.add_row(escape(part), *_target(figures))
    return table


def _target(figures: TargetFigures) -> list[str]:
    return [*_mood(figures.own), f"{figures.of_text:.1%}"]


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title)
    table.add_column("", overflow="fold", min_width=16)
    for name in columns:
        table.add_column(name, justify="right", min_width=8 if " " not in name else 7)
    return table


def _short(file: str) -> str:
    return escape(file.removesuffix(".gz").removesuffix(".jsonl"))


def _skipped(report: Report) -> Table:
    table = Table("file", "rows", "why", "first lines", title="rows that were not measured")
    for each in report.files:
        for reason, count in each.skipped.items():
            lines = ", ".join(str(row.line) for row in each.first_skipped if row.reason == reason)
            table.add_row(_short(each.file), f"{count:,}", escape(reason), lines)
    return table
