"""Which earlier text is nearly the same: 64-bit fingerprints within Hamming distance 3, in arrays.

Two fingerprints that differ in at most 3 bits agree in at least one of 4 bands of 16 bits (Manku, Jain, Das Sarma,
Detecting Near-Duplicates for Web Crawling, WWW 2007), so only texts that share a band are compared. Those that share
one are chained: a number for the next of each band, about 60 bytes a text in all. Bands are hashed, so a chain may hold
strangers; the distance tells them apart.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

DISTANCE: Final = 3
BANDS: Final = 4
_GROWTH: Final = 1.25
_SMALLEST: Final = 64
_END: Final = -1
_MIX: Final = 0x9E3779B97F4A7C15
"""2⁶⁴ over the golden ratio (Knuth, The Art of Computer Programming 3, §6.4)."""
_ALL: Final = 2**64 - 1


class NearCopies:
    """First texts of clusters: watchlist, fingerprint, and the tick of the last member."""

    def __init__(self) -> None:
        self._lists: dict[str, int] = {}
        self._size = 0
        self._hold(np.empty(0, np.int32), np.empty(0, np.uint64), np.empty(0, np.int32))

    def __len__(self) -> int:
        return self._size

    def nearest(self, watchlist: str, fingerprint: int, after: int) -> int | None:
        """The closest first text within the distance whose cluster lived after that tick; of equally close ones the
        smallest. The number it returns holds until the next `add` or `forget`.
        """
        number = self._lists.get(watchlist)
        if number is None:
            return None
        found = (DISTANCE + 1, 0, _END)
        for band, head in enumerate(self._places(number, fingerprint)):
            at, chain = self._heads[band][head], self._next[band]
            while at != _END:
                other = self._prints[at]
                distance = (fingerprint ^ other).bit_count()
                if distance <= DISTANCE and self._owners[at] == number and self._ticks[at] > after:
                    found = min(found, (distance, other, at))
                at = chain[at]
        return None if found[2] == _END else found[2]

    def fingerprint(self, number: int) -> int:
        """Of a first text."""
        return self._prints[number]

    def live(self, number: int, tick: int) -> None:
        """The cluster has a member more."""
        self._ticks[number] = tick

    def add(self, watchlist: str, fingerprint: int, tick: int) -> None:
        """A text that is the first of its cluster."""
        if self._size == len(self._prints):
            self._hold(*self._arrays())
        owner, at = self._lists.setdefault(watchlist, len(self._lists)), self._size
        self._owners[at], self._prints[at], self._ticks[at] = owner, fingerprint, tick
        for band, head in enumerate(self._places(owner, fingerprint)):
            self._next[band][at], self._heads[band][head] = self._heads[band][head], at
        self._size += 1

    def forget(self, tick: int) -> None:
        """Free the clusters without a member after that tick."""
        owners, prints, ticks = self._arrays()
        alive = ticks > tick
        if not alive.all():
            self._hold(owners[alive], prints[alive], ticks[alive])

    def save(self) -> tuple[list[str], NDArray[np.int64], NDArray[np.uint64]]:
        """The watchlists, and of every cluster its watchlist's number and tick (n, 2), and its fingerprint (n,)."""
        owners, prints, ticks = self._arrays()
        return list(self._lists), np.stack([owners, ticks], axis=1).astype(np.int64), prints.copy()

    def load(self, watchlists: Sequence[str], rows: NDArray[np.int64], prints: NDArray[np.uint64]) -> None:
        """Take over what `save` gave."""
        self._lists = {name: number for number, name in enumerate(watchlists)}
        self._hold(rows[:, 0].astype(np.int32), prints.astype(np.uint64), rows[:, 1].astype(np.int32))

    def _arrays(self) -> tuple[NDArray[np.int32], NDArray[np.uint64], NDArray[np.int32]]:
        views = (self._owners, self._prints, self._ticks)
        owners, prints, ticks = (np.asarray(view)[: self._size] for view in views)
        return owners, prints, ticks

    def _hold(self, owners: NDArray[np.int32], prints: NDArray[np.uint64], ticks: NDArray[np.int32]) -> None:
        """These clusters, room for some more, and the chains built anew."""
        self._size = len(prints)
        room = max(_SMALLEST, int(self._size * _GROWTH))
        # Views, because reading one number of an array takes three times as long.
        self._owners, self._prints, self._ticks = (_padded(each, room) for each in (owners, prints, ticks))
        self._next = [np.full(room, _END, np.int32).data for _ in range(BANDS)]
        self._heads = [np.full(room, _END, np.int32).data for _ in range(BANDS)]
        for band in range(BANDS):
            places = _hashed(owners.astype(np.uint64), prints >> np.uint64(16 * band)) % np.uint64(room)
            order = np.argsort(places, kind="stable")
            alike = places[order][1:] == places[order][:-1]
            np.asarray(self._next[band])[order[1:][alike]] = order[:-1][alike]
            last = np.append(~alike, np.ones(min(1, len(order)), np.bool_))
            np.asarray(self._heads[band])[places[order][last]] = order[last]

    def _places(self, owner: int, fingerprint: int) -> list[int]:
        """Where the chains of its bands begin."""
        start, room = owner << 16, len(self._prints)
        return [(((start | (fingerprint >> 16 * band) & 0xFFFF) * _MIX & _ALL) >> 20) % room for band in range(BANDS)]


def _hashed(owners: NDArray[np.uint64], shifted: NDArray[np.uint64]) -> NDArray[np.uint64]:
    keys = owners << np.uint64(16) | shifted & np.uint64(0xFFFF)
    return keys * np.uint64(_MIX) >> np.uint64(20)


def _padded(numbers: NDArray[Any], room: int) -> memoryview:
    padded = np.zeros(room, numbers.dtype)
    padded[: len(numbers)] = numbers
    return padded.data
