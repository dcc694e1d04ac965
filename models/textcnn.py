"""Convolutions over word vectors, after Kim, Convolutional Neural Networks for Sentence Classification (EMNLP 2014)."""

import torch
from torch import Tensor, nn

from opinionwatch.models.heads import MaxPooling
from opinionwatch.models.recipe import Body
from opinionwatch.models.scratch import Scratch

KERNELS = (1, 3, 5)
"""Widths in tokens; odd, so that a state stands over the middle of what it sees."""


class Convolutions(nn.Module):
    """Filters of several widths side by side: vectors (B, L, W) → (B, L, 3·hidden)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.filters = nn.ModuleList(nn.Conv1d(width, hidden, kernel, padding=kernel // 2) for kernel in KERNELS)

    def forward(self, vectors: Tensor, mask: Tensor) -> Tensor:  # noqa: ARG002, zeros at the padding are enough
        """States of the tokens."""
        turned = vectors.transpose(1, 2)
        return torch.cat([torch.relu(each(turned)) for each in self.filters], 1).transpose(1, 2)


class TextCnn(Scratch):
    """Kim's network; the sentiment is read off the strongest answer of each filter."""

    @classmethod
    def build(cls, width: int, settings: Body) -> tuple[nn.Module, int]:
        """Three widths of filters, `hidden` of each."""
        return Convolutions(width, settings.hidden), settings.hidden * len(KERNELS)

    @classmethod
    def pool(cls, hidden: int) -> nn.Module | None:  # noqa: ARG003, it has no weights
        """Max over time."""
        return MaxPooling()
