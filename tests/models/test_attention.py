"""Attention inside texts that lie end to end: three ways, one result."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from opinionwatch.models.attention import Attention, bounds, equal, jagged, runs, varlen, within

from .texts_apart import one_by_one

# The way of a CPU through nested tensors, which only tests take, is by an older kind of them.
pytestmark = pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
SIZE, HEADS = 8, 3
CPU = torch.device("cpu")


def joint(tokens: int, *, scaled: bool) -> Tensor:
    """Queries, keys and values of so many tokens."""
    made = torch.randn(tokens, 3, HEADS * SIZE, generator=torch.Generator().manual_seed(tokens))
    made[:, 0] *= SIZE**-0.5 if scaled else 1.0
    return made.view(tokens, -1)


def contexts(way: Attention, lengths: list[int]) -> Tensor:
    return way.plan(lengths, CPU)(joint(sum(lengths), scaled=way.scaled), SIZE)


@pytest.mark.parametrize("lengths", [[4], [5, 5, 5], [9, 4, 4, 2], [1, 6, 1]])
def test_three_ways_come_to_the_same(lengths: list[int]) -> None:
    wanted = contexts(varlen(one_by_one), lengths)
    assert wanted.shape == (sum(lengths), HEADS * SIZE)
    for way in (equal(), jagged()):
        torch.testing.assert_close(contexts(way, lengths), wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("way", [equal(), jagged(), varlen(one_by_one)])
def test_a_text_does_not_read_its_neighbours(way: Attention) -> None:
    lengths = [4, 4, 2]
    rows = joint(10, scaled=way.scaled)
    before = way.plan(lengths, CPU)(rows, SIZE)
    rows[4:8] += 1
    after = way.plan(lengths, CPU)(rows, SIZE)
    assert torch.allclose(before[:4], after[:4])
    assert torch.allclose(before[8:], after[8:])
    assert not torch.allclose(before[4:8], after[4:8])


def test_rows_behind_the_last_text_change_nothing() -> None:
    rows, ends = joint(9, scaled=False), torch.tensor([0, 4, 6, 6, 6], dtype=torch.int32)
    found = within(one_by_one, ends, 8)(rows, SIZE)
    assert torch.equal(found[:6], varlen(one_by_one).plan([4, 2], CPU)(rows[:6], SIZE))


@given(st.lists(st.integers(1, 6), min_size=1, max_size=30))
def test_runs_cover_every_token_once(lengths: list[int]) -> None:
    found = runs(lengths)
    assert [run.length for run in found for _ in range(run.texts)] == lengths
    assert [run.start for run in found] == [
        sum(lengths[: sum(r.texts for r in found[:at])]) for at in range(len(found))
    ]
    assert bounds(lengths) == [sum(lengths[:at]) for at in range(len(lengths) + 1)]
