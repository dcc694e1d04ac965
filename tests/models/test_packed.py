"""The body that lays texts end to end, beside the one of transformers that it stands in for, on every device's ways."""

import copy
from functools import partial

import pytest
import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode
from transformers import BertConfig, BertModel

from opinionwatch.models.attention import equal, flash, jagged, varlen
from opinionwatch.models.graphs import Recorder
from opinionwatch.models.packed import PackedBody, Shape, shape_of
from opinionwatch.models.prune import keep_heads
from opinionwatch.models.quantise import Widened, narrow, widen
from opinionwatch.models.ways import Ways, laid_out, plain, ways
from opinionwatch.pipeline.errors import SettingsError

from .texts_apart import one_by_one

# The way of a CPU through nested tensors, which only tests take, is by an older kind of them.
pytestmark = pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
CPU = torch.device("cpu")
ROUNDING = {torch.float32: 1e-5, torch.float16: 0.01, torch.bfloat16: 0.06}
LENGTHS = [[7], [9, 9, 9], [20, 20, 13, 5, 5, 2], [3, 8, 3]]


WAYS = {
    "cpu-fp32": (torch.float32, Ways(CPU, laid_out(torch.float32), equal())),
    "cpu-bf16": (torch.bfloat16, Ways(CPU, ways(CPU, torch.bfloat16).make, equal())),
    "another-cpu": (torch.float32, Ways(CPU, plain(torch.float32, CPU), equal())),
    "old-gpu": (torch.float16, Ways(CPU, plain(torch.float16, CPU), jagged())),
    "gpu-fp32": (torch.float32, Ways(CPU, plain(torch.float32, CPU), jagged())),
    "gpu-bf16": (torch.bfloat16, Ways(CPU, plain(torch.bfloat16, CPU), varlen(one_by_one))),
    "gpu-recorded": (
        torch.bfloat16,
        Ways(CPU, plain(torch.bfloat16, CPU), varlen(one_by_one), recorder=Recorder(one_by_one, lambda run: run)),
    ),
}


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


def packed(body: BertModel, ways: Ways) -> PackedBody:
    return PackedBody(shape(body), body.state_dict(), ways, longest=24)


def shape(body: BertModel) -> Shape:
    found = shape_of(body.config.to_dict())
    assert found is not None
    return found


def batch(lengths: list[int], width: int) -> tuple[Tensor, Tensor]:
    dice = torch.Generator().manual_seed(3)
    mask = (torch.arange(width) < torch.tensor(lengths).unsqueeze(1)).long()
    return torch.randint(2, 50, (len(lengths), width), generator=dice) * mask + (1 - mask), mask


@pytest.mark.parametrize("name", list(WAYS))
@pytest.mark.parametrize("lengths", LENGTHS)
def test_its_states_are_those_of_the_body_it_stands_in_for(body: BertModel, name: str, lengths: list[int]) -> None:
    dtype, ways = WAYS[name]
    ids, mask = batch(lengths, max(lengths))
    with torch.inference_mode():
        wanted = body(input_ids=ids, attention_mask=mask).last_hidden_state
        found = packed(body, ways)(input_ids=ids, attention_mask=mask).last_hidden_state
    assert found.shape == wanted.shape
    assert float((found - wanted)[mask.bool()].abs().max()) < ROUNDING[dtype]
    assert float(found[~mask.bool()].abs().sum()) == 0


@pytest.mark.parametrize("name", list(WAYS))
def test_it_stands_in_for_a_body_that_has_lost_heads(body: BertModel, name: str) -> None:
    fewer = copy.deepcopy(body)
    keep_heads(fewer, [[0, 2], [1], [0, 1, 3]])
    dtype, ways = WAYS[name]
    ids, mask = batch([6, 4], 6)
    with torch.inference_mode():
        found = packed(fewer, ways)(ids, mask).last_hidden_state
        gap = found - fewer(input_ids=ids, attention_mask=mask).last_hidden_state
    assert float(gap[mask.bool()].abs().max()) < ROUNDING[dtype]


def test_a_table_in_eight_bits_is_read_as_if_it_had_been_widened(body: BertModel) -> None:
    stored = narrow(body.state_dict())
    ids, mask = batch([9, 5], 9)
    found = [
        PackedBody(shape(body), weights, WAYS["cpu-fp32"][1])(ids, mask).last_hidden_state
        for weights in (Widened(stored), widen(stored))
    ]
    assert torch.equal(*found)


def test_it_stands_in_for_bodies_of_its_make_only(body: BertModel) -> None:
    config = body.config.to_dict()
    assert shape_of(config) is not None
    for foreign in ({"hidden_act": "relu"}, {"is_decoder": True}, {"model_type": "roberta"}):
        assert shape_of(config | foreign) is None
    assert shape_of({}) is None


def test_it_is_as_deep_as_is_wanted_and_no_deeper_than_there_are_layers(body: BertModel) -> None:
    depths = [shape_of(body.config.to_dict(), layers) for layers in (2, 3, 9, None)]
    assert [each.num_hidden_layers for each in depths if each] == [2, 3, 3, 3]


def without(name: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {other: weight for other, weight in weights.items() if other != name}


def test_weights_that_are_not_those_of_the_body_are_refused_by_name(body: BertModel) -> None:
    whole, make = body.state_dict(), partial(PackedBody, shape(body), ways=WAYS["another-cpu"][1])
    query, table = "encoder.layer.1.attention.self.query.weight", "embeddings.word_embeddings.weight"
    with pytest.raises(SettingsError, match=r"layer.1.attention.self.query.weight' is missing"):
        make(without(query, whole))
    with pytest.raises(SettingsError, match=r"word_embeddings.weight' has the shape \(49, 32\)"):
        make(whole | {table: whole[table][1:]})
    with pytest.raises(SettingsError, match=r"'body.pooler.dense.bias' is not one"):
        make(whole | {"pooler.dense.bias": torch.zeros(32)})


@pytest.mark.parametrize("recorder", [None, Recorder(flash, lambda run: run)])
def test_a_pass_on_a_gpu_is_all_on_the_gpu_and_calls_its_kernel_as_it_wants(
    body: BertModel, recorder: Recorder | None
) -> None:
    # Tensors without numbers: shapes, types and devices are checked by PyTorch's own rules, on a machine without a GPU.
    gpu = torch.device("cuda", 0)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode, torch.inference_mode():
        weights = {name: mode.from_tensor(weight) for name, weight in body.state_dict().items()}
        ways = Ways(gpu, plain(torch.bfloat16, gpu), varlen(flash), recorder=recorder)
        made = PackedBody(shape(body), weights, ways, longest=24)
        found = made.packed(torch.zeros(12, dtype=torch.int64, device=gpu), [5, 4, 3])
    assert found.device == gpu
    assert found.shape == (12, 32)
    assert found.dtype == torch.float32


def test_without_recordings_a_pass_is_run(body: BertModel) -> None:
    made = packed(body, WAYS["gpu-recorded"][1])
    ids, mask = batch([6, 4], 6)
    played = made(ids, mask).last_hidden_state
    assert made.records
    with made.unrecorded():
        assert not made.records
        run = made(ids, mask).last_hidden_state
    assert made.records
    assert torch.allclose(played, run, atol=1e-5)
