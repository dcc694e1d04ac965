"""A table of ids with a few numbers beside each, in arrays: about 40 bytes an id where a dict takes 100 to 250.

What the trend hop has seen within days is the largest thing in its memory, a row for every post. Open addressing with
linear probing (Knuth, The Art of Computer Programming 3, §6.4): an id is a digest already, so its first 32 bits say
where to look first, and a table in its own order is one that is sorted by id.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

ID_BYTES: Final = 16
_FULLEST: Final = 0.75
_GROWTH: Final = 1.5
_SMALLEST: Final = 64
_TAIL: Final = 32
"""Places behind the last home, for what is displaced from there: no search goes round."""
_NOWHERE: Final = -1


class IdTable:
    """Ids of 16 bytes, each with a number in every column. What is found by `find` or `put` is its place, which holds
    until the next `put`, `keep`, `drop` or `fill`.
    """

    def __init__(self, **columns: type[np.integer[Any]]) -> None:
        """Names and types of the columns."""
        self._types = columns
        self._size = 0
        self._room(_SMALLEST, _SMALLEST + _TAIL)

    def __len__(self) -> int:
        return self._size

    def __contains__(self, name: bytes) -> bool:
        return self.find(name) >= 0

    def get(self, column: str, place: int) -> int:
        """The number of a place."""
        return self._views[column][place]

    def set(self, column: str, place: int, number: int) -> None:
        """Change the number of a place."""
        self._views[column][place] = number

    def find(self, name: bytes) -> int:
        """The place of an id, or -1."""
        place = self._look(name)
        return place if self._used[place] else _NOWHERE

    def put(self, name: bytes) -> tuple[int, bool]:
        """The place of an id, and whether it is new; then it has zeros in its columns."""
        place = self._look(name)
        if self._used[place]:
            return place, False
        if self._size >= self._homes * _FULLEST or place == len(self._used) - 1:
            self._rebuild(self._places(), int(self._homes * _GROWTH))
            place = self._look(name)
        self._used[place] = True
        self._high[place], self._low[place] = _halves(name)
        self._size += 1
        return place, True

    def ids(self) -> NDArray[np.uint8]:
        """All ids (n, 16), in the order of the places."""
        at = self._places()
        halves = np.stack([np.asarray(self._high)[at], np.asarray(self._low)[at]], axis=1)
        return halves.astype(">u8").view(np.uint8).reshape(-1, ID_BYTES)

    def column(self, name: str) -> NDArray[Any]:
        """The numbers of a column (n,), in the order of the places."""
        return np.asarray(self._views[name])[self._places()]

    def keep(self, kept: NDArray[np.bool_]) -> None:
        """Forget every id but those marked (n,), in the order of the places."""
        if not kept.all():
            at = self._places()[kept]
            self._rebuild(at, _homes_for(len(at)))

    def drop(self, names: Iterable[bytes]) -> None:
        """Forget these ids."""
        places = [place for name in names if (place := self.find(name)) != _NOWHERE]
        self.keep(~np.isin(self._places(), places))

    def change(self, name: str, numbers: NDArray[Any]) -> None:
        """Give a whole column new numbers (n,), in the order of the places."""
        np.asarray(self._views[name])[self._places()] = numbers

    def fill(self, ids: NDArray[np.uint8], columns: Mapping[str, NDArray[Any]]) -> None:
        """Hold these ids (n, 16), which are all different, and nothing else. Raises ValueError where shapes differ."""
        halves = ids.reshape(-1, ID_BYTES).view(">u8").astype(np.uint64)
        if any(len(columns[name]) != len(halves) for name in self._types):
            raise ValueError("ids and their numbers are not of one length")
        self._set(halves[:, 0], halves[:, 1], columns, _homes_for(len(halves)))

    def _places(self) -> NDArray[np.intp]:
        """Of all ids, in their order."""
        return np.flatnonzero(self._used)

    def _look(self, name: bytes) -> int:
        """Where an id is, or the free place where it would be; at worst the last place, which is always free."""
        high, low = _halves(name)
        used, highs, lows = self._used, self._high, self._low
        place = (high >> 32) * self._homes >> 32
        while used[place] and (lows[place] != low or highs[place] != high):
            place += 1
        return place

    def _rebuild(self, at: NDArray[np.intp], homes: int) -> None:
        columns = {name: np.asarray(self._views[name])[at] for name in self._types}
        self._set(np.asarray(self._high)[at], np.asarray(self._low)[at], columns, homes)

    def _set(
        self, high: NDArray[np.uint64], low: NDArray[np.uint64], columns: Mapping[str, NDArray[Any]], homes: int
    ) -> None:
        """Sorted by home, everything stands at its home or right behind the one before it."""
        order = np.argsort(high, kind="stable")
        home = ((high[order] >> np.uint64(32)) * np.uint64(homes) >> np.uint64(32)).astype(np.int64)
        steps = np.arange(len(order))
        places = np.maximum.accumulate(home - steps) + steps
        self._size = len(order)
        self._room(homes, max(homes, int(places.max(initial=0))) + _TAIL)
        np.asarray(self._used)[places] = True
        np.asarray(self._high)[places] = high[order]
        np.asarray(self._low)[places] = low[order]
        for name, numbers in columns.items():
            np.asarray(self._views[name])[places] = numbers[order]

    def _room(self, homes: int, places: int) -> None:
        self._homes = homes
        # Views, because reading one number of an array takes three times as long.
        self._used = np.zeros(places, np.bool_).data
        self._high, self._low = (np.zeros(places, np.uint64).data for _ in range(2))
        self._views = {name: np.zeros(places, kind).data for name, kind in self._types.items()}


def _homes_for(count: int) -> int:
    """Room for so many ids, and for some more."""
    return max(_SMALLEST, int(count / _FULLEST * _GROWTH))


def _halves(name: bytes) -> tuple[int, int]:
    return int.from_bytes(name[:8]), int.from_bytes(name[8:])
