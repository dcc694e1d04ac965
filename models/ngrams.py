"""Hashed n-grams: texts and their token ids to feature numbers, for a whole batch at once and without a vocabulary.

Features are the distinct n-grams of characters (of the text in lower case, compatibility forms made plain as in
`pipeline.fold`) and of word pieces, hashed as in Weinberger et al., Feature Hashing for Large Scale Multitask Learning
(ICML 2009). A text's features depend on that text alone.
"""

import unicodedata
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

_STEP = np.uint64(0x9E3779B97F4A7C15)
_STIR = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_CHARACTERS, _PIECES = 1_000, 2_000
"""Kinds of n-grams, kept apart in the hash."""
_EDGE = "\n"

Numbers = NDArray[np.uint64]


class Ngrams(BaseModel):
    """Which n-grams count, and into how many features they are hashed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bits: Annotated[int, Field(ge=8, le=20, description="two to this power features")] = 18
    characters: Annotated[int, Field(ge=1, le=8, description="longest n-gram of characters")] = 4
    pieces: Annotated[int, Field(ge=0, le=4, description="longest n-gram of word pieces; 0: none")] = 2
    longest: Annotated[int, Field(ge=8, description="characters of a text that are read")] = 768


class Features(NamedTuple):
    """The distinct features of all texts, one text after the other, ascending: those of text i are
    `numbers[starts[i]:starts[i + 1]]`.
    """

    numbers: NDArray[np.int64]
    starts: NDArray[np.int64]


def features(texts: Sequence[str], ids: Sequence[Sequence[int]], ngrams: Ngrams) -> Features:
    """Hash a batch; `ids` are the token ids of the same texts.

    >>> wanted = Ngrams(bits=12, characters=2, pieces=1)
    >>> both = features(["good", "GOOD bad"], [[5], [5, 6]], wanted)
    >>> alone = features(["good"], [[5]], wanted)
    >>> both.numbers[: both.starts[1]].tolist() == alone.numbers.tolist()
    True
    """
    if not texts:
        return Features(np.zeros(0, np.int64), np.zeros(1, np.int64))
    kinds = [([_codes(text, ngrams.longest) for text in texts], ngrams.characters, _CHARACTERS)]
    if ngrams.pieces:
        kinds.append(([np.array(row, np.uint64) for row in ids], ngrams.pieces, _PIECES))
    keys = [key for rows, longest, salt in kinds for key in _hashed(rows, longest, salt, ngrams.bits)]
    distinct = _distinct(np.concatenate(keys))
    owner = distinct >> np.uint64(ngrams.bits)
    starts = np.searchsorted(owner, np.arange(len(texts) + 1, dtype=np.uint64))
    return Features((distinct & np.uint64((1 << ngrams.bits) - 1)).astype(np.int64), starts.astype(np.int64))


def _distinct(keys: Numbers) -> Numbers:
    """Ascending. `np.unique` takes eighteen times as long: it hashes before it sorts."""
    keys.sort()
    first = np.ones(len(keys), np.bool_)
    np.not_equal(keys[1:], keys[:-1], out=first[1:])
    return keys[first]


def _codes(text: str, longest: int) -> Numbers:
    plain = unicodedata.normalize("NFKC", text[:longest]).lower()[:longest]
    raw = f"{_EDGE}{plain}{_EDGE}".encode("utf-32-le", "surrogatepass")
    return np.frombuffer(raw, np.uint32).astype(np.uint64)


def _hashed(rows: Sequence[Numbers], longest: int, salt: int, bits: int) -> list[Numbers]:
    """One array an n: the row in the high bits, the hash of an n-gram in the low ones."""
    sizes = np.array([len(row) for row in rows])
    flat = np.concatenate(rows) + np.uint64(1)
    owner = np.repeat(np.arange(len(rows), dtype=np.uint64), sizes) << np.uint64(bits)
    room = np.repeat(np.cumsum(sizes), sizes) - np.arange(len(flat))
    rolling = np.zeros(len(flat), np.uint64)
    keys = []
    for n in range(1, longest + 1):
        ahead = np.zeros(len(flat), np.uint64)
        ahead[: max(0, len(flat) - n + 1)] = flat[n - 1 :]
        rolling = rolling * _STEP + ahead
        whole = room >= n
        keys.append(owner[whole] | (_stirred(rolling[whole] + np.uint64(salt + n)) >> np.uint64(64 - bits)))
    return keys


def _stirred(numbers: Numbers) -> Numbers:
    """The finaliser of splitmix64 (Steele, Lea, Flood 2014): every bit depends on every bit."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * _STIR[0]
    numbers = (numbers ^ (numbers >> np.uint64(27))) * _STIR[1]
    return numbers ^ (numbers >> np.uint64(31))
