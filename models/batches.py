"""Training batches: encoded examples, grouped by length so that little is padding, with a target for every loss."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from opinionwatch.models.examples import NO_PAIR, Example, Span, Target
from opinionwatch.models.heads import BEGIN, INSIDE, OUTSIDE, SpanBatch
from opinionwatch.models.priors import NONE, Prior
from opinionwatch.models.tokens import TextTokens, token_span

IGNORED = -100
"""Target of whatever a row does not know; PyTorch's losses skip it."""
UNTAUGHT = (float("nan"),) * 3
POOL_BATCHES = 50
"""Lengths are sorted within this many batches' worth of shuffled texts."""

TokenLink = tuple[Span | None, Span, int]


@dataclass(frozen=True, slots=True)
class Row:
    """An example in tokens. Spans are first and last token, inclusive; None means unknown, as in `Example`."""

    ids: list[int]
    label: int
    classes: int
    aspects: tuple[Span, ...] | None
    opinions: tuple[Span, ...] | None
    links: tuple[TokenLink, ...] | None
    targets: tuple[Target, ...] | None = None
    prior: Prior = NONE
    """Added to its logits while it trains; see `models/priors.py`."""
    soft: tuple[float, float, float] | None = None
    """What teachers say: log-probabilities, softened. None: they were not asked."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded ids and masks (B, L), labels and class counts (B,), priors and what teachers say (B, 3), tags (B, L); the
    rows for the pair targets.
    """

    ids: Tensor
    mask: Tensor
    labels: Tensor
    classes: Tensor
    priors: Tensor
    soft: Tensor
    """NaN where no teacher was asked."""
    aspect_tags: Tensor
    opinion_tags: Tensor
    rows: list[Row]

    def to(self, device: torch.device) -> "Batch":
        """The same batch with its tensors on another device."""
        return Batch(
            ids=self.ids.to(device),
            mask=self.mask.to(device),
            labels=self.labels.to(device),
            classes=self.classes.to(device),
            priors=self.priors.to(device),
            soft=self.soft.to(device),
            aspect_tags=self.aspect_tags.to(device),
            opinion_tags=self.opinion_tags.to(device),
            rows=self.rows,
        )


def encode(
    examples: Sequence[Example], tokens: TextTokens, priors: Mapping[str, Prior] = MappingProxyType({})
) -> list[Row]:
    """Tokenise; spans that the length cap cuts off are dropped with their links. `priors` are those of the sources."""
    rows = []
    for example, encoded in zip(examples, tokens.encode([e.text for e in examples]), strict=True):
        ids, offsets = encoded.ids, encoded.offsets

        def place(spans: Sequence[Span] | None, offsets: list[Span] = offsets) -> dict[Span, Span] | None:
            found = ((span, token_span(span, offsets)) for span in spans or ())
            return None if spans is None else {span: tokens for span, tokens in found if tokens is not None}

        aspects, opinions = place(example.aspects), place(example.opinions)
        named = place(None if example.targets is None else [span for span, _ in example.targets])
        links = None
        if example.links is not None and aspects is not None and opinions is not None:
            links = tuple(
                (aspects.get(aspect) if aspect else None, opinions[opinion], polarity)
                for aspect, opinion, polarity in example.links
                if opinion in opinions and (aspect is None or aspect in aspects)
            )
        rows.append(
            Row(
                ids,
                IGNORED if example.label is None else example.label,
                example.classes,
                None if aspects is None else tuple(aspects.values()),
                None if opinions is None else tuple(opinions.values()),
                links,
                None
                if named is None
                else tuple((named[span], mood) for span, mood in example.targets or () if span in named),
                priors.get(example.source, NONE),
            )
        )
    return rows


def epoch(rows: Sequence[Row], tokens_per_batch: int, rows_per_batch: int, seed: int) -> list[list[Row]]:
    """Shuffle, sort by length within pools, cut at so many tokens or rows, shuffle the batches."""
    order = list(rows)
    shuffler = random.Random(seed)
    shuffler.shuffle(order)
    mean = sum(len(row.ids) for row in order) / max(1, len(order))
    pool = max(1, int(POOL_BATCHES * tokens_per_batch / max(1.0, mean)))
    batches = [
        batch
        for start in range(0, len(order), pool)
        for batch in _cut(
            sorted(order[start : start + pool], key=lambda row: len(row.ids)), tokens_per_batch, rows_per_batch
        )
    ]
    shuffler.shuffle(batches)
    return batches


def _cut(rows: Sequence[Row], budget: int, most: int) -> Iterator[list[Row]]:
    batch: list[Row] = []
    for row in rows:
        if batch and (len(batch) == most or (len(batch) + 1) * len(row.ids) > budget):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def collate(rows: list[Row], pad: int) -> Batch:
    """Tensors of a batch, padded to its longest row."""
    width = max(len(row.ids) for row in rows)
    ids = torch.full((len(rows), width), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    tags = torch.full((2, len(rows), width), IGNORED, dtype=torch.long)
    for at, row in enumerate(rows):
        size = len(row.ids)
        ids[at, :size] = torch.tensor(row.ids)
        mask[at, :size] = 1
        for kind, spans in enumerate((row.aspects, row.opinions)):
            if spans is not None:
                tags[kind, at, :size] = torch.tensor(bio(spans, size))
    return Batch(
        ids,
        mask,
        torch.tensor([row.label for row in rows]),
        torch.tensor([row.classes for row in rows]),
        torch.tensor([row.prior for row in rows]),
        torch.tensor([row.soft or UNTAUGHT for row in rows]),
        tags[0],
        tags[1],
        rows,
    )


def bio(spans: Sequence[Span], size: int) -> list[int]:
    """Tags of a row; of two overlapping spans the later one stands."""
    tags = [OUTSIDE] * size
    for first, last in spans:
        tags[first : last + 1] = [BEGIN] + [INSIDE] * (last - first)
    return tags


def pair_targets(
    rows: Sequence[Row],
    aspects: Sequence[Sequence[Span]],
    opinions: Sequence[Sequence[Span]],
    device: torch.device | None = None,
) -> tuple[SpanBatch, SpanBatch, Tensor, Tensor]:
    """Every pair of a candidate aspect (or the implied one, -1) and a candidate opinion of the rows that know links.

    Candidates are spans a row; returns both span batches, the pairs (P, 2) and their classes (P,).
    """
    left: list[tuple[int, int, int]] = []
    right: list[tuple[int, int, int]] = []
    pairs: list[tuple[int, int]] = []
    classes: list[int] = []
    for at, row in enumerate(rows):
        if row.links is None:
            continue
        truth = {(aspect, opinion): 1 + polarity for aspect, opinion, polarity in row.links}
        base = len(left)
        left += [(at, *span) for span in aspects[at]]
        for opinion in opinions[at]:
            pairs.append((-1, len(right)))
            classes.append(truth.get((None, opinion), NO_PAIR))
            for number, aspect in enumerate(aspects[at]):
                pairs.append((base + number, len(right)))
                classes.append(truth.get((aspect, opinion), NO_PAIR))
            right.append((at, *opinion))
    return (
        span_batch(left, device),
        span_batch(right, device),
        torch.tensor(pairs, dtype=torch.long, device=device).view(-1, 2),
        torch.tensor(classes, dtype=torch.long, device=device),
    )


def span_batch(spans: Sequence[tuple[int, int, int]], device: torch.device | None = None) -> SpanBatch:
    """Row, first and last token of each span as three tensors."""
    table = torch.tensor(spans, dtype=torch.long, device=device).view(-1, 3)
    return SpanBatch(table[:, 0], table[:, 1], table[:, 2])
