"""Weights in 8 bits for the artefact: one scale a row. They are widened when loaded, tables when they are read."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from opinionwatch.pipeline.errors import SettingsError

SCALE = ".scale"
"""Suffix of the scales that belong to an 8-bit tensor."""


def narrow(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Matrices become int8 with a float32 scale a row, other weights float16; whole numbers stay as they are."""
    narrowed: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if not weight.is_floating_point():
            narrowed[name] = weight.contiguous()
            continue
        if weight.dim() != 2:
            narrowed[name] = weight.half().contiguous()
            continue
        scale = weight.float().abs().amax(1, keepdim=True).clamp(min=1e-12) / 127
        narrowed[name] = (weight.float() / scale).round().to(torch.int8).contiguous()
        narrowed[name + SCALE] = scale
    return narrowed


class Narrow(NamedTuple):
    """Rows (N, W) in 8 bits, and how much a step of each is worth (N, 1)."""

    steps: Tensor
    scales: Tensor


class Widened(Mapping[str, Tensor]):
    """What `narrow` gave, in float32; each weight is widened when it is asked for, so that not all are at once.

    Raises SettingsError for one whose scales are missing or of another size, or that holds a number that is not finite.
    """

    def __init__(self, stored: Mapping[str, Tensor]) -> None:
        self._stored = stored

    def __getitem__(self, name: str) -> Tensor:
        if (found := self.narrow(name)) is not None:
            return found.steps.float().mul_(found.scales)
        weight = self._stored[name]
        return _finite(name, weight.float()) if weight.is_floating_point() else weight

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._stored if not name.endswith(SCALE))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and not name.endswith(SCALE) and name in self._stored

    def narrow(self, name: str) -> Narrow | None:
        """A weight as it is stored; None where it is not in 8 bits."""
        weight = self._stored[name]
        if weight.dtype != torch.int8:
            return None
        if name + SCALE not in self._stored:
            raise SettingsError(f"weights: '{name}' is in 8 bits but has no scale")
        scales = self._stored[name + SCALE]
        if scales.shape != (*weight.shape[:1], 1):
            raise SettingsError(f"weights: '{name + SCALE}' is not one number a row")
        return Narrow(weight, _finite(name, scales.float()))


def widen(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `narrow`. Raises SettingsError as `Widened` does."""
    return dict(Widened(weights))


def _finite(name: str, numbers: Tensor) -> Tensor:
    if not bool(torch.isfinite(numbers).all()):
        raise SettingsError(f"weights: '{name}' holds numbers that are not finite")
    return numbers
