"""Where the numbers of a training run are drawn: TensorBoard always, Weights & Biases where `WANDB_PROJECT` is set.

The environment says so, and not the recipe: where somebody watches a run changes nothing of what is learnt. The
variables are those of Weights & Biases itself; `WANDB_MODE=offline` writes below the run folder, for `wandb sync`.
What is sent: the recipe, losses, load of the machine. Not sent: rows, the program's output, code, names of packages.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from tensorboardX import SummaryWriter

from opinionwatch.models.recipe import Recipe
from opinionwatch.pipeline.errors import SettingsError

PROJECT, MODE = "WANDB_PROJECT", "WANDB_MODE"


class Board(Protocol):
    """Takes numbers by name."""

    def numbers(self, step: int, found: Mapping[str, float]) -> None:
        """Numbers of one step; steps never go down."""
        ...

    def close(self, *, failed: bool) -> None:
        """Everything was said."""
        ...


def boards(out: Path, recipe: Recipe) -> list[Board]:
    """Those of a run. Raises SettingsError when Weights & Biases is asked for and cannot be had."""
    found: list[Board] = [_TensorBoard(out)]
    if os.environ.get(PROJECT) and os.environ.get(MODE) != "disabled":
        found.append(_Wandb(out, recipe))
    return found


class _TensorBoard:
    def __init__(self, out: Path) -> None:
        self._writer = SummaryWriter(str(out / "tensorboard"))

    def numbers(self, step: int, found: Mapping[str, float]) -> None:
        for name, number in found.items():
            self._writer.add_scalar(name, number, step)

    def close(self, *, failed: bool) -> None:  # noqa: ARG002, its files say nothing of an end
        self._writer.close()


class _Wandb:
    def __init__(self, out: Path, recipe: Recipe) -> None:
        # Otherwise its defects, with parts of our stack, go to its makers.
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        try:
            import wandb
        except ImportError as error:
            raise SettingsError(
                f"{PROJECT} is set, but wandb is not installed: pip install 'opinionwatch[wandb]', or unset {PROJECT}"
            ) from error
        private = wandb.Settings(
            console="off",
            disable_code=True,
            disable_git=True,
            save_code=False,
            silent=True,
            x_disable_meta=True,
            x_save_requirements=False,
        )
        try:
            self._run = wandb.init(
                name=out.name, group=recipe.name, dir=str(out), config=recipe.model_dump(mode="json"), settings=private
            )
        except wandb.errors.Error as error:
            raise SettingsError(
                f"Weights & Biases: {error}; `wandb login`, or {MODE}=offline, or unset {PROJECT}"
            ) from error

    def numbers(self, step: int, found: Mapping[str, float]) -> None:
        self._run.log(dict(found), step=step)

    def close(self, *, failed: bool) -> None:
        self._run.finish(exit_code=int(failed))
