"""A fingerprint that near-copies share: 64-bit SimHash (Charikar 2002; Manku et al., WWW 2007).

Features are character 4-grams, and 2-grams of Chinese, Japanese and Korean, of what was said: letters and digits in
lower case, without addresses, names and the marks of a repost. So a repost, a copy with another link and a copy with
another mention have (nearly) the same fingerprint; the Hamming distance grows with the share of different grams.
"""

import re

import numpy as np
from numpy.typing import NDArray

from opinionwatch.pipeline.fold import Folded

NONE = "0" * 16
"""The fingerprint of a text too short to compare."""
MIN_CHARS = 8
"""Fewer letters and digits than this say nothing about a common origin."""
MAX_CHARS = 2_000
"""Only the beginning of long texts counts."""

_MARKS = re.compile(
    r"https?://[^\s\u3000-\u9fff]+|www\.[^\s\u3000-\u9fff]+"
    r"|//\s*@[^\s:：]{1,30}\s*[:：]|@[\w.·-]{1,30}"
    r"|\b(?:RT|MT|via)\b\s*:?|(?:转发|轉發|回复|回覆)(?:微博|了)?\s*[:：]?",
)
_NOISE = re.compile(r"[\W_]+")
_BYTE_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.int32)


def fingerprint(folded: Folded) -> str:
    """16 hex digits; `NONE` when there is too little to compare."""
    said = _NOISE.sub("", _MARKS.sub(" ", folded.text[:MAX_CHARS])).lower()
    if len(said) < MIN_CHARS:
        return NONE
    value = _simhash(np.unique(_grams(said)))
    # A real text may hash to zero; it must not pass for none.
    return f"{value or 1:016x}"


def distance(one: str, other: str) -> int:
    """Bits in which two fingerprints differ.

    >>> distance("000000000000000f", "0000000000000001")
    3
    """
    return (int(one, 16) ^ int(other, 16)).bit_count()


def _grams(text: str) -> NDArray[np.uint64]:
    codes = np.frombuffer(text.encode("utf-32-le"), dtype="<u4").astype(np.uint64)
    dense = ((codes >= 0x2E80) & (codes <= 0x9FFF)) | ((codes >= 0xAC00) & (codes <= 0xD7AF)) | (codes >= 0x20000)
    pairs = codes[:-1] << np.uint64(21) | codes[1:]
    fours = pairs[:-2] << np.uint64(42) ^ pairs[:-2] >> np.uint64(22) ^ pairs[2:]
    return np.concatenate([pairs[dense[:-1] & dense[1:]], fours[~dense[:-3]]])


def _simhash(grams: NDArray[np.uint64]) -> int:
    if not len(grams):
        return 0
    # splitmix64: every input bit flips every output bit with probability one half.
    mixed = grams + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ mixed >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ mixed >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    bits = np.unpackbits(mixed.astype(">u8").view(np.uint8).reshape(-1, 8), axis=1)
    majority = 2 * bits.sum(axis=0, dtype=np.int64) > len(grams)
    return int.from_bytes(np.packbits(majority).tobytes(), "big")
