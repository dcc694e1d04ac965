"""Mixing pairs of rows: between two texts the answer lies between theirs.

Guo, Mao, Zhang, Augmenting Data with Mixup for Sentence Classification (2019), in the variant that mixes the vectors of
whole texts just before the classifier. That classifier is linear, so mixing its logits is the same and costs nothing.
"""

import torch
from torch import Tensor

from opinionwatch.models.batches import IGNORED


def partners(labels: Tensor, classes: Tensor) -> Tensor:
    """Another row for each, drawn among those that know the same classes; its own place where there is none (n,)."""
    found = torch.arange(len(labels), device=labels.device)
    for kind in (2, 3):
        alike = ((classes == kind) & (labels != IGNORED)).nonzero().flatten()
        found[alike] = alike[torch.randperm(len(alike)).to(alike.device)]
    return found


def mixed(logits: Tensor, other: Tensor, alpha: float) -> tuple[Tensor, float]:
    """Logits (n, 3) moved towards those of their partners `other` (n,), and the share that is left of their own.

    One share a batch, drawn from Beta(alpha, alpha) with torch's generator.
    """
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    return share * logits + (1 - share) * logits[other], share
