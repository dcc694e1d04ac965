"""Which documents a person should label next: those the model is least sure of, and no two alike.

Uncertainty is the entropy of the probabilities (uncertainty sampling; Lewis and Gale, A Sequential Algorithm for
Training Text Classifiers, SIGIR 1994). A document that is like one that was chosen or corrected before counts for less,
by its nearest one (maximal marginal relevance; Carbonell and Goldstein, SIGIR 1998): twenty copies of a complaint teach
as much as one. Likeness is the cosine of hashed character trigrams. Pure.
"""

import math
from collections.abc import Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from opinionwatch.pipeline.contracts import ScoredDocument, Sentiment
from opinionwatch.pipeline.fold import fold

BUCKETS = 1024
CHARS = 400
"""A text is compared by so much of its beginning."""
CHUNK = 512
"""Known texts that are compared at once: there may be half a million of them."""


def uncertainty(mood: Sentiment) -> float:
    """Entropy of the probabilities, from 0 (sure) to 1 (no idea).

    >>> uncertainty(Sentiment(label="neutral", negative=0, neutral=1, positive=0, unsure=False))
    0.0
    """
    chances = (mood.negative, mood.neutral, mood.positive)
    return -sum(chance * math.log(chance) for chance in chances if chance > 0) / math.log(3) + 0.0


def most_useful(candidates: Sequence[ScoredDocument], known: Sequence[str], limit: int) -> list[ScoredDocument]:
    """The best `limit` candidates, the most useful first; `known` are texts that people have labelled."""
    if not candidates or limit < 1:
        return []
    doubts = np.array([uncertainty(each.reading.sentiment) for each in candidates])
    places = _vectors([each.document.text for each in candidates])
    nearest = np.zeros(len(candidates), np.float32)
    for at in range(0, len(known), CHUNK):
        nearest = np.maximum(nearest, (places @ _vectors(known[at : at + CHUNK]).T).max(axis=1))
    chosen: list[ScoredDocument] = []
    open_ = np.ones(len(candidates), bool)
    while len(chosen) < limit and open_.any():
        worth = np.where(open_, doubts * (1 - np.clip(nearest, 0, 1)), -1)
        best = int(worth.argmax())
        chosen.append(candidates[best])
        open_[best] = False
        nearest = np.maximum(nearest, places @ places[best])
    return chosen


def _vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    """A unit vector a text, of its hashed character trigrams."""
    found = np.zeros((len(texts), BUCKETS), np.float32)
    for row, text in enumerate(texts):
        plain = f" {fold(text[:CHARS]).text.lower()} "
        for at in range(max(1, len(plain) - 2)):
            found[row, crc32(plain[at : at + 3].encode("utf-8", "replace")) % BUCKETS] += 1
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    unit: NDArray[np.float32] = (found / np.maximum(lengths, 1e-9)).astype(np.float32)
    return unit
