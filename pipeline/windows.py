"""Aggregate: counts per watchlist × source × aspect in 5-minute buckets of event time.

Windows are sums, so order does not matter, and what is emitted is absolute, so that writing it twice is harmless.
That needs the counts of every bucket that may still change: they are kept for `memory_h` of event time (8 days unless
set otherwise). A mention published longer than that before its acceptance is in no window. That is a fact of the
record (`accepted_at - published_at`), not of the moment it is counted, so windows recomputed from the index agree.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from opinionwatch.pipeline.contracts import Mention
from opinionwatch.pipeline.contracts_trend import Window
from opinionwatch.pipeline.snapshots import Arrays, Facts
from opinionwatch.pipeline.ticks import TICKS_PER_HOUR, start_of, tick_of

Key = tuple[str, int, str, str]
"""Watchlist, bucket, source, aspect: also the order in which windows are emitted."""

POSTS, VOICES, NEGATIVE, POSITIVE, UNSURE, NEGATIVE_VOICES, SURE_VOICES = range(7)


def belongs(mention: Mention, memory_h: int) -> bool:
    """Whether a mention is counted in a window at all: not when it was published more than `memory_h` hours ago."""
    return tick_of(mention.accepted_at) - tick_of(mention.published_at) <= memory_h * TICKS_PER_HOUR


class Windows:
    """The counts that may still change, and which of them changed since the last look."""

    def __init__(self, memory_h: int = 192) -> None:
        self._memory_h = memory_h
        self._counts: dict[Key, list[int]] = {}
        self._changed: set[Key] = set()

    def add(self, mention: Mention, *, voice: bool) -> None:
        """Count one mention; `voice` says whether it counts as a voice."""
        if not belongs(mention, self._memory_h):
            return
        key = (mention.watchlist, tick_of(mention.published_at), mention.source, mention.aspect)
        counts = self._counts.setdefault(key, [0] * 7)
        sentiment = mention.reading.sentiment
        negative = sentiment.label == "negative" and not sentiment.unsure
        counts[POSTS] += 1
        counts[VOICES] += voice
        counts[NEGATIVE] += negative
        counts[POSITIVE] += sentiment.label == "positive" and not sentiment.unsure
        counts[UNSURE] += sentiment.unsure
        counts[NEGATIVE_VOICES] += voice and negative
        counts[SURE_VOICES] += voice and not sentiment.unsure
        self._changed.add(key)

    def take(self) -> list[Window]:
        """The windows that changed since the last call, in the order of their keys."""
        changed = [_window(key, self._counts[key]) for key in sorted(self._changed)]
        self._changed.clear()
        return changed

    def forget(self, tick: int) -> None:
        """Drop buckets that no mention accepted in `tick` or later can change."""
        oldest = tick - self._memory_h * TICKS_PER_HOUR
        if any(key[1] < oldest for key in self._counts):
            self._counts = {key: counts for key, counts in self._counts.items() if key[1] >= oldest}

    def save(self) -> tuple[Arrays, Facts]:
        """All counts, as arrays and a list of names."""
        names = sorted({name for watchlist, _, source, aspect in self._counts for name in (watchlist, source, aspect)})
        place = {name: index for index, name in enumerate(names)}
        keys = [(place[w], bucket, place[s], place[a]) for w, bucket, s, a in self._counts]
        return {
            "window_keys": np.array(keys, np.int64).reshape(-1, 4),
            "window_counts": np.array(list(self._counts.values()), np.int32).reshape(-1, 7),
        }, {"window_names": list(names)}

    def load(self, arrays: Arrays, facts: Facts) -> None:
        """Take over what `save` gave."""
        names: list[str] = facts["window_names"]
        keys: Iterable[list[int]] = arrays["window_keys"].tolist()
        counts: list[list[int]] = arrays["window_counts"].tolist()
        self._counts = {
            (names[w], bucket, names[s], names[a]): row for (w, bucket, s, a), row in zip(keys, counts, strict=True)
        }
        self._changed.clear()


def _window(key: Key, counts: Sequence[int]) -> Window:
    watchlist, bucket, source, aspect = key
    return Window(
        watchlist=watchlist,
        source=source,
        aspect=aspect,
        start=start_of(bucket),
        posts=counts[POSTS],
        voices=counts[VOICES],
        negative=counts[NEGATIVE],
        positive=counts[POSITIVE],
        unsure=counts[UNSURE],
        negative_voices=counts[NEGATIVE_VOICES],
        sure_voices=counts[SURE_VOICES],
    )
