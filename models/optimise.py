"""The optimiser of a run: parameter groups with layer-wise rates, and a rate that fits a deadline."""

import math
import re

import torch

from opinionwatch.models.encoder import Encoder
from opinionwatch.models.recipe import Schedule

_LAYER = re.compile(r"\.layers?\.(\d+)\.")


def optimiser(model: Encoder, schedule: Schedule) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter, ICLR 2019), Adam or SGD. Lower layers learn slower; biases and norms do not decay.

    Each group keeps its full rate under `peak`; `set_rate` scales it.
    """
    names = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    depth = 1 + max((int(found[1]) for name in names if (found := _LAYER.search(name))), default=0)
    groups = []
    for name, weight in names.items():
        rate = schedule.learning_rate * schedule.layer_decay ** _below_top(name, depth)
        if not name.startswith("body."):
            rate = schedule.head_learning_rate
        decay = schedule.weight_decay if weight.dim() > 1 else 0.0
        groups.append({"params": [weight], "peak": rate, "lr": rate, "weight_decay": decay})
    match schedule.optimiser:
        case "adamw":
            return torch.optim.AdamW(groups, fused=True)
        case "adam":
            return torch.optim.Adam(groups, fused=True)
        case "sgd":
            return torch.optim.SGD(groups, momentum=schedule.momentum, fused=True)


def set_rate(optimiser: torch.optim.Optimizer, progress: float, schedule: Schedule) -> None:
    """Linear warm-up over the first `warmup` of the run, then the decay that ends at zero at `progress` 1."""
    left = max(0.0, (1 - progress) / (1 - schedule.warmup))
    if progress < schedule.warmup:
        factor = progress / schedule.warmup
    elif schedule.decay == "cosine":
        factor = (1 - math.cos(math.pi * left)) / 2
    else:
        factor = left if schedule.decay == "linear" else 1.0
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * factor


def progress(step: int, steps: int, elapsed_s: float, schedule: Schedule) -> float:
    """Share of the run that is done, by steps or by the clock, whichever is further: the rate decays in time."""
    by_steps = step / max(1, steps)
    if schedule.deadline_minutes is None:
        return by_steps
    return max(by_steps, elapsed_s / (60 * schedule.deadline_minutes))


def _below_top(name: str, depth: int) -> int:
    """Layers between a weight and the top: 0 for the last layer, `depth` for the embeddings."""
    found = _LAYER.search(name)
    return depth - 1 - int(found[1]) if found else depth
