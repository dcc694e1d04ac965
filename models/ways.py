"""How a device computes the parts of a packed body: its products, its attention, and whether a pass can be recorded."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from opinionwatch.models.attention import Attention, equal, flash, jagged, varlen
from opinionwatch.models.graphs import Recorder, captured
from opinionwatch.models.kernels import (
    Block,
    ByteBlock,
    ByteProduct,
    Linear,
    PlainProduct,
    Product,
    Reach,
    available,
    takes,
)

STEPS, COARSE = ((128, 16), (512, 32)), 64
"""Up to how many rows they come in steps of how many."""
FLASH_FROM = (8, 0)
"""The compute capability that FlashAttention needs (Ampere)."""


class Layer(NamedTuple):
    """The linear layers of one layer: queries, keys and values in one, and three more."""

    joint: Linear
    output: Linear
    up: Linear
    down: Linear


class Products(NamedTuple):
    """The same, ready to be used; `block` is `up`, the activation function and `down`."""

    joint: Callable[[Tensor], Tensor]
    output: Callable[[Tensor], Tensor]
    block: Callable[[Tensor], Tensor]


class Make(Protocol):
    """Lays out a layer's weights for a device."""

    def __call__(self, at: int, layer: Layer) -> Products:
        """`at` counts the layers from the bottom."""


class Ways(NamedTuple):
    """Everything about a packed body that depends on where it runs."""

    device: torch.device
    make: Make
    attention: Attention
    rows: Callable[[int], int] = int
    """Of how many rows a pass of so many tokens is made; those behind the last text belong to none."""
    recorder: Recorder | None = None
    """Where the launch of a pass's many small kernels takes longer than they do."""


def ways(device: torch.device, dtype: torch.dtype, reaches: Sequence[Reach] = ()) -> Ways:
    """The fastest known here. `dtype` is that of products and attention; with reaches products have 8 bits."""
    if device.type == "cuda":
        if dtype != torch.float32 and torch.cuda.get_device_capability(device) >= FLASH_FROM:
            return Ways(
                device, plain(dtype, device), varlen(flash), recorder=Recorder(flash, partial(captured, device))
            )
        return Ways(device, plain(dtype, device), jagged())
    if not available() or not takes(dtype):
        return Ways(device, plain(dtype, device), equal())
    return Ways(device, in_bytes(dtype, reaches) if reaches else laid_out(dtype), equal(), rounded)


def rounded(tokens: int) -> int:
    """A number of rows that oneDNN has probably met: it makes a program for each, and remembers them all.

    >>> [rounded(tokens) for tokens in (1, 16, 130, 511, 1990)]
    [16, 16, 160, 512, 2048]
    """
    step = next((step for most, step in STEPS if tokens <= most), COARSE)
    return -(-tokens // step) * step


def plain(dtype: torch.dtype, device: torch.device) -> Make:
    """Products of PyTorch's own, on any device."""

    def make(at: int, layer: Layer) -> Products:  # noqa: ARG001, all makers are called alike
        joint, output = PlainProduct(*layer.joint, dtype, device), PlainProduct(*layer.output, dtype, device)
        up, down = PlainProduct(*layer.up, dtype, device, "gelu"), PlainProduct(*layer.down, dtype, device)
        return Products(joint, output, Block(up, down))

    return make


def laid_out(dtype: torch.dtype) -> Make:
    """oneDNN's products, on a CPU."""

    def make(at: int, layer: Layer) -> Products:  # noqa: ARG001, all makers are called alike
        block = Block(Product(*layer.up, dtype, "gelu"), Product(*layer.down, dtype))
        return Products(Product(*layer.joint, dtype), Product(*layer.output, dtype), block)

    return make


def in_bytes(dtype: torch.dtype, reaches: Sequence[Reach]) -> Make:
    """oneDNN's products in 8 bits; the reaches are those of the inputs of a layer's four, from the bottom layer up.

    The bottom layer keeps its bits: what is rounded there is carried through all others (on the shipped twelve layers,
    7 labels of 1,000 change in place of 13).
    """
    whole = laid_out(dtype)

    def make(at: int, layer: Layer) -> Products:
        if at == 0:
            return whole(at, layer)
        joint, output, up, down = reaches[4 * at : 4 * at + 4]
        return Products(
            ByteProduct(*layer.joint, joint, dtype),
            ByteProduct(*layer.output, output, torch.float32),
            ByteBlock(layer.up, layer.down, up, down),
        )

    return make
