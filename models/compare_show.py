"""Shows a comparison in a terminal: a table of differences with their intervals, and the rows where the two part."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from opinionwatch.models.compare import Change, Comparison, FileComparison

EXCERPT = 80
_STYLE = {"better": "green", "worse": "red", "no difference shown": "dim"}


def to_table(found: Comparison) -> RenderableType:
    """Tables for people."""
    models = f"{escape(found.old)} → {escape(found.new)}"
    parts: list[RenderableType] = [_moods(models, "texts", found.files)] if found.files else []
    if found.opinions:
        parts.append(_opinions(found))
    if found.targets:
        parts.append(_moods(f"towards names · {models}", "names", found.targets))
    if found.unjudged:
        parts.append(f"not judged, no row has a label, triplets or names: {escape(', '.join(found.unjudged))}")
    return Group(*parts, *(_flips(each) for each in (*found.files, *found.targets) if each.flips))


def _moods(title: str, what: str, files: Sequence[FileComparison]) -> Table:
    table = Table(title=title, caption="² judged on two classes; 95 % intervals")
    table.add_column("", overflow="fold", min_width=16)
    for name in (what, "accuracy", "gain", "macro F1", "gain", "mended", "broken"):
        table.add_column(name, justify="right")
    for each in files:
        table.add_row(
            _short(each.file),
            f"{each.texts:,}{'²' if each.classes == 2 else ''}",
            *_change(each.accuracy),
            *_change(each.macro_f1),
            f"{each.mended:,}",
            f"{each.broken:,}",
        )
    return table


def _opinions(found: Comparison) -> Table:
    table = Table("", "texts", "triplet F1", "gain", title="opinion triplets, exactly")
    for each in found.opinions:
        table.add_row(_short(each.file), f"{each.texts:,}", *_change(each.triplet_f1))
    return table


def _short(file: str) -> str:
    return escape(file.removesuffix(".gz").removesuffix(".jsonl"))


def _change(change: Change) -> tuple[str, str]:
    gain = 100 * (change.new - change.old)
    spread = f"{100 * change.low:+.1f} … {100 * change.high:+.1f}"
    style = _STYLE[change.verdict]
    return f"{change.old:.1%} → {change.new:.1%}", f"[{style}]{gain:+.1f} ({spread})[/{style}]"


def _flips(each: FileComparison) -> Table:
    table = Table("line", "is", "old", "new", "text", title=f"{escape(each.file)}: where they part, first rows")
    for flip in each.flips:
        style = "green" if flip.new == flip.gold else "red"
        # Texts are strangers': nothing in them may steer the terminal.
        text = "".join(sign if sign.isprintable() else "·" for sign in " ".join(flip.text.split()))
        shown = text if len(text) <= EXCERPT else text[: EXCERPT - 1] + "…"
        table.add_row(str(flip.line), flip.gold, flip.old, f"[{style}]{flip.new}[/{style}]", escape(shown))
    return table
