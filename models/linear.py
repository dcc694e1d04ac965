"""Linear models of many features that a row has or has not: the one minimum of a convex loss, by L-BFGS.

Liu and Nocedal, On the Limited Memory BFGS Method for Large Scale Optimization, Mathematical Programming 45, 1989.
There is no learning rate, no order of the rows and no chance in it: the same rows give the same weights.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

HISTORY = 8
"""Steps that L-BFGS remembers."""
FLAT_ROW = 1e-7
"""It stops where a step lowers the loss by less than this a row."""


class Linear(NamedTuple):
    """Weights (features, columns) and biases (columns)."""

    weights: Tensor
    bias: Tensor


class Table:
    """Which of `width` features each row has, in 32 bits: there are hundreds a row, and hundreds of thousands of rows.

    A row stands for the vector of length one that has the same number at each of its features. It is kept by rows and
    by features, so that products with weights and with gradients are sums of rows in memory.
    """

    def __init__(self, numbers: Tensor, starts: Tensor, width: int) -> None:
        """The features of row i are `numbers[starts[i]:starts[i + 1]]`, each in [0, width) and at most once."""
        self.width = width
        self._numbers, self._starts = numbers.int(), starts.int()
        self._sizes = starts.diff()
        self._scales = self._sizes.clamp(min=1).rsqrt().unsqueeze(1)
        order = self._numbers.argsort(stable=True)
        self._rows = torch.arange(len(self), dtype=torch.int32).repeat_interleave(self._sizes)[order]
        counts = torch.bincount(self._numbers, minlength=width)
        self._ends = torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)]).int()

    def __len__(self) -> int:
        return len(self._sizes)

    def only(self, rows: Sequence[int]) -> Self:
        """These rows alone."""
        at = torch.tensor(rows, dtype=torch.int64)
        sizes = self._sizes[at]
        starts = torch.cat([torch.zeros(1, dtype=torch.int64), sizes.cumsum(0)])
        shift = self._starts[at].long() - starts[:-1]
        return type(self)(
            self._numbers[torch.arange(int(starts[-1])) + shift.repeat_interleave(sizes)], starts, self.width
        )

    def times(self, weights: Tensor) -> Tensor:
        """The product (rows, columns) with weights (width, columns)."""
        sums = embedding_bag(self._numbers, weights, self._starts, mode="sum", include_last_offset=True)
        return sums * self._scales

    def gathered(self, gradients: Tensor) -> Tensor:
        """Gradients of the rows (rows, columns) as those of the weights (width, columns): the transposed product."""
        return embedding_bag(self._rows, gradients * self._scales, self._ends, mode="sum", include_last_offset=True)


def minimise(table: Table, columns: int, loss: Callable[[Tensor], Tensor], *, penalty: float, rounds: int) -> Linear:
    """The weights and biases for which `loss` of the logits (rows, columns), a sum over rows, and half of `penalty`
    times the sum of the squared weights is least; after at most so many rounds. Without rows they are zero.
    """
    weights, bias = torch.zeros(table.width, columns), torch.zeros(columns)
    if not len(table):
        return Linear(weights, bias)
    optimiser = torch.optim.LBFGS(
        [weights, bias],
        max_iter=rounds,
        history_size=HISTORY,
        tolerance_change=FLAT_ROW * len(table),
        line_search_fn="strong_wolfe",
    )

    def cost() -> float:
        logits = (table.times(weights) + bias).requires_grad_()
        told = loss(logits)
        [gradients] = torch.autograd.grad(told, logits)
        weights.grad = table.gathered(gradients).add_(weights, alpha=penalty)
        bias.grad = gradients.sum(0)
        return float(told.detach()) + penalty / 2 * float(weights.square().sum())

    optimiser.step(cost)  # type: ignore[no-untyped-call]  # untyped in torch
    return Linear(weights, bias)
