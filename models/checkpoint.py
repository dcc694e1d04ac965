"""A training run on disk that survives `kill -9`: written beside, then renamed over the old one."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import nn

from opinionwatch.pipeline.errors import SettingsError


@dataclass
class Progress:
    """Where a run stands: steps done, seconds of training so far (over all resumes), the best look and looks since."""

    step: int = 0
    elapsed_s: float = 0.0
    cpu_s: float = 0.0
    """Of the processor, which do not depend on who else is at work."""
    looked: int = 0
    """The step of the last look at the validation rows."""
    best_loss: float = math.inf
    since_best: int = 0


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """The path to write to, beside `path`: it takes that place when it is written, durable, and never half of it."""
    beside = path.with_suffix(".part")
    yield beside
    with beside.open("rb") as written:
        os.fsync(written.fileno())
    beside.replace(path)


def save(
    path: Path,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    at: Progress,
    recipe: str,
    scaler: torch.amp.GradScaler | None = None,
) -> None:
    """Write weights, optimiser, the scale of fp16 gradients, random state and position, together with the recipe they
    belong to.
    """
    state = {
        "recipe": recipe,
        "at": asdict(at),
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "scaler": {} if scaler is None else scaler.state_dict(),
        "random": torch.get_rng_state(),
        "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }
    with written_whole(path) as beside:
        torch.save(state, beside)


def restore(
    path: Path,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    recipe: str,
    scaler: torch.amp.GradScaler | None = None,
) -> Progress:
    """Continue from `path`, on whatever device the model is; a fresh start where there is none. SettingsError if it is
    another recipe's, or damaged.
    """
    if not path.exists():
        return Progress()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise SettingsError(f"{path} is damaged ({reason}); begin anew without --resume") from error
    if state["recipe"] != recipe:
        raise SettingsError(f"{path} belongs to another recipe or other data; give another --out or do not resume")
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    # Empty where nothing is scaled, and absent from checkpoints of before.
    if scaler is not None and state.get("scaler"):
        scaler.load_state_dict(state["scaler"])
    torch.set_rng_state(state["random"])
    if state["random_cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["random_cuda"])
    return Progress(**state["at"])
