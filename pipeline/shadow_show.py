"""Shows in a terminal what a shadow has seen."""

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from opinionwatch.pipeline.console import plain
from opinionwatch.pipeline.shadow import LABELS, Hour, Shadow

MOST_HOURS = 24


def to_table(found: Shadow) -> RenderableType:
    """Tables for people."""
    head = f"{', '.join(found.old) or 'nothing'} → {found.new}: {found.texts:,} texts, other labels {found.parted:.1%}"
    both = Table("pipeline \\ shadow", *LABELS, title=escape(head), caption=_caption(found))
    for old in LABELS:
        both.add_row(old, *(f"{found.table[old][new]:,}" for new in LABELS))
    parts = Table("", "texts", "other labels")
    for each in (*found.langs, *found.sources):
        parts.add_row(escape(plain(each.name)), f"{each.texts:,}", f"{each.share:.1%}")
    return Group(both, parts, _hours(found), _examples(found))


def _caption(found: Shadow) -> str:
    return f"P(negative) {found.moved:.3f} apart on average; {found.refused:,} texts that the shadow cannot read"


def _hours(found: Shadow) -> Table:
    table = Table(
        "watchlist", "hour", "mentions", "negative", "would be", title="the hours that would have been most different"
    )
    for hour in sorted(found.hours, key=_apart, reverse=True)[:MOST_HOURS]:
        table.add_row(
            escape(plain(hour.watchlist)),
            f"{hour.start:%Y-%m-%d %H:%M}",
            f"{hour.mentions:,}",
            _share(hour.negative, hour.sure),
            _share(hour.negative_shadow, hour.sure_shadow),
        )
    return table


def _apart(hour: Hour) -> float:
    return abs(hour.negative / max(1, hour.sure) - hour.negative_shadow / max(1, hour.sure_shadow))


def _share(negative: int, sure: int) -> str:
    return f"{negative:,} of {sure:,} ({negative / sure:.0%})" if sure else "–"


def _examples(found: Shadow) -> Table:
    table = Table("pipeline", "shadow", "text", title="furthest apart")
    for each in found.examples:
        text = plain(" ".join(each.text.split()))
        table.add_row(each.old, each.new, escape(text if len(text) <= 80 else text[:79] + "…"))
    return table
