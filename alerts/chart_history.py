"""The chart of a back-test: a watchlist's share and posts over a longer time, marked events, the alarms of each run.

As in the chart of an alert, all text is digits and English; names stand beside it on the page.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from opinionwatch.alerts.chart import DAY_S, INK, drawn
from opinionwatch.pipeline.contracts_trend import Window

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BARS = 240
RUNS = (INK, "#1f6feb")
"""Colour of the alarms of each run, in order."""
MARKED, QUIET = "#f5c518", "#9aa5b1"
"""Events that should be told, and those that should not."""
Span = tuple[datetime, datetime, bool]
"""Start, end, and whether it should be told."""


def history_chart(windows: Sequence[Window], events: Sequence[Span], runs: Sequence[Sequence[datetime]]) -> bytes:
    """A PNG of 960 × 280 pixels. `runs` are the moments of opening of one or two runs; windows come in any order."""

    def mark(share_axes: "Axes", post_axes: "Axes") -> None:
        for axes in (share_axes, post_axes):
            for start, end, told in events:
                axes.axvspan(_day(start), _day(end), color=MARKED if told else QUIET, alpha=0.35, linewidth=0)
            for colour, style, moments in zip(RUNS, ("--", ":"), runs, strict=False):
                for moment in moments:
                    axes.axvline(_day(moment), color=colour, linewidth=1.4, linestyle=style)

    return drawn(windows, mark, inches=(9.6, 2.8), bars=BARS, ticks=10, line=1.2)


def _day(moment: datetime) -> float:
    """As matplotlib counts: days since 1970."""
    return moment.timestamp() / DAY_S
