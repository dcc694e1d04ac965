"""The heads on one encoder pass: sentiment of the text, aspect–opinion–polarity triplets, sentiment towards a name.

Opinions are found as in Span-ASTE (Xu, Chia, Bing: Learning Span-Level Interactions for Aspect Sentiment Triplet
Extraction, ACL 2021): terms first, then a classifier over every pair of an aspect span and an opinion span. Two things
differ. The terms come from two BIO taggers instead of the enumeration of all spans, which is linear in the length and
fast on a CPU; and the pairs are scored by the biaffine form of Dozat and Manning (Deep Biaffine Attention for Neural
Dependency Parsing, ICLR 2017), with a learned vector as one more candidate aspect that stands for `only implied`.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

OUTSIDE, BEGIN, INSIDE = 0, 1, 2
"""BIO tags, the last axis of the tag logits."""
NEAR_TOKENS = 16
"""Distances between spans beyond this many tokens are all alike."""


class SpanBatch(NamedTuple):
    """Token spans of a batch, flat: row of the batch, first token, last token (inclusive); int64 of shape (n,)."""

    row: Tensor
    first: Tensor
    last: Tensor


class MeanPooling(nn.Module):
    """The mean of the states of real tokens: (B, L, H) → (B, H)."""

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """`mask` is (B, L), 1 on real tokens."""
        weights = mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * weights).sum(1) / weights.sum(1)


class MaxPooling(nn.Module):
    """The largest value of each state over the real tokens."""

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """`mask` is (B, L), 1 on real tokens."""
        return hidden.masked_fill(mask.unsqueeze(-1) == 0, float("-inf")).amax(1)


class AttentionPooling(nn.Module):
    """A mean whose weights are learnt: how well a state answers one query."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.key = nn.Linear(hidden, hidden)
        self.query = nn.Linear(hidden, 1, bias=False)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """`mask` is (B, L), 1 on real tokens."""
        fit = self.query(torch.tanh(self.key(hidden))).masked_fill(mask.unsqueeze(-1) == 0, float("-inf"))
        pooled: Tensor = (fit.softmax(1) * hidden).sum(1)
        return pooled


class SentimentHead(nn.Module):
    """Pooling, the mean unless another is given, and a linear layer: hidden (B, L, H) → logits (B, 3)."""

    def __init__(self, hidden: int, dropout: float, pool: nn.Module | None = None) -> None:
        super().__init__()
        self.pool = MeanPooling() if pool is None else pool
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(hidden, 3)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Class logits in the order of LABELS. `mask` is (B, L), 1 on real tokens."""
        logits: Tensor = self.classify(self.dropout(self.pool(hidden, mask)))
        return logits


class OpinionsHead(nn.Module):
    """Two taggers and a biaffine pair classifier over span vectors of width `size`."""

    def __init__(self, hidden: int, size: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.tag_aspects = nn.Linear(hidden, 3)
        self.tag_opinions = nn.Linear(hidden, 3)
        self.aspect = _Projection(2 * hidden, size, dropout)
        self.opinion = _Projection(2 * hidden, size, dropout)
        self.implied = nn.Parameter(torch.randn(size) * 0.02)
        self.biaffine = nn.Parameter(torch.zeros(4, size, size))
        self.linear = nn.Linear(2 * size, 4)
        self.distance = nn.Embedding(2 * NEAR_TOKENS + 2, 4)
        nn.init.normal_(self.biaffine, std=size**-1)
        nn.init.zeros_(self.distance.weight)

    def tags(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """BIO logits (B, L, 3) of aspect terms and of opinion terms."""
        hidden = self.dropout(hidden)
        return self.tag_aspects(hidden), self.tag_opinions(hidden)

    def pairs(self, hidden: Tensor, aspects: SpanBatch, opinions: SpanBatch, pairs: Tensor) -> Tensor:
        """Logits (P, 4) of {no link, negative, neutral, positive} for pairs (P, 2) of indices.

        The first column of `pairs` points into `aspects`, where -1 is the implied aspect; the second into `opinions`.
        """
        known = torch.cat([self.aspect(_ends(hidden, aspects)), self.implied.unsqueeze(0).to(hidden.dtype)])
        left = known[pairs[:, 0]]
        right = self.opinion(_ends(hidden, opinions))[pairs[:, 1]]
        crossed = torch.einsum("pi,kij,pj->pk", left, self.biaffine.to(left.dtype), right)
        apart = self.distance(_distance(aspects, opinions, pairs))
        logits: Tensor = crossed + self.linear(torch.cat([left, right], -1)) + apart
        return logits


class TargetHead(nn.Module):
    """What the place of a name changes about the sentiment of its text: states of its ends → logits to add (n, 3).

    The spans are read off the states of the one pass, as in span-based target extraction (Hu et al., Open-Domain
    Targeted Sentiment Analysis via Span-Based Extraction and Classification, ACL 2019). It learns a difference, and
    begins at none: of a name that it has nothing to say about, the text's own sentiment stands.
    """

    def __init__(self, hidden: int, size: int, dropout: float) -> None:
        super().__init__()
        self.project = _Projection(2 * hidden, size, dropout)
        self.classify = nn.Linear(size, 3)
        nn.init.zeros_(self.classify.weight)
        nn.init.zeros_(self.classify.bias)

    def forward(self, hidden: Tensor, spans: SpanBatch) -> Tensor:
        """`hidden` is (B, L, H)."""
        change: Tensor = self.classify(self.project(_ends(hidden, spans)))
        return change


class _Projection(nn.Sequential):
    def __init__(self, width: int, size: int, dropout: float) -> None:
        super().__init__(nn.Linear(width, size), nn.GELU(), nn.Dropout(dropout))


def _ends(hidden: Tensor, spans: SpanBatch) -> Tensor:
    return torch.cat([hidden[spans.row, spans.first], hidden[spans.row, spans.last]], -1)


def _distance(aspects: SpanBatch, opinions: SpanBatch, pairs: Tensor) -> Tensor:
    """Signed gap in tokens, moved to 0…2·NEAR_TOKENS; one more index for the implied aspect, which is nowhere."""
    first = torch.cat([aspects.first, aspects.first.new_zeros(1)])[pairs[:, 0]]
    gap = (opinions.first[pairs[:, 1]] - first).clamp(-NEAR_TOKENS, NEAR_TOKENS) + NEAR_TOKENS
    return torch.where(pairs[:, 0] < 0, 2 * NEAR_TOKENS + 1, gap)
