"""Attention over texts that lie end to end, no token of which is padding; in three ways, of which a device picks one.

`equal` runs over groups of equally long texts: the fastest on a CPU, where a batch comes sorted by length. `varlen` is
one kernel for texts of any lengths (FlashAttention 2: Dao, ICLR 2024), for 16 bits on CUDA. `jagged` is PyTorch's own
attention over nested tensors, which picks a kernel itself: for 32 bits and for older GPUs; it runs on a CPU, too.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate, groupby
from typing import NamedTuple, cast

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

Attend = Callable[[Tensor, int], Tensor]
"""Queries, keys and values (T, 3 · heads · size), and `size`, to contexts (T, heads · size)."""
Kernel = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, int, int], Tensor]
"""Queries, keys, values (T, heads, size), where texts begin and end in both (N + 1), and the longest text's tokens in
both, to contexts (T, heads, size): what `torch.nn.attention.varlen.varlen_attn` takes.
"""


class Attention(NamedTuple):
    """A way: what is known once the lengths of a batch's texts are, and whether queries must come scaled."""

    plan: Callable[[Sequence[int], torch.device], Attend]
    scaled: bool


class Run(NamedTuple):
    """`texts` texts of `length` tokens each, from row `start` on."""

    start: int
    texts: int
    length: int


def runs(lengths: Sequence[int]) -> list[Run]:
    """Neighbours of equal length.

    >>> runs([3, 3, 2])
    [Run(start=0, texts=2, length=3), Run(start=6, texts=1, length=2)]
    """
    found, start = [], 0
    for length, group in groupby(lengths):
        count = len(list(group))
        found.append(Run(start, count, length))
        start += count * length
    return found


def equal() -> Attention:
    """Group by group."""
    return Attention(lambda lengths, _: partial(_equal, runs(lengths)), scaled=True)


def _equal(groups: Sequence[Run], joint: Tensor, size: int) -> Tensor:
    """Always in 32 bits: for products in 16, oneDNN makes a program for every shape, which takes four times as long as
    to run it, and keeps a thousand of them in memory.
    """
    joint = joint.float()
    found = joint.new_empty(len(joint), joint.shape[1] // 3)
    found[sum(texts * length for _, texts, length in groups) :] = 0
    for start, count, length in groups:
        rows = slice(start, start + count * length)
        query, key, value = joint[rows].view(count, length, 3, -1, size).permute(2, 0, 3, 1, 4).unbind()
        context = (query @ key.transpose(-1, -2)).softmax(-1) @ value
        found[rows].view(count, length, -1, size).copy_(context.transpose(1, 2))
    return found


def bounds(lengths: Sequence[int]) -> list[int]:
    """Where each text begins, and where the last one ends.

    >>> bounds([3, 2])
    [0, 3, 5]
    """
    return [0, *accumulate(lengths)]


def varlen(kernel: Kernel) -> Attention:
    """By a kernel like `flash`."""

    def plan(lengths: Sequence[int], device: torch.device) -> Attend:
        return within(kernel, torch.tensor(bounds(lengths), dtype=torch.int32, device=device), max(lengths))

    return Attention(plan, scaled=False)


def within(kernel: Kernel, ends: Tensor, longest: int) -> Attend:
    """Attention inside each of the texts that these bounds (N + 1, int32) tell; rows of no text come out undefined."""

    def attend(joint: Tensor, size: int) -> Tensor:
        query, key, value = joint.view(len(joint), 3, -1, size).unbind(1)
        return kernel(query, key, value, ends, ends, longest, longest).flatten(1)

    return attend


def flash(query: Tensor, key: Tensor, value: Tensor, begins: Tensor, ends: Tensor, longest: int, other: int) -> Tensor:
    """FlashAttention on CUDA; cuDNN's kernel, which PyTorch may prefer, plans anew for every shape of a batch."""
    # Registers operators, which a CPU does not need.
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.nn.attention.varlen import varlen_attn

    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        # More than one tensor comes back only when more is asked for.
        return cast(Tensor, varlen_attn(query, key, value, begins, ends, longest, other))


def jagged() -> Attention:
    """Over nested tensors."""

    def plan(lengths: Sequence[int], device: torch.device) -> Attend:
        ends = torch.tensor(bounds(lengths), device=device)
        least, most = min(lengths), max(lengths)

        def attend(joint: Tensor, size: int) -> Tensor:
            query, key, value = (
                torch.nested.nested_tensor_from_jagged(
                    part.contiguous(), ends, min_seqlen=least, max_seqlen=most
                ).transpose(1, 2)
                for part in joint.view(len(joint), 3, -1, size).unbind(1)
            )
            return scaled_dot_product_attention(query, key, value).transpose(1, 2).values().flatten(1)

        return attend

    return Attention(plan, scaled=False)
