"""Snapshots bring everything back, or refuse."""

import numpy as np
import pytest

from opinionwatch.pipeline.errors import FatalError
from opinionwatch.pipeline.snapshots import pack, unpack


def test_arrays_and_facts_come_back_bit_for_bit() -> None:
    arrays = {"a": np.array([0.1, np.pi, -0.0]), "b": np.zeros((0, 3), np.int64)}
    facts = {"x": [0.1 + 0.2, "流墨", None], "y": {"z": 1e-300}}
    back, said, _ = unpack(3, pack(3, arrays, facts))
    assert said == facts
    assert all(back[name].tobytes() == array.tobytes() for name, array in arrays.items())
    assert back["b"].shape == (0, 3)


def test_another_version_is_refused_with_both_numbers() -> None:
    with pytest.raises(FatalError, match="version 3, this program reads 4"):
        unpack(4, pack(3, {}, {}))
    assert unpack(4, pack(3, {}, {"a": 1}), older=(3,)) == ({}, {"a": 1}, 3)


@pytest.mark.parametrize("cut", [0, 1, 10, 60, -1])
def test_damage_is_a_fatal_error_and_no_traceback_of_a_library(cut: int) -> None:
    with pytest.raises(FatalError, match="damaged"):
        unpack(1, pack(1, {"a": np.arange(50)}, {"b": 1})[:cut])


def test_objects_are_never_unpickled() -> None:
    with pytest.raises(ValueError, match="pickle"):
        pack(1, {"a": np.array([object()])}, {})
