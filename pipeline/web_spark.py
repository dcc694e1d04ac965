"""A small chart as SVG paths: negative share as a line in its interval, posts as bars, open episodes as a shade."""

from collections.abc import Sequence

from opinionwatch.pipeline.contracts import Record
from opinionwatch.pipeline.contracts_trend import Episode
from opinionwatch.pipeline.web_trend import Point

WIDTH, HEIGHT = 320.0, 84.0
SHARE_HEIGHT = 56.0
BARS_TOP = 60.0
TOP_AT_LEAST = 0.3
"""The line's scale reaches at least this share, so that a calm watchlist looks calm."""


class Shade(Record):
    """A stretch of the chart, from `x` on."""

    x: float
    width: float


class Spark(Record):
    """Paths in a box of `WIDTH` × `HEIGHT`; empty where there is nothing to draw."""

    line: str = ""
    band: str = ""
    bars: str = ""
    last: tuple[float, float] | None = None
    top: float = TOP_AT_LEAST
    shades: tuple[Shade, ...] = ()


def spark(points: Sequence[Point], episodes: Sequence[Episode] = ()) -> Spark:
    """Draw points that lie at equal distances, newest last."""
    if not points:
        return Spark()
    step = WIDTH / len(points)
    known = [(step * (i + 0.5), part.trailing) for i, part in enumerate(points) if part.trailing is not None]
    top = max([TOP_AT_LEAST, *(1.1 * share.value for _, share in known)])

    def place(x: float, share: float) -> tuple[float, float]:
        return round(x, 1), round(SHARE_HEIGHT * (1 - min(share, top) / top), 1)

    line = [place(x, share.value) for x, share in known]
    edge = [place(x, share.high) for x, share in known] + [place(x, share.low) for x, share in reversed(known)]
    most = max(part.posts for part in points) or 1
    return Spark(
        line=_path(line),
        band=_path(edge) + "Z" if edge else "",
        bars="".join(_bar(step * i, step, part.posts / most) for i, part in enumerate(points) if part.posts),
        last=line[-1] if line else None,
        top=top,
        shades=tuple(_shades(points, episodes, step)),
    )


def _path(places: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x} {y}" for x, y in places) if places else ""


def _bar(x: float, width: float, part: float) -> str:
    height = max(1.0, (HEIGHT - BARS_TOP) * part)
    return f"M{x + 0.5:.1f} {HEIGHT - height:.1f}h{width - 1:.1f}v{height:.1f}h{1 - width:.1f}z"


def _shades(points: Sequence[Point], episodes: Sequence[Episode], step: float) -> list[Shade]:
    shades = []
    for episode in episodes:
        inside = [i for i, part in enumerate(points) if part.at >= episode.began_at]
        first = max(0, (inside[0] if inside else len(points)) - 1)
        shades.append(Shade(x=round(first * step, 1), width=round(WIDTH - first * step, 1)))
    return shades
