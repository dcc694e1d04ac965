"""Early stopping: looks at rows that are not trained on, and keeps the weights that did best on them."""

import math
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from opinionwatch.models.batches import Row, collate, epoch
from opinionwatch.models.checkpoint import Progress, written_whole
from opinionwatch.models.encoder import Encoder
from opinionwatch.models.losses import sentiment_loss
from opinionwatch.models.recipe import Schedule


class Best:
    """Where the run stands is kept in `Progress`, so that a resumed run stops where the whole one would."""

    def __init__(self, path: Path, validation: list[Row], pad: int, schedule: Schedule) -> None:
        self._path = path
        self._pad = pad
        self._schedule = schedule
        budget, most = schedule.tokens_per_batch, schedule.rows_per_batch
        self._batches = epoch(validation, budget, most, schedule.seed) if schedule.patience is not None else []

    def due(self, at: Progress) -> bool:
        """Whether it is time to look."""
        every = max(self._schedule.look_every, self._schedule.accumulate)
        return bool(self._batches) and at.step // every > at.looked // every

    def over(self, at: Progress) -> bool:
        """Whether patience has run out."""
        return self._schedule.patience is not None and at.since_best >= self._schedule.patience

    @torch.no_grad()
    def look(self, model: Encoder, device: torch.device, at: Progress) -> float:
        """The mean sentiment loss on the validation rows; the weights are kept if there was no lower one."""
        model.eval()
        total, rows = 0.0, 0
        for batch in self._batches:
            read = collate(batch, self._pad).to(device)
            logits = model(read.ids, read.mask).sentiment.float()
            loss = sentiment_loss(logits, read.labels, read.classes, self._schedule.two_class_weight)
            total, rows = total + float(loss) * len(batch), rows + len(batch)
        model.train()
        loss_now = total / max(1, rows)
        at.looked = at.step
        at.since_best += 1
        if loss_now < at.best_loss:
            at.best_loss, at.since_best = loss_now, 0
            weights = {name: weight.detach().cpu().contiguous() for name, weight in model.state_dict().items()}
            with written_whole(self._path) as beside:
                save_file(weights, beside)
        return loss_now

    def take(self, model: Encoder, at: Progress) -> None:
        """Give the model the best weights, if this run has kept any: others may lie there from a run before."""
        if self._batches and at.best_loss < math.inf:
            model.load_state_dict(load_file(self._path))
