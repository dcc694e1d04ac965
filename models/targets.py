"""From the places that name a target to what is added to a text's sentiment logits for it."""

from collections.abc import Sequence

import torch

from opinionwatch.models.batches import span_batch
from opinionwatch.models.encoder import Encoded, Encoder
from opinionwatch.models.examples import Span
from opinionwatch.models.tokens import token_span
from opinionwatch.pipeline.errors import RejectedError

MOST_TARGETS, MOST_PLACES = 64, 16
"""Of a text, and of a target: what comes after them is not looked at, so that no text brings more work than others."""
Logits = tuple[float, float, float]
"""One number a class, in the order of LABELS."""
NOTHING: Logits = (0.0, 0.0, 0.0)
"""Added for a target of which the model sees nothing: it is told what the text says."""
Named = tuple[Span, ...]
"""First and last token (inclusive) of every place that names a target."""


def named(targets: Sequence[Sequence[Span]], offsets: Sequence[Span]) -> tuple[Named, ...]:
    """The tokens of each target's characters; none where all lie beyond the cap.

    >>> named([[(0, 3), (8, 9)], [(90, 95)]], [(0, 0), (0, 3), (3, 8), (8, 12), (0, 0)])
    (((1, 1), (3, 3)), ())
    """
    seen = [[token_span(place, offsets) for place in places[:MOST_PLACES]] for places in targets[:MOST_TARGETS]]
    found = [tuple(dict.fromkeys(span for span in places if span is not None)) for places in seen]
    return (*found, *(() for _ in targets[MOST_TARGETS:]))


def plus(logits: Logits, more: Logits) -> Logits:
    """The sum, class by class.

    >>> plus((1.0, 0.0, 2.0), (0.5, 0.0, -2.0))
    (1.5, 0.0, 0.0)
    """
    return logits[0] + more[0], logits[1] + more[1], logits[2] + more[2]


def times(logits: Logits, share: float) -> Logits:
    """So much of each.

    >>> times((1.0, 0.0, -2.0), 0.5)
    (0.5, 0.0, -1.0)
    """
    return share * logits[0], share * logits[1], share * logits[2]


def added(model: Encoder, encoded: Encoded, targets: Sequence[Sequence[Named]]) -> list[tuple[Logits, ...]]:
    """What is added for each target of each row of a batch: the mean over its places.

    Raises RejectedError(model_output) where that is no finite number.
    """
    flat = [(row, *span) for row, own in enumerate(targets) for spans in own for span in spans]
    if not flat:
        return [(NOTHING,) * len(own) for own in targets]
    logits = model.toward(encoded, span_batch(flat, encoded.hidden.device)).float().cpu()
    if not bool(torch.isfinite(logits).all()):
        raise RejectedError("model_output", "the sentiment logits towards a name are not finite numbers")
    rows = iter(logits.tolist())
    return [tuple(_mean([next(rows) for _ in spans]) for spans in own) for own in targets]


def _mean(rows: Sequence[Sequence[float]]) -> Logits:
    if not rows:
        return NOTHING
    negative, neutral, positive = (sum(column) / len(rows) for column in zip(*rows, strict=True))
    return negative, neutral, positive
