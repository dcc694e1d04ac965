"""One linear layer on a CPU, its weights laid out once for the processor.

The products are oneDNN's, through the operators that TorchInductor uses for the same purpose. On processors that MKL
does not favour they are twice as fast as `torch.nn.functional.linear` in fp32, and activation functions are joined to
them.
"""

from typing import Literal

import torch
from torch import Tensor, nn

ROWS = 512
"""Tokens for which the layout is chosen; it serves any number."""
After = Literal["none", "gelu"]


def available() -> bool:
    """Whether this build of PyTorch has the operators; every official x86 build has."""
    return bool(torch._C._has_mkldnn) and hasattr(torch.ops.mkldnn, "_linear_pointwise")


class Product:
    """In 32 or 16 bits; gives what it computes in."""

    def __init__(self, weight: Tensor, bias: Tensor, dtype: torch.dtype, after: After = "none") -> None:
        self._dtype, self._after = dtype, after
        self._bias = bias.detach().to(dtype).contiguous()
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach().to(dtype).contiguous(), ROWS)

    def __call__(self, rows: Tensor) -> Tensor:
        """Rows of any floating type, in; `dtype` out."""
        found: Tensor = torch.ops.mkldnn._linear_pointwise(
            rows.to(self._dtype), self._weight, self._bias, self._after, [], "none" if self._after == "gelu" else ""
        )
        return found


def joined(layers: list[nn.Linear], first_factor: float) -> tuple[Tensor, Tensor]:
    """Weights and biases of layers that read the same rows, as those of one; the first of them times a factor."""
    factors = [first_factor] + [1.0] * (len(layers) - 1)
    weights = [layer.weight.detach().float() * factor for layer, factor in zip(layers, factors, strict=True)]
    biases = [layer.bias.detach().float() * factor for layer, factor in zip(layers, factors, strict=True)]
    return torch.cat(weights), torch.cat(biases)
