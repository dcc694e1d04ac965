"""The body that lays texts end to end, beside the one of transformers that it stands in for."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from transformers import BertConfig, BertModel

from opinionwatch.models.packed import PackedBody, fits, runs
from opinionwatch.models.prune import keep_heads

ROUNDING = {torch.float32: 1e-5, torch.bfloat16: 0.06}


@pytest.fixture(scope="module")
def body() -> BertModel:
    torch.manual_seed(11)
    config = BertConfig(
        vocab_size=50,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=24,
        pad_token_id=1,
    )
    made = BertModel(config, add_pooling_layer=False)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    made.eval()
    return made


def batch(lengths: list[int], width: int) -> tuple[Tensor, Tensor]:
    dice = torch.Generator().manual_seed(3)
    mask = (torch.arange(width) < torch.tensor(lengths).unsqueeze(1)).long()
    return torch.randint(2, 50, (len(lengths), width), generator=dice) * mask + (1 - mask), mask


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("lengths", [[7], [9, 9, 9], [20, 20, 13, 5, 5, 2], [3, 8, 3]])
def test_its_states_are_those_of_the_body_it_stands_in_for(
    body: BertModel, dtype: torch.dtype, lengths: list[int]
) -> None:
    packed = PackedBody(body, dtype)
    ids, mask = batch(lengths, max(lengths))
    with torch.inference_mode():
        wanted = body(input_ids=ids, attention_mask=mask).last_hidden_state
        found = packed(input_ids=ids, attention_mask=mask).last_hidden_state
    assert found.shape == wanted.shape
    assert float((found - wanted)[mask.bool()].abs().max()) < ROUNDING[dtype]
    assert float(found[~mask.bool()].abs().sum()) == 0


def test_it_stands_in_for_a_body_that_has_lost_heads(body: BertModel) -> None:
    fewer = copy.deepcopy(body)
    keep_heads(fewer, [[0, 2], [1], [0, 1, 3]])
    packed = PackedBody(fewer, torch.float32)
    ids, mask = batch([6, 4], 6)
    with torch.inference_mode():
        gap = packed(ids, mask).last_hidden_state - fewer(input_ids=ids, attention_mask=mask).last_hidden_state
    assert float(gap[mask.bool()].abs().max()) < ROUNDING[torch.float32]


def test_gradients_go_through_the_body_it_stands_in_for(body: BertModel) -> None:
    ids, mask = batch([5], 5)
    PackedBody(body, torch.float32)(ids, mask).last_hidden_state.sum().backward()
    table = body.embeddings.word_embeddings.weight
    assert table.grad is not None
    assert float(table.grad.abs().sum()) > 0


def test_it_does_not_stand_in_for_a_body_of_another_make(body: BertModel) -> None:
    assert fits(body)
    assert not fits(torch.nn.Linear(2, 2))
    other = copy.deepcopy(body)
    other.config.hidden_act = "relu"
    assert not fits(other)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=30))
def test_runs_cover_every_token_once(lengths: list[int]) -> None:
    found = runs(lengths)
    assert [run.length for run in found for _ in range(run.texts)] == lengths
    assert [run.start for run in found] == [
        sum(lengths[: sum(r.texts for r in found[:at])]) for at in range(len(found))
    ]
