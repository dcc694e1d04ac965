"""Products laid out for the processor, beside plain ones; and what the shipped model says in fewer bits."""

import pytest
import torch
from torch.nn.functional import gelu, linear

from opinionwatch.models.device import Precision
from opinionwatch.models.kernels import (
    Block,
    ByteBlock,
    ByteProduct,
    Linear,
    PlainProduct,
    Product,
    Reach,
    joined,
    largest,
)
from opinionwatch.models.neural import NeuralScorer
from opinionwatch.models.reach import sample
from opinionwatch.models.tuning import posts
from opinionwatch.pipeline.contracts import Sentiment
from opinionwatch.pipeline.ports import Passage

MOST_FLIPS: dict[Precision, float] = {"bf16": 0.01, "int8": 0.03}
SURE = 0.1
"""A label whose probability leads by more than this must stay."""
COARSER = 127 / largest()
"""How much coarser the weights are on processors without VNNI."""


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(4)


def rows_with_far_columns() -> torch.Tensor:
    rows = torch.randn(60, 48)
    rows[:, 7] *= 30
    rows[:, 20] = rows[:, 20] * 5 + 12
    return rows


def reach(rows: torch.Tensor) -> Reach:
    return Reach(rows.amin(0), rows.amax(0))


@torch.inference_mode()
def test_a_product_is_a_linear_layer() -> None:
    rows, weight, bias = torch.randn(9, 48), torch.randn(16, 48), torch.randn(16)
    assert torch.allclose(Product(weight, bias, torch.float32)(rows), linear(rows, weight, bias), atol=1e-4)
    after = Product(weight, bias, torch.float32, "gelu")(rows)
    assert torch.allclose(after, gelu(linear(rows, weight, bias)), atol=1e-4)


@torch.inference_mode()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_plain_product_is_one_on_any_device_in_any_precision(dtype: torch.dtype) -> None:
    rows, weight, bias = torch.randn(9, 48), torch.randn(16, 48), torch.randn(16)
    wanted = gelu(linear(rows, weight, bias))
    found = PlainProduct(weight, bias, dtype, torch.device("cpu"), "gelu")(rows)
    assert found.dtype == dtype
    assert torch.allclose(found.float(), wanted, atol=1e-4 if dtype == torch.float32 else 0.2)


@torch.inference_mode()
def test_layers_that_read_the_same_rows_are_one() -> None:
    layers, rows = [Linear(torch.randn(4, 8), torch.randn(4)) for _ in range(3)], torch.randn(5, 8)
    found = linear(rows, *joined(layers, 0.5)).chunk(3, 1)
    wanted = [linear(rows, *layer) for layer in layers]
    assert torch.allclose(found[0], wanted[0] * 0.5, atol=1e-5)
    assert torch.allclose(torch.cat(found[1:]), torch.cat(wanted[1:]), atol=1e-5)


@torch.inference_mode()
def test_eight_bits_err_little_beside_columns_that_reach_far() -> None:
    rows, weight, bias = rows_with_far_columns(), torch.randn(16, 48), torch.randn(16)
    wanted = linear(rows, weight, bias)
    error = ByteProduct(weight, bias, reach(rows), torch.float32)(rows) - wanted
    assert float(error.square().mean().sqrt()) < 0.02 * COARSER * float(wanted.square().mean().sqrt())


@torch.inference_mode()
def test_rows_in_eight_bits_do_not_depend_on_their_neighbours() -> None:
    rows, weight, bias = rows_with_far_columns(), torch.randn(16, 48), torch.randn(16)
    product = ByteProduct(weight, bias, reach(rows), torch.float32)
    assert torch.equal(product(rows)[3:5], product(rows[3:5]))


@torch.inference_mode()
def test_what_lies_beyond_the_reach_is_cut_and_does_not_wrap_around() -> None:
    product = ByteProduct(torch.ones(1, 8), torch.zeros(1), Reach(-torch.ones(8), torch.ones(8)), torch.float32)
    assert float(product(torch.full((1, 8), 1e6))) > 8
    assert float(product(torch.full((1, 8), -1e6))) < -8


@torch.inference_mode()
def test_sums_of_large_products_are_whole() -> None:  # without VNNI pairs of them are added in 16 bits
    rows = torch.full((1, 64), 1.0)
    product = ByteProduct(torch.ones(1, 64), torch.zeros(1), Reach(-rows[0], rows[0]), torch.float32)
    assert float(product(rows * 1.4)) == pytest.approx(64 * 1.4, rel=0.02)


@torch.inference_mode()
def test_a_block_of_bytes_is_a_block() -> None:
    up, down = (Linear(torch.randn(*size) / 7, torch.randn(size[0]) / 7) for size in ((96, 48), (48, 96)))
    up.bias[5] = 40.0
    rows = torch.randn(60, 48)
    between = gelu(linear(rows, *up))
    wanted = linear(between, *down)
    plain = Block(Product(*up, torch.float32, "gelu"), Product(*down, torch.float32))
    assert torch.allclose(plain(rows), wanted, atol=1e-4)
    error = ByteBlock(up, down, reach(rows), reach(between))(rows) - wanted
    assert float(error.square().mean().sqrt()) < 0.03 * COARSER * float((wanted - down.bias).square().mean().sqrt())


def test_calibration_reads_sentences_of_both_languages_without_their_marks() -> None:
    texts = sample(60)
    assert len(set(texts)) == 60
    assert not any("|" in text for text in texts)
    assert any("\u4e00" <= letter <= "\u9fff" for text in texts for letter in text)
    assert any(text.isascii() for text in texts)


@pytest.fixture(scope="module")
def whole() -> list[Sentiment]:
    return moods("fp32")


def moods(precision: Precision) -> list[Sentiment]:
    scorer = NeuralScorer(NeuralScorer.Settings(device="cpu", precision=precision))
    return [reading.sentiment for reading in scorer.score([Passage(text, "en") for text in posts(300)])]


def lead(mood: Sentiment) -> float:
    first, second, _ = sorted((mood.negative, mood.neutral, mood.positive), reverse=True)
    return first - second


@pytest.mark.parametrize("precision", list(MOST_FLIPS))
def test_fewer_bits_change_few_labels_and_none_that_is_sure(precision: Precision, whole: list[Sentiment]) -> None:
    flipped = [one for one, other in zip(whole, moods(precision), strict=True) if one.label != other.label]
    assert len(flipped) <= MOST_FLIPS[precision] * len(whole)
    assert [mood for mood in flipped if lead(mood) > SURE] == []
