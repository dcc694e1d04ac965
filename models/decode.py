"""From logits to terms and triplets, in tokens. Used by the losses, by the scorer and by the figures alike."""

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field

from opinionwatch.models.batches import span_batch
from opinionwatch.models.encoder import Encoded, Encoder
from opinionwatch.models.examples import NO_PAIR, Span
from opinionwatch.models.heads import BEGIN, OUTSIDE


class Decoding(BaseModel):
    """How readily terms and links are told, in logits: what is taken off `outside` and off `no link`. Set on dev."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    term_bias: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    link_bias: Annotated[float, Field(allow_inf_nan=False)] = 0.0


class Triplet(NamedTuple):
    """Aspect (None: only implied) and opinion as first and last token, polarity as index into LABELS, confidence."""

    aspect: Span | None
    opinion: Span
    polarity: int
    confidence: float


def spans_of(tags: Sequence[int]) -> list[Span]:
    """First and last token of every term in BIO tags; an `inside` without a `begin` begins a term.

    >>> spans_of([0, 1, 2, 1, 0, 2])
    [(1, 2), (3, 3), (5, 5)]
    """
    spans: list[Span] = []
    start: int | None = None
    for at, tag in enumerate([*tags, OUTSIDE]):
        if start is not None and tag in (OUTSIDE, BEGIN):
            spans.append((start, at - 1))
            start = None
        if tag != OUTSIDE and start is None:
            start = at
    return spans


def triplets(
    model: Encoder, encoded: Encoded, sizes: Sequence[int], decoding: Decoding | None = None
) -> list[list[Triplet]]:
    """The triplets of every row of a batch; `sizes` are the lengths of the rows in tokens.

    An opinion term is linked to every aspect whose class is a polarity, with the link bias and without it. Where there
    is none it goes to the one aspect, or the implied one, that is likeliest after the link bias; if that is `no link`
    too, the term is no opinion. Confidence is the probability of the polarity class, without any bias.
    """
    decoding = decoding or Decoding()
    aspect_tags = _tags(encoded.aspect_tags, decoding.term_bias)
    opinion_tags = _tags(encoded.opinion_tags, decoding.term_bias)
    left: list[tuple[int, int, int]] = []
    right: list[tuple[int, int, int]] = []
    pairs: list[tuple[int, int]] = []
    for row, size in enumerate(sizes):
        opinions = spans_of(opinion_tags[row][1 : size - 1])
        if not opinions:
            continue
        base = len(left)
        left += [(row, first + 1, last + 1) for first, last in spans_of(aspect_tags[row][1 : size - 1])]
        for first, last in opinions:
            pairs += [(-1, len(right)), *((aspect, len(right)) for aspect in range(base, len(left)))]
            right.append((row, first + 1, last + 1))
    found: list[list[Triplet]] = [[] for _ in sizes]
    if not pairs:
        return found
    device = encoded.hidden.device
    logits = model.pairs(
        encoded, span_batch(left, device), span_batch(right, device), torch.tensor(pairs, device=device)
    )
    chances = logits.float().softmax(-1)
    plain, ready = chances.argmax(-1).tolist(), _less(logits, NO_PAIR, decoding.link_bias).argmax(-1).tolist()
    told = chances.gather(1, torch.tensor(ready, device=device).unsqueeze(1)).squeeze(1).tolist()
    by_opinion: dict[int, list[int]] = {}
    for at, (_, opinion) in enumerate(pairs):
        by_opinion.setdefault(opinion, []).append(at)
    for opinion, candidates in by_opinion.items():
        linked = [at for at in candidates if pairs[at][0] >= 0 and NO_PAIR not in (plain[at], ready[at])]
        if not linked:
            linked = sorted((at for at in candidates if ready[at] != NO_PAIR), key=lambda at: -told[at])[:1]
        for at in linked:
            aspect = pairs[at][0]
            span = None if aspect < 0 else left[aspect][1:]
            found[right[opinion][0]].append(Triplet(span, right[opinion][1:], ready[at] - 1, told[at]))
    return [sorted(row, key=lambda triplet: (triplet.opinion, triplet.aspect or (0, 0))) for row in found]


def _tags(logits: torch.Tensor, bias: float) -> list[list[int]]:
    tags: list[list[int]] = _less(logits, OUTSIDE, bias).argmax(-1).tolist()
    return tags


def _less(logits: torch.Tensor, column: int, bias: float) -> torch.Tensor:
    taken = torch.zeros(logits.shape[-1], device=logits.device)
    taken[column] = bias
    return logits.float() - taken
