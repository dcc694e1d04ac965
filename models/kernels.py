"""Linear layers, their weights laid out once for the processor; on a CPU in 32, 16 or 8 bits.

On a CPU the products are oneDNN's, through the operators that TorchInductor uses for the same purpose. On processors
that MKL does not favour they are twice as fast as `torch.nn.functional.linear` in fp32, and activation functions are
joined to them. In 8 bits weights have a scale a row, and inputs one grid, measured beforehand (static quantisation:
Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference, CVPR 2018).
"""

import os
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import gelu, linear

PROGRAMS = "32"
"""How many of the programs that oneDNN makes, one for each shape of a product, it may keep; 0.7 MB each. Its own 1,024
are more than a process wants to hold, and a new one costs a third of a millisecond.
"""
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", PROGRAMS)
ROWS = 512
"""Tokens for which the layout is chosen; it serves any number."""
STEPS, SIGN = 255, 128
FEW = 2
"""Columns that reach farthest: so many are kept out of the 8 bits, or made smaller."""
ROOM = 1.5
"""How much farther than measured columns may reach: what lies beyond is cut, and cutting errs more than rounding."""
After = Literal["none", "gelu"]


def available() -> bool:
    """Whether this build of PyTorch has the operators; every official x86 build has."""
    return bool(torch._C._has_mkldnn) and hasattr(torch.ops.onednn, "qlinear_pointwise")


def largest() -> int:
    """Of the whole numbers that weights are rounded to: 127, or 63 on processors without VNNI.

    Those add the products of two pairs in 16 bits and cut what is larger, so that weights must fit in 7 bits (oneDNN,
    Nuances of int8 Computations).
    """
    return 127 if any(torch.cpu.get_capabilities().get(name) for name in ("avx512_vnni", "avx_vnni")) else 63


def takes(dtype: torch.dtype) -> bool:
    """Whether oneDNN's products can be of this type on this processor: bf16 needs AVX-512 or AVX-NE-CONVERT."""
    return dtype != torch.bfloat16 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class Linear(NamedTuple):
    """Weights (outer, inner) and biases (outer,) of a layer."""

    weight: Tensor
    bias: Tensor


class PlainProduct:
    """PyTorch's own product, on any device; gives what it computes in."""

    def __init__(
        self, weight: Tensor, bias: Tensor, dtype: torch.dtype, device: torch.device, after: After = "none"
    ) -> None:
        self._dtype, self._after = dtype, after
        self._weight, self._bias = weight.detach().to(device, dtype), bias.detach().to(device, dtype)

    def __call__(self, rows: Tensor) -> Tensor:
        """Rows of any floating type, in; `dtype` out."""
        found = linear(rows.to(self._dtype), self._weight, self._bias)
        return gelu(found) if self._after == "gelu" else found


class Product:
    """oneDNN's, in 32 or 16 bits; gives what it computes in."""

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


class Block:
    """Two products; the activation function after the first is a part of it."""

    def __init__(self, up: Callable[[Tensor], Tensor], down: Callable[[Tensor], Tensor]) -> None:
        self._up, self._down = up, down

    def __call__(self, rows: Tensor) -> Tensor:
        """Rows (T, H) in, the same out."""
        return self._down(self._up(rows))


class Reach(NamedTuple):
    """The smallest and the largest number that each column (inner,) of a product's input was seen to take."""

    low: Tensor
    high: Tensor


class Grid(NamedTuple):
    """256 steps: the size of one, and which of them stands for 0."""

    scale: float
    zero: int


def grid(low: Tensor, high: Tensor) -> Grid:
    """One for all columns (inner,) that reach from `low` to `high`, with some room."""
    under, over = ROOM * min(0.0, float(low.min())), ROOM * max(0.0, float(high.max()))
    scale = max(over - under, 1e-6) / STEPS
    return Grid(scale, round(-under / scale))


def farthest(reach: Reach) -> Tensor:
    """Numbers of all columns, those that reach farthest first."""
    return torch.maximum(reach.high, -reach.low).argsort(descending=True)


