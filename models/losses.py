"""The losses. A row trains only what it knows: absent targets are skipped, two-class labels leave neutral open."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div

from opinionwatch.models.batches import IGNORED, Batch, pair_targets, span_batch
from opinionwatch.models.decode import spans_of
from opinionwatch.models.encoder import Encoded, Encoder
from opinionwatch.models.examples import Span
from opinionwatch.models.mix import mixed, partners
from opinionwatch.models.recipe import Distillation, Schedule

NEUTRAL = 1


class Losses(NamedTuple):
    """Mean losses of a batch, each a scalar; zero where no row knows the target."""

    sentiment: Tensor
    tags: Tensor
    pairs: Tensor
    targets: Tensor

    def total(self, schedule: Schedule, noise: Tensor | None = None) -> Tensor:
        """The weighted sum that is minimised.

        `noise` (4,) are learnt log-variances: each loss is divided by its own, which costs their sum (Kendall, Gal,
        Cipolla, Multi-Task Learning Using Uncertainty, CVPR 2018).
        """
        weights = (schedule.sentiment_weight, schedule.tags_weight, schedule.pairs_weight, schedule.targets_weight)
        weighed = torch.stack([weight * part for weight, part in zip(weights, self, strict=True)])
        return weighed.sum() if noise is None else ((-noise).exp() * weighed + noise / 2).sum()


def losses(
    model: Encoder, encoded: Encoded, batch: Batch, schedule: Schedule, distillation: Distillation | None = None
) -> Losses:
    """All losses of a batch that the model has read."""
    logits = encoded.sentiment.float()
    weights = torch.tensor(schedule.class_weights or (1.0, 1.0, 1.0), device=logits.device)
    shares = torch.ones(len(logits), device=logits.device)
    if distillation is not None:  # a row that no teacher was asked about has its label alone
        shares[~batch.soft.isnan().any(-1)] = 1 - distillation.weight

    def told(logits: Tensor, labels: Tensor) -> Tensor:
        counts = weights[labels.clamp(min=0)] * shares
        weight, smoothing, gamma = schedule.two_class_weight, schedule.label_smoothing, schedule.focal_gamma
        return sentiment_loss(logits, labels, batch.classes, weight, smoothing, counts, gamma)

    if schedule.mix:
        other = partners(batch.labels, batch.classes)
        between, share = mixed(logits, other, schedule.mix)
        own, its = told(between + batch.priors, batch.labels), told(between + batch.priors[other], batch.labels[other])
        sentiment = share * own + (1 - share) * its
    else:
        sentiment = told(logits + batch.priors, batch.labels)
    if distillation is not None:
        sentiment = sentiment + distillation.weight * teacher_loss(logits, batch.soft, distillation.temperature)
    tags = _tags_loss(encoded.aspect_tags, batch.aspect_tags) + _tags_loss(encoded.opinion_tags, batch.opinion_tags)
    return Losses(sentiment, tags, _pairs_loss(model, encoded, batch), _targets_loss(model, encoded, batch))


def sentiment_loss(
    logits: Tensor,
    labels: Tensor,
    classes: Tensor,
    two_class_weight: float,
    smoothing: float = 0.0,
    weights: Tensor | None = None,
    focal_gamma: float = 0.0,
) -> Tensor:
    """Cross-entropy; for a row whose source lacks neutral, only between negative and positive.

    Such a row has, besides, the term −w·log(1 − p(neutral)): w = 0 says nothing about neutral, w = 1 makes the sum the
    plain three-class loss, since p(y) = p(y | not neutral) · p(not neutral). `weights` (n,), of mean 1, weigh the rows.
    With `focal_gamma` a row counts (1 − p)^γ as much (Lin et al., Focal Loss for Dense Object Detection, ICCV 2017).
    """
    known = labels != IGNORED
    if not bool(known.any()):
        return logits.sum() * 0
    logits, labels, two = logits[known], labels[known], (classes[known] == 2)
    masked = logits.clone()
    masked[two, NEUTRAL] = float("-inf")
    chosen = -masked.log_softmax(-1).gather(1, labels.unsqueeze(1)).squeeze(1)
    if focal_gamma:
        chosen = (1 - (-chosen).exp()).clamp(min=0) ** focal_gamma * chosen
    if smoothing:
        spread = -(logits.log_softmax(-1)).mean(-1)
        chosen = torch.where(two, chosen, (1 - smoothing) * chosen + smoothing * spread)
    polar = logits.logsumexp(-1) - logits[:, [0, 2]].logsumexp(-1)
    each = chosen + two_class_weight * polar * two
    return (each if weights is None else each * weights[known]).mean()


def teacher_loss(logits: Tensor, soft: Tensor, temperature: float) -> Tensor:
    """Divergence from the teachers' softened log-probabilities `soft` (n, 3); rows of NaN were not asked.

    Times the temperature squared, so that its gradients weigh as much as those of labels.
    """
    asked = ~soft.isnan().any(-1)
    if not bool(asked.any()):
        return logits.sum() * 0
    own = (logits[asked] / temperature).log_softmax(-1)
    return kl_div(own, soft[asked], log_target=True, reduction="batchmean") * temperature**2


def _tags_loss(logits: Tensor, tags: Tensor) -> Tensor:
    if not bool((tags != IGNORED).any()):
        return logits.sum() * 0
    return cross_entropy(logits.float().flatten(0, 1), tags.flatten(), ignore_index=IGNORED)


def _pairs_loss(model: Encoder, encoded: Encoded, batch: Batch) -> Tensor:
    """Gold spans and, so that the classifier learns to refuse them, the spans the taggers find now."""
    if not any(row.links for row in batch.rows):
        return encoded.hidden.sum() * 0
    aspects = _candidates([row.aspects for row in batch.rows], encoded.aspect_tags, batch.mask)
    opinions = _candidates([row.opinions for row in batch.rows], encoded.opinion_tags, batch.mask)
    left, right, pairs, classes = pair_targets(batch.rows, aspects, opinions, encoded.hidden.device)
    return cross_entropy(model.pairs(encoded, left, right, pairs).float(), classes)


def _targets_loss(model: Encoder, encoded: Encoded, batch: Batch) -> Tensor:
    """The text's own logits are not moved by it: what it teaches is the difference that the place of a name makes."""
    named = [(at, *span, mood) for at, row in enumerate(batch.rows) for span, mood in row.targets or ()]
    if model.targets is None or not named:
        return encoded.hidden.sum() * 0
    device = encoded.hidden.device
    spans = span_batch([each[:3] for each in named], device)
    logits = encoded.sentiment[spans.row].detach() + model.toward(encoded, spans)
    return cross_entropy(logits.float(), torch.tensor([each[3] for each in named], device=device))


def _candidates(gold: list[tuple[Span, ...] | None], logits: Tensor, mask: Tensor) -> list[list[Span]]:
    tags = logits.detach().argmax(-1).tolist()
    sizes = mask.sum(1).tolist()
    return [
        [] if known is None else list(dict.fromkeys([*known, *spans_of(row[:size])]))
        for known, row, size in zip(gold, tags, sizes, strict=True)
    ]
