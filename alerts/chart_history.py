"""The chart of a back-test: a watchlist's share and posts over a longer time, marked events, the alarms of each run.

As in the chart of an alert, all text is digits and English; names stand beside it on the page.
"""

import io
from collections.abc import Sequence
from datetime import UTC, datetime

from opinionwatch.alerts.chart import DAY_S, GREY, INK, RED, drawing, joined, wilson
from opinionwatch.pipeline.contracts_trend import Window

BARS = 240
RUNS = (INK, "#1f6feb")
"""Colour of the alarms of each run, in order."""
MARKED, QUIET = "#f5c518", "#9aa5b1"
"""Events that should be told, and those that should not."""
Span = tuple[datetime, datetime, bool]
"""Start, end, and whether it should be told."""


def history_chart(windows: Sequence[Window], events: Sequence[Span], runs: Sequence[Sequence[datetime]]) -> bytes:
    """A PNG of 960 × 280 pixels. `runs` are the moments of opening of one or two runs; windows come in any order."""
    # Imported here: it takes half a second that nobody should wait for who draws nothing.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure

    starts, posts, negative, sure, step_s = joined(windows, BARS)
    times = starts / DAY_S
    with drawing:
        figure = Figure(figsize=(9.6, 2.8), dpi=100, layout="constrained")
        FigureCanvasAgg(figure)
        share_axes, post_axes = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        known = sure > 0
        low, middle, high = wilson(negative[known], sure[known])
        share_axes.fill_between(times[known], 100 * low, 100 * high, color=RED, alpha=0.18, linewidth=0)
        share_axes.plot(times[known], 100 * middle, color=RED, linewidth=1.2)
        share_axes.set_ylim(0, 100)
        share_axes.set_ylabel("negative voices, %")
        post_axes.bar(times, posts, width=step_s / DAY_S, align="edge", color=GREY)
        post_axes.set_ylabel("posts")
        for axes in (share_axes, post_axes):
            for start, end, told in events:
                axes.axvspan(_day(start), _day(end), color=MARKED if told else QUIET, alpha=0.35, linewidth=0)
            for colour, style, moments in zip(RUNS, ("--", ":"), runs, strict=False):
                for moment in moments:
                    axes.axvline(_day(moment), color=colour, linewidth=1.4, linestyle=style)
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(labelsize=8, colors=INK)
            axes.yaxis.label.set(size=8, color=INK)
        locator = AutoDateLocator(tz=UTC, maxticks=10)  # type: ignore[no-untyped-call]  # matplotlib's own
        post_axes.xaxis.set_major_locator(locator)
        clock = ConciseDateFormatter(locator, tz=UTC)  # type: ignore[no-untyped-call]  # matplotlib's own
        post_axes.xaxis.set_major_formatter(clock)
        post_axes.set_xlabel("time (UTC)", fontsize=8, color=INK)
        drawn = io.BytesIO()
        figure.savefig(drawn, format="png", metadata={"Software": "opinionwatch"})
    return drawn.getvalue()


def _day(moment: datetime) -> float:
    """As matplotlib counts: days since 1970."""
    return moment.timestamp() / DAY_S
