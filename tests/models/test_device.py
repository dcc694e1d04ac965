import pytest
import torch

from opinionwatch.models.device import pick_device
from opinionwatch.pipeline.errors import SettingsError


def test_the_named_device_is_taken() -> None:
    assert pick_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["foo", "cuda:99", "meta"])
def test_a_device_that_is_none_or_not_here_is_refused_with_what_to_write(name: str) -> None:
    with pytest.raises(SettingsError, match=f"device '{name}' cannot be used: .+; write auto, cpu, or cuda:0"):
        pick_device(name)
