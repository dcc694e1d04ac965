"""A training run on disk that survives `kill -9`: written beside, then renamed over the old one."""

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from opinionwatch.pipeline.errors import SettingsError


@dataclass
class Progress:
    """Where a run stands: steps done, seconds of training so far (over all resumes)."""

    step: int = 0
    elapsed_s: float = 0.0


def save(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, at: Progress, recipe: str) -> None:
    """Write weights, optimiser, random state and position, together with the recipe they belong to."""
    beside = path.with_suffix(".part")
    torch.save(
        {
            "recipe": recipe,
            "step": at.step,
            "elapsed_s": at.elapsed_s,
            "model": model.state_dict(),
            "optimiser": optimiser.state_dict(),
            "random": torch.get_rng_state(),
        },
        beside,
    )
    with beside.open("rb") as written:
        os.fsync(written.fileno())
    beside.replace(path)


def restore(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, recipe: str) -> Progress:
    """Continue from `path`; a fresh start where there is none. SettingsError if it is another recipe's."""
    if not path.exists():
        return Progress()
    state = torch.load(path, weights_only=True)
    if state["recipe"] != recipe:
        raise SettingsError(f"{path} belongs to another recipe or other data; give another --out or do not resume")
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    torch.set_rng_state(state["random"])
    return Progress(int(state["step"]), float(state["elapsed_s"]))
