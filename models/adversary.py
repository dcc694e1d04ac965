"""A second pass over inputs that were moved against the model: the fast gradient method.

Miyato, Dai, Goodfellow, Adversarial Training Methods for Semi-Supervised Text Classification (ICLR 2017): the input
vectors take a step of fixed length along their gradient, and the gradients of that pass are added to the first ones.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from opinionwatch.models.encoder import input_layer


def input_table(model: nn.Module) -> Tensor | None:
    """The input vectors of a body; None where they are not trained."""
    layer = input_layer(model)
    return layer.weight if isinstance(layer, nn.Embedding) and layer.weight.requires_grad else None


@contextmanager
def moved(table: Tensor, length: float) -> Iterator[None]:
    """Move the table by `length` along its gradient, and back; the gradient stays. Nothing moves where it is zero."""
    gradient = table.grad
    norm = None if gradient is None else gradient.norm()
    if gradient is None or norm is None or not bool(torch.isfinite(norm)) or not bool(norm):
        yield
        return
    before = table.detach().clone()
    with torch.no_grad():
        table.add_(gradient, alpha=length / float(norm))
    try:
        yield
    finally:
        with torch.no_grad():
            table.copy_(before)