class ByteProduct:
    """In 8 bits, with one grid for all that goes in; sums of 8-bit products are whole numbers.

    A few columns of a BERT reach ten times as far as the rest. They are made smaller and their weights larger
    (SmoothQuant: Xiao et al., ICML 2023), which suits all products but the one after the activation function.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        reach: Reach,
        gives: torch.dtype,
        after: After = "none",
        to: Grid | None = None,
    ) -> None:
        """`reach` is that of the input. With a grid the output stays in 8 bits."""
        far, order = torch.maximum(reach.high, -reach.low).clamp(min=1e-6), farthest(reach)
        smaller = torch.ones_like(far)
        smaller[order[:FEW]] = far[order[:FEW]] / far[order[min(FEW, len(order) - 1)]]
        wide = weight.detach().float() * smaller
        self._grid, self._to = grid(reach.low / smaller, reach.high / smaller), to
        self._factor = (1 / (smaller * self._grid.scale)).contiguous()
        self._shift = torch.tensor(float(self._grid.zero - SIGN))
        self._gives, self._after = gives if to is None else torch.uint8, after
        self._bias = bias.detach().float().contiguous()
        self._scales = wide.abs().amax(1).clamp(min=1e-12) / largest()
        narrow = (wide / self._scales.unsqueeze(1)).round().to(torch.int8).contiguous()
        self._zeros = torch.zeros(len(narrow), dtype=torch.int64)
        self._weight = torch.ops.onednn.qlinear_prepack(narrow, [ROWS, narrow.shape[1]])

    def __call__(self, rows: Tensor) -> Tensor:
        """Rows of any floating type, or bytes on this product's grid."""
        if rows.dtype != torch.uint8:
            # By way of signed bytes: PyTorch converts to them five times faster than to unsigned ones, and oneDNN has
            # no fast product of signed by signed. The two differ in the highest bit.
            steps = torch.addcmul(self._shift, rows.float(), self._factor).round_().clamp_(-SIGN, SIGN - 1)
            rows = steps.to(torch.int8).view(torch.uint8).bitwise_xor_(SIGN)
        found: Tensor = torch.ops.onednn.qlinear_pointwise(
            rows,
            self._grid.scale,
            self._grid.zero,
            self._weight,
            self._scales,
            self._zeros,
            self._bias,
            *(self._to or (1.0, 0)),
            self._gives,
            self._after,
            [],
            "none" if self._after == "gelu" else "",
        )
        return found


class ByteBlock:
    """The two products around the activation function, with bytes between them.

    The few columns between them that reach farthest stay out of the 8 bits (LLM.int8(): Dettmers et al., NeurIPS 2022).
    """

    def __init__(self, up: Linear, down: Linear, into: Reach, between: Reach) -> None:
        apart = farthest(between)[:FEW]
        inside = torch.ones_like(between.low)
        inside[apart] = 0
        rest = Reach(between.low * inside, between.high * inside)
        self._few = Product(up.weight[apart], up.bias[apart], torch.float32, "gelu")
        self._wide = down.weight.detach().float()[:, apart].T.contiguous()
        # With its columns alike nothing is made smaller, so that the grid is that of the bytes that come.
        level = grid(*rest)
        even = Reach(rest.low.min().expand_as(rest.low), rest.high.max().expand_as(rest.high))
        self._up = ByteProduct(up.weight, up.bias, into, torch.float32, "gelu", level)
        self._down = ByteProduct(down.weight.detach() * inside, down.bias, even, torch.float32)

    def __call__(self, rows: Tensor) -> Tensor:
        """Rows (T, H) in 32 bits in, the same out."""
        return self._down(self._up(rows)).addmm_(self._few(rows), self._wide)


def joined(layers: Sequence[Linear], first_factor: float) -> Linear:
    """Layers that read the same rows as one; the first of them times a factor."""
    factors = [first_factor] + [1.0] * (len(layers) - 1)
    weights = [layer.weight.detach().float() * factor for layer, factor in zip(layers, factors, strict=True)]
    biases = [layer.bias.detach().float() * factor for layer, factor in zip(layers, factors, strict=True)]
    return Linear(torch.cat(weights), torch.cat(biases))
