"""Deduplicate and cluster: which mentions are new, and which of them are voices of their own.

A *voice* is the first of its cluster of near-identical texts, from an author who has not been counted for the same
watchlist within the hour. So a text copied five hundred times is one voice, one author's flood is one voice an hour,
and five hundred people who say the same thing in their own words are five hundred voices. Where people review, rate or
answer a survey, they often use the same few words: in such sources every text is a voice of its own, and only an
author's flood is one.

Clusters: 64-bit SimHash fingerprints (Charikar 2002) within Hamming distance 3 of the first text of the cluster. A
cluster lives for 24 h of accepted time after its last member.

Times are ticks of `accepted_at`, except an author's hour, which is event time: a backfilled day is not one hour.

All of it together takes about 150 bytes a mention; of an author only a digest is kept.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from opinionwatch.pipeline.contracts import Mention, content_id
from opinionwatch.pipeline.id_table import IdTable
from opinionwatch.pipeline.near_copies import NearCopies
from opinionwatch.pipeline.snapshots import Arrays, Facts
from opinionwatch.pipeline.ticks import TICKS_PER_DAY

SEEN_TICKS = 2 * TICKS_PER_DAY
CLUSTER_TICKS = TICKS_PER_DAY
AUTHOR_S = 3600
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
        self._seen = IdTable(tick=np.int32)
        self._clusters = NearCopies()
        self._authors = IdTable(counted=np.int64, tick=np.int32)
        self._watchlists: set[str] = set()

    def is_new(self, mention_id: str, tick: int) -> bool:
        """Whether this mention was not there within the last 48 h; remembers it."""
        place, new = self._seen.put(bytes.fromhex(mention_id))
        if not new and self._seen.get("tick", place) > tick - SEEN_TICKS:
            return False
        self._seen.set("tick", place, tick)
        return True

    def place(self, mention: Mention, tick: int) -> Standing:
        """Find the mention's cluster and say whether it is a voice. Call once for every new mention, in order."""
        fingerprint = int(mention.fingerprint, 16)
        if fingerprint == TOO_SHORT or mention.source in self._reviews:
            return Standing(self._author_counts(mention, tick), False, mention.id)
        first = self._clusters.nearest(mention.watchlist, fingerprint, tick - CLUSTER_TICKS)
        if first is not None:
            self._clusters.live(first, tick)
            return Standing(False, True, f"{self._clusters.fingerprint(first):016x}")
        self._clusters.add(mention.watchlist, fingerprint, tick)
        return Standing(self._author_counts(mention, tick), False, f"{fingerprint:016x}")

    def forget(self, tick: int) -> None:
        """Free what is beyond its horizon. It has no say any more, so when this is called changes no answer."""
        self._seen.keep(self._seen.column("tick") > tick - SEEN_TICKS)
        self._authors.keep(self._authors.column("tick") > tick - CLUSTER_TICKS)
        self._clusters.forget(tick - CLUSTER_TICKS)

    def forget_authors(self, authors: Collection[str]) -> None:
        """Erase authors: their next post counts as a stranger's."""
        self._authors.drop(
            bytes.fromhex(content_id(watchlist, author)) for watchlist in self._watchlists for author in authors
        )

    def save(self) -> tuple[Arrays, Facts]:
        """All of the memory, as arrays and lists of names."""
        watchlists, rows, prints = self._clusters.save()
        return {
            "seen_ids": self._seen.ids(),
            "seen_ticks": self._seen.column("tick"),
            "cluster_rows": rows,
            "cluster_prints": prints,
            "author_ids": self._authors.ids(),
            "author_times": np.stack([self._authors.column("counted"), self._authors.column("tick")], axis=1),
        }, {"cluster_watchlists": watchlists, "author_watchlists": sorted(self._watchlists)}

    def load(self, arrays: Arrays, facts: Facts) -> None:
        """Take over what `save` gave."""
        self._seen.fill(arrays["seen_ids"], {"tick": arrays["seen_ticks"]})
        self._clusters.load(facts["cluster_watchlists"], arrays["cluster_rows"], arrays["cluster_prints"])
        times = arrays["author_times"].reshape(-1, 2)
        self._authors.fill(arrays["author_ids"], {"counted": times[:, 0], "tick": times[:, 1]})
        self._watchlists = set(facts["author_watchlists"])

    def _author_counts(self, mention: Mention, tick: int) -> bool:
        """Whether the author has not been counted within the hour; an unknown author always counts."""
        if mention.author is None:
            return True
        self._watchlists.add(mention.watchlist)
        published = int(mention.published_at.timestamp())
        place, new = self._authors.put(bytes.fromhex(content_id(mention.watchlist, mention.author)))
        if not new and abs(published - self._authors.get("counted", place)) < AUTHOR_S:
            return False
        self._authors.set("counted", place, published)
        self._authors.set("tick", place, tick)
        return True
