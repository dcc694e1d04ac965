"""Linear models of sparse features: beside scikit-learn, and their products beside those of dense matrices."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn.functional import cross_entropy

from opinionwatch.models.linear import Table, minimise

WIDTH, ROWS = 20, 120


@pytest.fixture
def dense() -> Tensor:
    """Which features each row has; the last row has none."""
    torch.manual_seed(5)
    drawn = (torch.rand(ROWS, WIDTH) < 0.2).float()
    drawn[-1] = 0
    return drawn


def sparse(dense: Tensor) -> Table:
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), dense.sum(1).long().cumsum(0)])
    return Table(dense.nonzero()[:, 1], starts, dense.shape[1])


def unit(dense: Tensor) -> Tensor:
    return dense / dense.sum(1, keepdim=True).clamp(min=1).sqrt()


def test_its_products_are_those_of_rows_of_length_one(dense: Tensor) -> None:
    table, weights, gradients = sparse(dense), torch.randn(WIDTH, 4), torch.randn(ROWS, 4)
    torch.testing.assert_close(table.times(weights), unit(dense) @ weights)
    torch.testing.assert_close(table.gathered(gradients), unit(dense).T @ gradients)
    chosen = [7, 3, ROWS - 1, 50]
    some = table.only(chosen)
    torch.testing.assert_close(some.times(weights), unit(dense)[chosen] @ weights)
    torch.testing.assert_close(some.gathered(gradients[:4]), unit(dense)[chosen].T @ gradients[:4])


def test_it_finds_what_scikit_learn_finds(dense: Tensor) -> None:
    labels = (unit(dense) @ torch.randn(WIDTH, 3) * 3 + torch.randn(ROWS, 3)).argmax(1)
    own = minimise(
        sparse(dense), 3, lambda logits: cross_entropy(logits, labels, reduction="sum"), penalty=0.5, rounds=200
    )
    theirs = LogisticRegression(C=2, max_iter=1000, tol=1e-8).fit(unit(dense).numpy(), labels.numpy())
    np.testing.assert_allclose(own.weights.T.numpy(), theirs.coef_, atol=5e-3)
    chances = (unit(dense) @ own.weights + own.bias).softmax(-1)
    np.testing.assert_allclose(chances.numpy(), theirs.predict_proba(unit(dense).numpy()), atol=2e-3)


def test_without_rows_there_is_nothing_to_find(dense: Tensor) -> None:
    found = minimise(sparse(dense).only([]), 3, lambda logits: logits.sum(), penalty=1, rounds=5)
    assert not found.weights.any()
    assert not found.bias.any()
