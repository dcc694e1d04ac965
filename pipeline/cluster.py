"""Deduplicate and cluster: which mentions are new, and which of them are voices of their own.

A *voice* is the first of its cluster of near-identical texts, from an author who has not been counted for the same
watchlist within the hour. So a text copied five hundred times is one voice, one author's flood is one voice an hour,
and five hundred people who say the same thing in their own words are five hundred voices. Where people review, rate or
answer a survey, they often use the same few words: in such sources every text is a voice of its own, and only an
author's flood is one.

Clusters: 64-bit SimHash fingerprints (Charikar 2002) within Hamming distance 3 of the first text of the cluster. Two
fingerprints that differ in at most 3 bits agree in at least one of 4 bands of 16 bits (Manku et al. 2007), so only
texts that share a band are compared. A cluster lives for 24 h of accepted time after its last member.

Times are ticks of `accepted_at`, except an author's hour, which is event time: a backfilled day is not one hour.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from opinionwatch.pipeline.contracts import Mention
from opinionwatch.pipeline.snapshots import Arrays, Facts
from opinionwatch.pipeline.ticks import TICKS_PER_DAY

SEEN_TICKS = 2 * TICKS_PER_DAY
CLUSTER_TICKS = TICKS_PER_DAY
AUTHOR_S = 3600
DISTANCE = 3
Sharing = int | tuple[int, ...]
"""The fingerprints that have a band in common: mostly one, which is kept without a tuple around it."""
TOO_SHORT = 0
"""The fingerprint of a text that is too short to compare: it is a cluster of its own."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a mention counts for."""

    voice: bool
    repost: bool
    """Whether it repeats an earlier text."""
    cluster: str
    """Fingerprint of the cluster's first text; the mention's own id where it is compared with none."""


