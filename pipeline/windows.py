"""Aggregate: counts per watchlist × source × aspect in 5-minute buckets of event time.

Windows are sums, so order does not matter, and what is emitted is absolute, so that writing it twice is harmless.
That needs the counts of every bucket that may still change: they are kept for `memory_h` of event time (8 days unless
set otherwise). A mention published longer than that before its acceptance is in no window. That is a fact of the
record (`accepted_at - published_at`), not of the moment it is counted, so windows recomputed from the index agree.

A later version of a text takes the earlier one's place: what it had counted is taken back and what it says now is
counted, in the same bucket and with the same standing (whether a text is a voice is decided once, when the trend hop
first hears of it). A deletion takes back and counts nothing. For that every mention whose bucket may still change is
remembered with what it counted, about 40 bytes each: a version that comes more than `memory_h` after the publication
changes the index and no window.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from opinionwatch.pipeline.contracts import Mention, content_id
from opinionwatch.pipeline.contracts_changes import Withdrawal
from opinionwatch.pipeline.contracts_trend import Window
from opinionwatch.pipeline.id_table import ID_BYTES, IdTable
from opinionwatch.pipeline.snapshots import Arrays, Facts
from opinionwatch.pipeline.ticks import TICKS_PER_HOUR, start_of, tick_of

Key = tuple[str, int, str, str]
"""Watchlist, bucket, source, aspect: also the order in which windows are emitted."""

POSTS, VOICES, NEGATIVE, POSITIVE, UNSURE, NEGATIVE_VOICES, SURE_VOICES, CHANGES = range(8)
VOICE, SAYS_NEGATIVE, SAYS_POSITIVE, IS_UNSURE, COUNTED = (1 << bit for bit in range(5))
"""What a mention has counted as."""


def belongs(mention: Mention, memory_h: int) -> bool:
    """Whether a mention is counted in a window at all: not when it was published more than `memory_h` hours ago."""
    return tick_of(mention.accepted_at) - tick_of(mention.published_at) <= memory_h * TICKS_PER_HOUR


class Windows:
    """The counts that may still change, what each mention has counted, and which counts changed since the last look."""

    def __init__(self, memory_h: int = 192) -> None:
        self._memory_h = memory_h
        self._numbers: dict[Key, int] = {}
        self._counts: list[list[int]] = []
        """By the key's number."""
        self._keys: list[Key] = []
        self._changed: set[int] = set()
        self._said = IdTable(key=np.int32, bits=np.uint8)
        self._versions: dict[bytes, int] = {}

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
        before, bits = self._told(name)
        if mention.version <= self._versions.get(name, 0):
            return False
        self._take_back(name)
        key = (mention.watchlist, self._keys[before][1], mention.source, mention.aspect)
        self._say(name, mention.version, key, _bits(mention) | (bits & VOICE))
        self._counts[self._number(key)][CHANGES] += 1
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
            number, bits = self._told(name)
            oldest = tick - self._memory_h * TICKS_PER_HOUR
            if withdrawal.version <= self._versions.get(name, 0) or self._keys[number][1] < oldest:
                continue
            self._take_back(name)
            self._versions[name] = withdrawal.version
            self._said.set("bits", self._said.find(name), bits & VOICE)
            found = True
        return found

    def _say(self, name: bytes, version: int, key: Key, bits: int) -> None:
        number, (place, _) = self._number(key), self._said.put(name)
        self._said.set("key", place, number)
        self._said.set("bits", place, bits | COUNTED)
        if version:
            self._versions[name] = version
        self._count(number, bits, 1)

    def _told(self, name: bytes) -> tuple[int, int]:
        """The number of the key under which a mention has counted, and as what."""
        place = self._said.find(name)
        return self._said.get("key", place), self._said.get("bits", place)

    def _take_back(self, name: bytes) -> None:
        number, bits = self._told(name)
        if bits & COUNTED:
            self._count(number, bits, -1)
            self._counts[number][CHANGES] += 1

    def _number(self, key: Key) -> int:
        number = self._numbers.setdefault(key, len(self._keys))
        if number == len(self._keys):
            self._keys.append(key)
            self._counts.append([0] * 8)
        return number

    def _count(self, number: int, bits: int, by: int) -> None:
        counts = self._counts[number]
        voice, negative = bool(bits & VOICE), bool(bits & SAYS_NEGATIVE)
        counts[POSTS] += by
        counts[VOICES] += by * voice
        counts[NEGATIVE] += by * negative
        counts[POSITIVE] += by * bool(bits & SAYS_POSITIVE)
        counts[UNSURE] += by * bool(bits & IS_UNSURE)
        counts[NEGATIVE_VOICES] += by * (voice and negative)
        counts[SURE_VOICES] += by * (voice and not bits & IS_UNSURE)
        self._changed.add(number)

    def take(self) -> list[Window]:
        """The windows that changed since the last call, in the order of their keys."""
        changed = sorted((self._keys[number], number) for number in self._changed)
        self._changed.clear()
        return [_window(key, self._counts[number]) for key, number in changed]

    def forget(self, tick: int) -> None:
        """Drop buckets that no mention accepted in `tick` or later can change."""
        oldest = tick - self._memory_h * TICKS_PER_HOUR
        kept = np.array([key[1] >= oldest for key in self._keys], np.bool_)
        if kept.all():
            return
        numbers = np.cumsum(kept) - 1
        self._said.keep(kept[self._said.column("key")])
        self._said.change("key", numbers[self._said.column("key")])
        self._versions = {name: version for name, version in self._versions.items() if name in self._said}
        self._changed = {int(numbers[number]) for number in self._changed if kept[number]}
        left = np.flatnonzero(kept).tolist()
        self._hold([self._keys[at] for at in left], [self._counts[at] for at in left])

    def save(self) -> tuple[Arrays, Facts]:
        """All of it, as arrays and a list of names."""
        names = sorted({name for watchlist, _, source, aspect in self._keys for name in (watchlist, source, aspect)})
        place = {name: index for index, name in enumerate(names)}
        keys = [(place[w], bucket, place[s], place[a]) for w, bucket, s, a in self._keys]
        versions = np.frombuffer(b"".join(self._versions), np.uint8).reshape(-1, ID_BYTES)
        return {
            "window_keys": np.array(keys, np.int64).reshape(-1, 4),
            "window_counts": np.array(self._counts, np.int32).reshape(-1, 8),
            "said_ids": self._said.ids(),
            "said_places": self._said.column("key"),
            "said_bits": self._said.column("bits"),
            "version_ids": versions,
            "version_numbers": np.array(list(self._versions.values()), np.int64),
        }, {"window_names": list(names)}

    def load(self, arrays: Arrays, facts: Facts) -> None:
        """Take over what `save` gave."""
        names: list[str] = facts["window_names"]
        places: Iterable[list[int]] = arrays["window_keys"].tolist()
        self._hold(
            [(names[w], bucket, names[s], names[a]) for w, bucket, s, a in places], arrays["window_counts"].tolist()
        )
        self._changed.clear()
        self._said.fill(arrays["said_ids"], {"key": arrays["said_places"], "bits": arrays["said_bits"]})
        ids, numbers = arrays["version_ids"].tobytes(), arrays["version_numbers"].tolist()
        self._versions = {ids[ID_BYTES * at : ID_BYTES * (at + 1)]: number for at, number in enumerate(numbers)}

    def _hold(self, keys: list[Key], counts: list[list[int]]) -> None:
        self._keys, self._counts = keys, counts
        self._numbers = {key: number for number, key in enumerate(keys)}


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
