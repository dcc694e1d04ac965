"""The detector's coordinates: watchlist → row, and within each watchlist source → column and aspect → layer.

Sources and aspects are numbered per watchlist in the order they come, and all sums run in that order and skip what is
not there. So a watchlist's figures do not depend on which other watchlists share the process, nor on capacities.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opinionwatch.pipeline.snapshots import Facts

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

OTHER = "other"
"""Where sources and aspects beyond the declared limit are counted."""

Sizes = tuple[int, int, int]
"""Capacity for watchlists, sources, aspects."""


class Grid:
    """Names and their numbers, with room to grow."""

    def __init__(self, max_sources: int, max_aspects: int) -> None:
        self._limits = (max_sources, max_aspects)
        self.watchlists: dict[str, int] = {}
        self.sources: list[dict[str, int]] = []
        self.aspects: list[dict[str, int]] = []
        self.sizes: Sizes = (4, 4, 8)

    def row(self, watchlist: str) -> int:
        """The watchlist's number; a new one gets the next."""
        row = self.watchlists.get(watchlist)
        if row is None:
            row = self.watchlists[watchlist] = len(self.watchlists)
            self.sources.append({})
            self.aspects.append({})
            self._make_room(row + 1, 0, 0)
        return row

    def cell(self, row: int, source: str, aspect: str) -> tuple[int, int]:
        """The numbers of a source and an aspect within a watchlist."""
        s = _number(self.sources[row], source, self._limits[0])
        a = _number(self.aspects[row], aspect, self._limits[1])
        self._make_room(0, s + 1, a + 1)
        return s, a

    def counts(self, rows: I64) -> tuple[I64, I64]:
        """How many sources and aspects these watchlists have."""
        chosen = rows.tolist()
        return (
            np.array([len(self.sources[row]) for row in chosen], np.int64),
            np.array([len(self.aspects[row]) for row in chosen], np.int64),
        )

    def save(self) -> Facts:
        """All names."""
        return {
            "watchlists": list(self.watchlists),
            "sources": [list(names) for names in self.sources],
            "aspects": [list(names) for names in self.aspects],
            "sizes": list(self.sizes),
        }

    def load(self, facts: Mapping[str, Any]) -> None:
        """Take over what `save` gave."""
        self.watchlists = {name: row for row, name in enumerate(facts["watchlists"])}
        self.sources = [{name: s for s, name in enumerate(names)} for names in facts["sources"]]
        self.aspects = [{name: a for a, name in enumerate(names)} for names in facts["aspects"]]
        w, s, a = facts["sizes"]
        self.sizes = (w, s, a)

    def _make_room(self, *needed: int) -> None:
        if any(need > size for need, size in zip(needed, self.sizes, strict=True)):
            w, s, a = (
                size if need <= size else max(need, size * 2) for need, size in zip(needed, self.sizes, strict=True)
            )
            self.sizes = (w, s, a)


def _number(names: dict[str, int], name: str, limit: int) -> int:
    if name not in names and len(names) >= limit - 1:
        name = OTHER
    return names.setdefault(name, len(names))


def grown(array: NDArray[Any], shape: tuple[int, ...], fill: float) -> NDArray[Any]:
    """The array with room: the old values at their old places, `fill` elsewhere."""
    if array.shape == shape:
        return array
    larger = np.full(shape, fill, array.dtype)
    larger[tuple(slice(size) for size in array.shape)] = array
    return larger


def in_order(values: F64, axis: int) -> F64:
    """A sum that adds one by one from the left, so that zeros behind the values (spare capacity) change no bit."""
    total: F64 = np.take(np.cumsum(values, axis=axis), -1, axis=axis)
    return total


def scatter(size: int, places: I64, weights: F64) -> F64:
    """Sum weights into `size` places, one by one in the given order."""
    return np.bincount(places, weights, minlength=size).astype(np.float64, copy=False)
