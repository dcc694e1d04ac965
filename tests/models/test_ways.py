"""Which ways of computing a device is given."""

import pytest
import torch

from opinionwatch.models import ways as chosen
from opinionwatch.models.attention import Attention
from opinionwatch.models.kernels import ByteProduct, Linear, PlainProduct, Product, Reach, available
from opinionwatch.models.ways import Layer, ways

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


def layer() -> Layer:
    return Layer(*(Linear(torch.randn(8, 8), torch.randn(8)) for _ in range(4)))


def test_a_cpu_with_the_operators_has_its_weights_laid_out() -> None:
    assert available()
    found = ways(CPU, torch.float32)
    assert isinstance(found.make(0, layer()).output, Product)
    assert found.attention.scaled
    assert found.recorder is None


def test_with_reaches_products_have_eight_bits() -> None:
    reaches = [Reach(-torch.ones(8), torch.ones(8))] * 8
    products = ways(CPU, torch.float32, reaches).make(1, layer())
    assert isinstance(products.output, ByteProduct)
    assert isinstance(products.joint, ByteProduct)


def test_a_cpu_without_them_uses_plain_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chosen, "available", lambda: False)
    assert isinstance(ways(CPU, torch.float32).make(0, layer()).output, PlainProduct)


@pytest.mark.parametrize(
    ("capability", "dtype", "recorded"),
    [
        ((9, 0), torch.bfloat16, True),
        ((8, 0), torch.float16, True),
        ((9, 0), torch.float32, False),
        ((7, 5), torch.float16, False),
    ],
)
def test_a_gpu_has_one_kernel_for_all_lengths_and_recordings_where_it_can(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], dtype: torch.dtype, recorded: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    found = ways(GPU, dtype)
    assert isinstance(found.attention, Attention)
    assert not found.attention.scaled
    assert (found.recorder is not None) == recorded
