"""The pictures of an evaluation, as SVG: confusion, what probabilities promise and keep, and what trusting less gains.

All text in them is digits and English, so that no machine needs a Chinese font.
"""

import io
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING

from opinionwatch.models.evaluate_tally import MoodFigures
from opinionwatch.models.examples import LABELS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, RED, GREY = "#3c4650", "#b3261e", "#b8c0c8"
INCHES = 3.4
_drawing = Lock()
"""matplotlib shares caches between figures and is not made for threads."""


def plots(figures: MoodFigures) -> dict[str, bytes]:
    """SVG pictures by name: `confusion`, `reliability`, `risk-coverage`."""
    return {
        "confusion": _svg(lambda axes: _confusion(axes, figures)),
        "reliability": _svg(lambda axes: _reliability(axes, figures)),
        "risk-coverage": _svg(lambda axes: _risk_coverage(axes, figures)),
    }


def _svg(draw: "Callable[[Axes], None]") -> bytes:
    # Imported here: it takes half a second that nobody should wait for who draws nothing.
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    # A fixed salt and no date: the same figures give the same bytes.
    with _drawing, rc_context({"svg.hashsalt": "opinionwatch", "svg.fonttype": "none", "text.color": INK}):
        figure = Figure(figsize=(INCHES, INCHES), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure.subplots())
        written = io.BytesIO()
        figure.savefig(written, format="svg", metadata={"Date": None})
    drawn = written.getvalue()
    return drawn[drawn.index(b"<svg") :]


def _confusion(axes: "Axes", figures: MoodFigures) -> None:
    names = [*figures.by_class]
    places = [LABELS.index(name) for name in names]
    counts = [[figures.confusion[true][said] for said in places] for true in places]
    shares = [[count / max(1, sum(row)) for count in row] for row in counts]
    axes.imshow(shares, cmap="Greys", vmin=0, vmax=1)
    for row, (numbers, parts) in enumerate(zip(counts, shares, strict=True)):
        for column, (number, part) in enumerate(zip(numbers, parts, strict=True)):
            colour = "white" if part > 0.5 else INK
            axes.text(column, row, f"{number:,}\n{part:.0%}", ha="center", va="center", color=colour)
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names, rotation=90, va="center")
    axes.set(xlabel="said", ylabel="true", title="confusion")


def _reliability(axes: "Axes", figures: MoodFigures) -> None:
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    largest = max(bin_.texts for bin_ in figures.reliability)
    axes.scatter(
        [bin_.certainty for bin_ in figures.reliability],
        [bin_.accuracy for bin_ in figures.reliability],
        s=[8 + 90 * bin_.texts / largest for bin_ in figures.reliability],
        color=RED,
    )
    axes.set(xlabel="best probability", ylabel="accuracy", xlim=(0.3, 1.01), ylim=(0, 1.02))
    axes.set_title(f"calibration error {figures.calibration_error:.1%}")


def _risk_coverage(axes: "Axes", figures: MoodFigures) -> None:
    coverage = [point.coverage for point in figures.risk_coverage]
    axes.plot(coverage, [1 - point.accuracy for point in figures.risk_coverage], color=INK)
    axes.scatter([figures.coverage], [1 - figures.sure_accuracy], color=RED, zorder=3)
    axes.annotate(
        "called sure", (figures.coverage, 1 - figures.sure_accuracy), textcoords="offset points", xytext=(6, 6)
    )
    axes.set(xlabel="coverage", ylabel="risk: share wrong", xlim=(0, 1.02), ylim=(0, None), title="risk–coverage")
