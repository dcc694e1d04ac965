"""The chart of an alert: share of negative voices with its interval, number of posts, and the moment of opening.

All text in it is digits and English, so that no machine needs a Chinese font; the words around it are in the message.
"""

import io
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from opinionwatch.pipeline.contracts_trend import Window

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
BARS = 96
"""Most points in time; finer buckets are joined."""
BUCKET_S, DAY_S = 300, 86_400
RED, GREY, INK = "#b3261e", "#b8c0c8", "#3c4650"
_drawing = Lock()
"""matplotlib shares caches between figures and is not made for threads."""


def chart(windows: Sequence[Window], opened_at: datetime) -> bytes:
    """A PNG of 720 × 320 pixels, under 60 kB. `windows` are a watchlist's rows in any order, over any span."""
    opening = opened_at.timestamp() / DAY_S

    def mark(share_axes: "Axes", post_axes: "Axes") -> None:
        for axes in (share_axes, post_axes):
            axes.axvline(opening, color=INK, linewidth=1, linestyle="--")
        share_axes.annotate("alert", (opening, 100), (3, -9), textcoords="offset points", fontsize=8)

    return drawn(windows, mark, inches=(7.2, 3.2), bars=BARS, ticks=8, line=1.6)


def drawn(
    windows: Sequence[Window],
    mark: Callable[["Axes", "Axes"], None],
    *,
    inches: tuple[float, float],
    bars: int,
    ticks: int,
    line: float,
) -> bytes:
    """A PNG at 100 dpi: the share with its interval above the posts, and what `mark` adds to the two.

    A window's sources and aspects are added up; the interval is Wilson's at 95 % on the voices the scorer is sure of.
    Time is counted as matplotlib does, in days since 1970.
    """
    # Imported here: it takes half a second that nobody should wait for who draws nothing.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure

    starts, posts, negative, sure, step_s = joined(windows, bars)
    times = starts / DAY_S
    with _drawing:
        figure = Figure(figsize=inches, dpi=100, layout="constrained")
        FigureCanvasAgg(figure)
        share_axes, post_axes = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        known = sure > 0
        low, middle, high = wilson(negative[known], sure[known])
        share_axes.fill_between(times[known], 100 * low, 100 * high, color=RED, alpha=0.18, linewidth=0)
        share_axes.plot(times[known], 100 * middle, color=RED, linewidth=line)
        share_axes.set_ylim(0, 100)
        share_axes.set_ylabel("negative voices, %")
        post_axes.bar(times, posts, width=step_s / DAY_S, align="edge", color=GREY)
        post_axes.set_ylabel("posts")
        mark(share_axes, post_axes)
        for axes in (share_axes, post_axes):
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(labelsize=8, colors=INK)
            axes.yaxis.label.set(size=8, color=INK)
        locator = AutoDateLocator(tz=UTC, maxticks=ticks)  # type: ignore[no-untyped-call]  # matplotlib's own
        post_axes.xaxis.set_major_locator(locator)
        clock = ConciseDateFormatter(locator, tz=UTC)  # type: ignore[no-untyped-call]  # matplotlib's own
        post_axes.xaxis.set_major_formatter(clock)
        post_axes.set_xlabel("time (UTC)", fontsize=8, color=INK)
        png = io.BytesIO()
        figure.savefig(png, format="png", metadata={"Software": "opinionwatch"})
    return png.getvalue()


def wilson(negative: Array, sure: Array) -> tuple[Array, Array, Array]:
    """Low end, estimate and high end of a share at 95 % (Wilson 1927); `sure` is positive."""
    z2 = 1.959964**2
    share = negative / sure
    centre = (share + z2 / (2 * sure)) / (1 + z2 / sure)
    reach = np.sqrt(z2 * (share * (1 - share) / sure + z2 / (4 * sure**2))) / (1 + z2 / sure)
    return np.maximum(centre - reach, 0), share, np.minimum(centre + reach, 1)


def joined(windows: Sequence[Window], bars: int = BARS) -> tuple[Array, Array, Array, Array, int]:
    """Start (Unix time), posts, negative and sure voices of at most `bars` steps, and the length of a step."""
    if not windows:
        empty = np.zeros(0)
        return empty, empty, empty, empty, BUCKET_S
    moments = np.array([window.start.timestamp() for window in windows])
    buckets = (moments.max() - moments.min()) // BUCKET_S + 1
    step_s = BUCKET_S * int(np.ceil(buckets / bars))
    first = moments.min() // step_s
    place = (moments // step_s - first).astype(np.int64)
    counts = np.zeros((3, int(place.max()) + 1))
    for row, name in enumerate(("posts", "negative_voices", "sure_voices")):
        np.add.at(counts[row], place, [getattr(window, name) for window in windows])
    starts = (first + np.arange(counts.shape[1])) * step_s
    return starts, counts[0], counts[1], counts[2], step_s
