"""Tracks a run: `log.jsonl`, a bar or lines for people, and the boards that draw it."""

import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog
import torch
from torch import Tensor

from opinionwatch.models.boards import Board
from opinionwatch.models.checkpoint import Progress
from opinionwatch.models.losses import Losses
from opinionwatch.models.track_show import Bar
from opinionwatch.pipeline.errors import FatalError

log = structlog.get_logger(__name__)
PARTS = Losses._fields


class Track:
    """Means of the losses every so many steps. `tensorboard --logdir RUN/tensorboard` draws them.

    In a terminal a bar stands in the place of the lines.
    """

    def __init__(self, out: Path, every: int, boards: Sequence[Board], bar: Bar | None = None) -> None:
        """`bar` is one on standard error unless another is given."""
        self._every, self._boards, self._bar = every, boards, bar or Bar()
        self._sums, self._count = torch.zeros(len(PARTS)), 0
        self._file = (out / "log.jsonl").open("a", encoding="utf-8")

    def __enter__(self) -> Self:
        """Show the bar."""
        self._bar.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the bar, the files and the boards."""
        self._bar.end()
        self._file.close()
        for board in self._boards:
            board.close(failed=error is not None)

    def step(self, at: Progress, share: float, parts: Tensor) -> None:
        """Count the losses of a step. Raises FatalError when they are no longer numbers."""
        if not bool(torch.isfinite(parts).all()):
            raise FatalError(f"the loss is no longer a number at step {at.step}; lower the learning rate")
        self._sums += parts
        self._count += 1
        self._bar.moved(share)
        if at.step % self._every:
            return
        means = dict(zip(PARTS, (round(mean, 4) for mean in (self._sums / self._count).tolist()), strict=True))
        self._sums, self._count = torch.zeros(len(PARTS)), 0
        entry = {"step": at.step, "minutes": round(at.elapsed_s / 60, 2), "progress": round(share, 4), **means}
        self._write("train", at.step, entry, means)

    def look(self, at: Progress, loss: float) -> None:
        """Note the loss on the validation rows."""
        self._write("look", at.step, {"step": at.step, "validation": round(loss, 4)}, {"validation": loss})

    def _write(self, what: str, step: int, entry: dict[str, float], numbers: dict[str, float]) -> None:
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()
        for board in self._boards:
            board.numbers(step, {f"loss/{name}": number for name, number in numbers.items()})
        if self._bar.shown:
            said = ", ".join(f"{name} {number:.3f}" for name, number in numbers.items() if number)
            self._bar.say(f"step {step:,}: {said}")
        else:
            log.info(f"train.{what}", **entry)
