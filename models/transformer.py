"""A transformer trained from scratch (Vaswani et al., Attention Is All You Need, 2017): norm first, sinusoids for
positions.
"""

import math

import torch
from torch import Tensor, nn

from opinionwatch.models.recipe import Body
from opinionwatch.models.scratch import Scratch

HEAD_WIDTH, STRETCH = 32, 4
"""States a head, and how much wider the feed-forward layer is."""


class Layers(nn.Module):
    """Self-attention layers: vectors (B, L, W) → (B, L, hidden)."""

    def __init__(self, width: int, settings: Body) -> None:
        super().__init__()
        hidden = settings.hidden
        self.enter = nn.Linear(width, hidden)
        layer = nn.TransformerEncoderLayer(
            hidden,
            max(1, hidden // HEAD_WIDTH),
            STRETCH * hidden,
            settings.dropout,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.stack = nn.TransformerEncoder(layer, settings.depth, nn.LayerNorm(hidden), enable_nested_tensor=False)

    def forward(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """States of the tokens; padding is not attended to."""
        entered = self.enter(vectors)
        states: Tensor = self.stack(entered + _positions(entered), src_key_padding_mask=mask == 0)
        return states


class Transformer(Scratch):
    """A small transformer over vectors that are learnt with it."""

    @classmethod
    def build(cls, width: int, settings: Body) -> tuple[nn.Module, int]:
        """`depth` layers of `hidden` states."""
        return Layers(width, settings), settings.hidden


def _positions(states: Tensor) -> Tensor:
    length, hidden = states.shape[1:]
    at = torch.arange(length, device=states.device, dtype=torch.float32).unsqueeze(1)
    rate = torch.exp(torch.arange(0, hidden, 2, device=states.device) * (-math.log(10_000.0) / hidden))
    angles = at * rate
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)[:, :hidden].to(states.dtype)
