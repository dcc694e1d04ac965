"""Aggregate: counts per watchlist × source × aspect in 5-minute buckets of event time.

Windows are sums, so order does not matter, and what is emitted is absolute, so that writing it twice is harmless.
That needs the counts of every bucket that may still change: they are kept for `memory_h` of event time (8 days unless
set otherwise). A mention published longer than that before its acceptance is in no window. That is a fact of the
record (`accepted_at - published_at`), not of the moment it is counted, so windows recomputed from the index agree.

A later version of a text takes the earlier one's place: what it had counted is taken back and what it says now is
counted, in the same bucket and with the same standing (whether a text is a voice is decided once, when the trend hop
first hears of it). A deletion takes back and counts nothing. For that every mention whose bucket may still change is
remembered with what it counted, about 120 bytes each: a version that comes more than `memory_h` after the publication
changes the index and no window.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from opinionwatch.pipeline.contracts import Mention, content_id
from opinionwatch.pipeline.contracts_changes import Withdrawal
from opinionwatch.pipeline.contracts_trend import Window
from opinionwatch.pipeline.snapshots import Arrays, Facts
from opinionwatch.pipeline.ticks import TICKS_PER_HOUR, start_of, tick_of

Key = tuple[str, int, str, str]
"""Watchlist, bucket, source, aspect: also the order in which windows are emitted."""

POSTS, VOICES, NEGATIVE, POSITIVE, UNSURE, NEGATIVE_VOICES, SURE_VOICES, CHANGES = range(8)
VOICE, SAYS_NEGATIVE, SAYS_POSITIVE, IS_UNSURE, COUNTED = (1 << bit for bit in range(5))
"""What a mention has counted as."""
Said = tuple[Key, int]


def belongs(mention: Mention, memory_h: int) -> bool:
    """Whether a mention is counted in a window at all: not when it was published more than `memory_h` hours ago."""
    return tick_of(mention.accepted_at) - tick_of(mention.published_at) <= memory_h * TICKS_PER_HOUR


class Windows:
    """The counts that may still change, what each mention has counted, and which counts changed since the last look."""

    def __init__(self, memory_h: int = 192) -> None:
        self._memory_h = memory_h
        self._counts: dict[Key, list[int]] = {}
        self._changed: set[Key] = set()
        self._said: dict[bytes, Said] = {}
        self._versions: dict[bytes, int] = {}
        self._shared: dict[Said, Said] = {}

    def add(self, mention: Mention, *, voice: bool) -> None:
        """Count one mention; `voice` says whether it counts as a voice."""
        if belongs(mention, self._memory_h):
            key = (mention.watchlist, tick_of(mention.published_at), mention.source, mention.aspect)
            self._say(bytes.fromhex(mention.id), mention.version, key, _bits(mention) | (VOICE if voice else 0))

    def outdated(self, mention: Mention, tick: int) -> bool:
        """Whether no window can change any more for a version that is heard of in this tick."""
        return tick_of(mention.published_at) < tick - self._memory_h * TICKS_PER_HOUR

    def knows(self, mention: Mention) -> bool:
        """Whether another version of this mention was counted."""
        return bytes.fromhex(mention.id) in self._said

    def revise(self, mention: Mention) -> bool:
        """Let a mention take the place of its earlier version. False: it is not the later one."""
        name = bytes.fromhex(mention.id)
        (_, bucket, _, _), bits = self._said[name]
        if mention.version <= self._versions.get(name, 0):
            return False
        self._take_back(name)
        key = (mention.watchlist, bucket, mention.source, mention.aspect)
        self._say(name, mention.version, key, _bits(mention) | (bits & VOICE))
        self._counts[key][CHANGES] += 1
        return True

    def withdraw(self, withdrawal: Withdrawal, watchlists: Iterable[str], tick: int) -> bool:
        """Take back what a document counted in these watchlists, but not in those where it is still said. Whether there
        was anything.
        """
        found = False
        for watchlist in watchlists:
            name = bytes.fromhex(content_id(withdrawal.document_id, watchlist))
            if watchlist in withdrawal.keeps or name not in self._said:
                continue
            key, bits = self._said[name]
            if withdrawal.version <= self._versions.get(name, 0) or key[1] < tick - self._memory_h * TICKS_PER_HOUR:
                continue
            self._take_back(name)
            self._versions[name] = withdrawal.version
            self._said[name] = self._same((key, bits & VOICE))
            found = True
        return found

    def _say(self, name: bytes, version: int, key: Key, bits: int) -> None:
        self._said[name] = self._same((key, bits | COUNTED))
        if version:
            self._versions[name] = version
        self._count(key, bits, 1)

    def _take_back(self, name: bytes) -> None:
        key, bits = self._said[name]
        if bits & COUNTED:
            self._count(key, bits, -1)
            self._counts[key][CHANGES] += 1

    def _count(self, key: Key, bits: int, by: int) -> None:
        counts = self._counts.setdefault(key, [0] * 8)
        voice, negative = bool(bits & VOICE), bool(bits & SAYS_NEGATIVE)
        counts[POSTS] += by
        counts[VOICES] += by * voice
        counts[NEGATIVE] += by * negative
        counts[POSITIVE] += by * bool(bits & SAYS_POSITIVE)
        counts[UNSURE] += by * bool(bits & IS_UNSURE)
        counts[NEGATIVE_VOICES] += by * (voice and negative)
        counts[SURE_VOICES] += by * (voice and not bits & IS_UNSURE)
        self._changed.add(key)

    def _same(self, said: Said) -> Said:
        """One object for all that counted alike."""
        return self._shared.setdefault(said, said)

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
            self._said = {name: said for name, said in self._said.items() if said[0][1] >= oldest}
            self._versions = {name: version for name, version in self._versions.items() if name in self._said}
            self._shared = {said: said for said in self._shared if said[0][1] >= oldest}

    def save(self) -> tuple[Arrays, Facts]:
        """All of it, as arrays and a list of names."""
        names = sorted({name for watchlist, _, source, aspect in self._counts for name in (watchlist, source, aspect)})
        place = {name: index for index, name in enumerate(names)}
        keys = [(place[w], bucket, place[s], place[a]) for w, bucket, s, a in self._counts]
        at = {key: number for number, key in enumerate(self._counts)}
        return {
            "window_keys": np.array(keys, np.int64).reshape(-1, 4),
            "window_counts": np.array(list(self._counts.values()), np.int32).reshape(-1, 8),
            "said_ids": np.frombuffer(b"".join(self._said), np.uint8).reshape(-1, 16),
            "said_places": np.array([at[key] for key, _ in self._said.values()], np.int32),
            "said_bits": np.array([bits for _, bits in self._said.values()], np.uint8),
            "said_versions": np.array([self._versions.get(name, 0) for name in self._said], np.int64),
        }, {"window_names": list(names)}

    def load(self, arrays: Arrays, facts: Facts) -> None:
        """Take over what `save` gave."""
        names: list[str] = facts["window_names"]
        places: Iterable[list[int]] = arrays["window_keys"].tolist()
        counts: list[list[int]] = arrays["window_counts"].tolist()
        keys = [(names[w], bucket, names[s], names[a]) for w, bucket, s, a in places]
        self._counts = dict(zip(keys, counts, strict=True))
        self._changed.clear()
        self._shared.clear()
        ids = arrays["said_ids"].tobytes()
        said = [ids[at : at + 16] for at in range(0, len(ids), 16)]
        told = zip(arrays["said_places"].tolist(), arrays["said_bits"].tolist(), strict=True)
        self._said = {name: self._same((keys[at], bits)) for name, (at, bits) in zip(said, told, strict=True)}
        versions = zip(said, arrays["said_versions"].tolist(), strict=True)
        self._versions = {name: version for name, version in versions if version}


def _bits(mention: Mention) -> int:
    sentiment = mention.reading.sentiment
    if sentiment.unsure:
        return IS_UNSURE
    return {"negative": SAYS_NEGATIVE, "positive": SAYS_POSITIVE}.get(sentiment.label, 0)


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
        changes=counts[CHANGES],
    )