class Voices:
    """Memory of ids (48 h), clusters and authors (24 h) of all watchlists."""

    def __init__(self, reviews: Collection[str] = ()) -> None:
        """`reviews` are the sources where a text that is like another one is no repost."""
        self._reviews = frozenset(reviews)
        self._seen: dict[bytes, int] = {}
        self._clusters: dict[str, dict[int, int]] = {}
        self._bands: dict[str, dict[int, Sharing]] = {}
        self._authors: dict[tuple[str, str], tuple[int, int]] = {}

    def is_new(self, mention_id: str, tick: int) -> bool:
        """Whether this mention was not there within the last 48 h; remembers it."""
        key = bytes.fromhex(mention_id)
        if self._seen.get(key, tick - SEEN_TICKS) > tick - SEEN_TICKS:
            return False
        self._seen[key] = tick
        return True

    def place(self, mention: Mention, tick: int) -> Standing:
        """Find the mention's cluster and say whether it is a voice. Call once for every new mention, in order."""
        fingerprint = int(mention.fingerprint, 16)
        if fingerprint == TOO_SHORT or mention.source in self._reviews:
            return Standing(self._author_counts(mention, tick), False, mention.id)
        clusters = self._clusters.setdefault(mention.watchlist, {})
        first = self._nearest(mention.watchlist, fingerprint, tick - CLUSTER_TICKS)
        if first is not None:
            clusters[first] = tick
            return Standing(False, True, f"{first:016x}")
        if fingerprint not in clusters:
            self._file(mention.watchlist, fingerprint)
        clusters[fingerprint] = tick
        return Standing(self._author_counts(mention, tick), False, f"{fingerprint:016x}")

    def forget(self, tick: int) -> None:
        """Free what is beyond its horizon. It has no say any more, so when this is called changes no answer."""
        self._seen = {key: at for key, at in self._seen.items() if at > tick - SEEN_TICKS}
        self._authors = {key: value for key, value in self._authors.items() if value[1] > tick - CLUSTER_TICKS}
        for watchlist, clusters in self._clusters.items():
            old = [fingerprint for fingerprint, at in clusters.items() if at <= tick - CLUSTER_TICKS]
            shared = self._bands.get(watchlist, {})
            for fingerprint in old:
                del clusters[fingerprint]
                for band in _bands(fingerprint):
                    left = tuple(other for other in _members(shared.pop(band)) if other != fingerprint)
                    if left:
                        shared[band] = left if len(left) > 1 else left[0]
            if not clusters:
                self._bands.pop(watchlist, None)
        self._clusters = {watchlist: clusters for watchlist, clusters in self._clusters.items() if clusters}

    def forget_authors(self, authors: Collection[str]) -> None:
        """Erase authors: their next post counts as a stranger's."""
        self._authors = {key: value for key, value in self._authors.items() if key[1] not in authors}

    def save(self) -> tuple[Arrays, Facts]:
        """All of the memory, as arrays and lists of names."""
        names = list(self._clusters)
        rows = [(place, at) for place, name in enumerate(names) for at in self._clusters[name].values()]
        prints = [fingerprint for name in names for fingerprint in self._clusters[name]]
        return {
            "seen_ids": np.frombuffer(b"".join(self._seen), np.uint8).reshape(-1, 16),
            "seen_ticks": np.array(list(self._seen.values()), np.int64),
            "cluster_rows": np.array(rows, np.int64).reshape(-1, 2),
            "cluster_prints": np.array(prints, np.uint64),
            "author_times": np.array(list(self._authors.values()), np.int64).reshape(-1, 2),
        }, {"cluster_watchlists": list(names), "authors": [list(key) for key in self._authors]}

    def load(self, arrays: Arrays, facts: Facts) -> None:
        """Take over what `save` gave."""
        ids = arrays["seen_ids"].tobytes()
        ticks: list[int] = arrays["seen_ticks"].tolist()
        self._seen = {ids[16 * place : 16 * place + 16]: tick for place, tick in enumerate(ticks)}
        names = facts["cluster_watchlists"]
        self._clusters, self._bands = {}, {}
        for (place, at), fingerprint in zip(
            arrays["cluster_rows"].tolist(), arrays["cluster_prints"].tolist(), strict=True
        ):
            name = names[place]
            self._clusters.setdefault(name, {})[fingerprint] = at
            self._file(name, fingerprint)
        self._authors = {
            (watchlist, author): (counted, at)
            for (watchlist, author), (counted, at) in zip(
                facts["authors"], arrays["author_times"].tolist(), strict=True
            )
        }

    def _file(self, watchlist: str, fingerprint: int) -> None:
        shared = self._bands.setdefault(watchlist, {})
        for band in _bands(fingerprint):
            others = shared.get(band)
            shared[band] = fingerprint if others is None else (*_members(others), fingerprint)

    def _nearest(self, watchlist: str, fingerprint: int, after: int) -> int | None:
        """The closest first text within the distance and alive after that tick; of equally close ones the smallest."""
        alive = self._clusters[watchlist]
        shared = self._bands.get(watchlist, {})
        near = {
            ((fingerprint ^ other).bit_count(), other)
            for band in _bands(fingerprint)
            for other in _members(shared.get(band, ()))
            if alive[other] > after
        }
        distance, first = min(near, default=(DISTANCE + 1, TOO_SHORT))
        return first if distance <= DISTANCE else None

    def _author_counts(self, mention: Mention, tick: int) -> bool:
        """Whether the author has not been counted within the hour; an unknown author always counts."""
        if mention.author is None:
            return True
        key = (mention.watchlist, mention.author)
        published = int(mention.published_at.timestamp())
        counted = self._authors.get(key)
        if counted is not None and abs(published - counted[0]) < AUTHOR_S:
            return False
        self._authors[key] = (published, tick)
        return True


def _bands(fingerprint: int) -> list[int]:
    """Its four bands, each with its number."""
    return [band << 16 | (fingerprint >> (16 * band)) & 0xFFFF for band in range(4)]


def _members(sharing: Sharing) -> tuple[int, ...]:
    return (sharing,) if isinstance(sharing, int) else sharing
