"""Writes an evaluation down for people: Markdown with pictures beside it, and one HTML page that holds everything."""

from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path

from opinionwatch.models.evaluate_plots import plots
from opinionwatch.models.evaluate_report import Report
from opinionwatch.models.evaluate_tally import Found, MoodFigures, OpinionFigures
from opinionwatch.pipeline.errors import SettingsError

_MOOD = (
    "",
    "texts",
    "accuracy",
    "macro F1",
    "95 %",
    "macro recall",
    "calibration error",
    "called sure",
    "right if sure",
)
_CLASS = ("", "precision", "recall", "F1", "texts")
_TRIPLET = ("", "texts", "right", "given", "P", "R", "F1", "P partial", "R partial", "F1 partial", "terms F1")
_NOTE = (
    "² has no neutral texts: the likelier of negative and positive counts. The interval is a bootstrap's. Partial "
    "triplets overlap the right ones; polarity always counts."
)
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#3c4650}"
    "table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .7rem;text-align:right;border-bottom:1px solid "
    "#dde2e6}td:first-child,th:first-child{text-align:left}svg{max-width:22rem;height:auto}"
)
Table = tuple[str, Sequence[str], list[list[str]]]
"""Title, columns, rows."""


def write_pages(report: Report, folder: Path) -> list[Path]:
    """Write `report.md`, `report.html` and the pictures; returns what was written. SettingsError if it cannot be."""
    pictures = {} if report.sentiment is None else plots(report.sentiment)
    tables = [*_tables(report)]
    files = {"report.md": _markdown(report, tables, pictures).encode()}
    files["report.html"] = _html(report, tables, pictures).encode()
    files |= {f"{name}.svg": drawn for name, drawn in pictures.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise SettingsError(f"cannot write the report to {folder}: {error}") from error
    return [folder / name for name in files]


def _tables(report: Report) -> Iterable[Table]:
    files = {each.file: each.sentiment for each in report.files if each.sentiment is not None}
    groups = (("files", files), ("languages", report.by_language), ("slices", report.by_slice))
    for title, found in (*groups, ("traits of the texts", report.by_trait)):
        if found:
            yield f"Sentiment by {title}", _MOOD, [_mood(name, figures) for name, figures in found.items()]
    if report.sentiment is not None:
        rows = [[name, *_shares(each), f"{each.support:,}"] for name, each in report.sentiment.by_class.items()]
        yield "Sentiment by class, all files", _CLASS, rows
    opinions = {each.file: each.opinions for each in report.files if each.opinions is not None}
    if opinions:
        yield "Opinion triplets", _TRIPLET, [_triplets(name, figures) for name, figures in opinions.items()]
    targets = {each.file: each.targets for each in report.files if each.targets is not None} | report.targets
    if targets:
        rows = [[*_mood(name, each.own), f"{each.of_text:.1%}"] for name, each in targets.items()]
        yield "Sentiment towards names", ("", "names", *_MOOD[2:], "macro F1 of the text's own"), rows
    skipped = [[each.file, reason, f"{count:,}"] for each in report.files for reason, count in each.skipped.items()]
    if skipped:
        yield "Rows that were not measured", ("file", "why", "rows"), skipped


def _mood(name: str, figures: MoodFigures) -> list[str]:
    low, high = figures.macro_f1_interval
    return [
        f"{name}{'²' if figures.classes == 2 else ''}",
        f"{figures.texts:,}",
        f"{figures.accuracy:.1%}",
        f"{figures.macro_f1:.1%}",
        f"{100 * low:.1f}–{100 * high:.1f}",
        *(f"{share:.1%}" for share in (figures.macro_recall, figures.calibration_error)),
        *(f"{share:.1%}" for share in (figures.coverage, figures.sure_accuracy)),
    ]


def _triplets(name: str, figures: OpinionFigures) -> list[str]:
    counts = (figures.texts, figures.right, figures.given)
    shares = (*_shares(figures.triplets), *_shares(figures.triplets_partial), f"{figures.opinions.f1:.1%}")
    return [name, *(f"{count:,}" for count in counts), *shares]


def _shares(found: Found) -> list[str]:
    return [f"{share:.1%}" for share in (found.precision, found.recall, found.f1)]


def _markdown(report: Report, tables: Iterable[Table], pictures: dict[str, bytes]) -> str:
    def cell(text: str) -> str:
        return "".join(f"\\{sign}" if sign in "\\`*_[]<>|" else sign for sign in " ".join(text.split()))

    parts = [f"# Evaluation of {cell(report.scorer)}", *(f"![{name}]({name}.svg)" for name in pictures)]
    parts += [f"## {title}\n\n{_rows(columns, rows, cell)}" for title, columns, rows in tables]
    return "\n\n".join([*parts, _NOTE]) + "\n"


def _rows(columns: Sequence[str], rows: list[list[str]], cell: Callable[[str], str]) -> str:
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *([cell(text) for text in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _html(report: Report, tables: Iterable[Table], pictures: dict[str, bytes]) -> str:
    body = [f"<h1>Evaluation of {escape(report.scorer)}</h1>"]
    body += [f'<span role="img" aria-label="{name}">{drawn.decode()}</span>' for name, drawn in pictures.items()]
    for title, columns, rows in tables:
        head = "".join(f"<th>{escape(name)}</th>" for name in columns)
        lines = "".join(f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in row)}</tr>" for row in rows)
        body.append(f"<h2>{escape(title)}</h2><table><tr>{head}</tr>{lines}</table>")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Evaluation of {escape(report.scorer)}</title>'
        f"<style>{_STYLE}</style>{''.join(body)}<p>{escape(_NOTE)}</p></html>\n"
    )
