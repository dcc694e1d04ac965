"""Weights in 8 bits for the artefact: one scale a row. Nothing runs in 8 bits; they are widened when loaded."""

from collections.abc import Mapping

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


def widen(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `narrow`, in float32. SettingsError if a scale is missing or a number is not finite."""
    widened: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if name.endswith(SCALE):
            continue
        if not weight.is_floating_point() and weight.dtype != torch.int8:
            widened[name] = weight
            continue
        wide = weight.float()
        if weight.dtype == torch.int8:
            if name + SCALE not in weights:
                raise SettingsError(f"weights: '{name}' is in 8 bits but has no scale")
            wide *= weights[name + SCALE].float()
        if not bool(torch.isfinite(wide).all()):
            raise SettingsError(f"weights: '{name}' holds numbers that are not finite")
        widened[name] = wide
    return widened
