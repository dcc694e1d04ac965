"""One step of training: forward, losses, gradients (perhaps against an adversary), clipping, and the move."""

import torch
from torch import Tensor, nn

from opinionwatch.models.adversary import input_table, moved
from opinionwatch.models.batches import Batch
from opinionwatch.models.device import pick_dtype
from opinionwatch.models.encoder import Encoder
from opinionwatch.models.losses import Losses, losses
from opinionwatch.models.optimise import optimiser, set_rate
from opinionwatch.models.recipe import Recipe, Schedule


class Learner(nn.Module):
    """A network and, where a recipe has the weights of its losses learnt, those: all that a checkpoint must hold."""

    def __init__(self, model: Encoder, schedule: Schedule) -> None:
        super().__init__()
        self.model = model
        self.noise = nn.Parameter(torch.zeros(len(Losses._fields))) if schedule.task_weighting == "learned" else None


def training_dtype(device: torch.device, schedule: Schedule) -> torch.dtype:
    """The arithmetic that a recipe asks for; weights stay in 32 bits."""
    return pick_dtype(device, schedule.precision)


class Step:
    """Moves a learner on a device. `gradients` once or several times, then `move`."""

    def __init__(self, learner: Learner, recipe: Recipe, device: torch.device) -> None:
        self._learner = learner
        self._recipe = recipe
        self._device = device
        self._dtype = training_dtype(device, recipe.schedule)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self._dtype == torch.float16)
        self._table = input_table(learner.model.body) if recipe.schedule.adversarial else None
        self.optimiser = optimiser(learner.model, recipe.schedule)
        if learner.noise is not None:
            rate = recipe.schedule.head_learning_rate
            self.optimiser.add_param_group({"params": [learner.noise], "peak": rate, "lr": rate, "weight_decay": 0.0})

    def gradients(self, batch: Batch) -> Tensor:
        """Add the gradients of a batch, a part of a step; returns the `Losses` of the first pass as one tensor."""
        batch = batch.to(self._device)
        parts = self._backward(batch)
        if self._table is not None:
            with moved(self._table, self._recipe.schedule.adversarial):
                self._backward(batch)
        return torch.stack([part.detach().float() for part in parts]).cpu()

    def move(self, progress: float) -> None:
        """Clip what was added up, step at the rate of this `progress` in [0, 1), and forget the gradients."""
        schedule = self._recipe.schedule
        set_rate(self.optimiser, progress, schedule)
        self.scaler.unscale_(self.optimiser)
        nn.utils.clip_grad_norm_(self._learner.parameters(), schedule.clip_norm)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.optimiser.zero_grad(set_to_none=True)

    def _backward(self, batch: Batch) -> Losses:
        recipe, model = self._recipe, self._learner.model
        with torch.autocast(self._device.type, self._dtype, enabled=self._dtype != torch.float32):
            encoded = model(batch.ids, batch.mask)
            parts = losses(model, encoded, batch, recipe.schedule, recipe.distillation)
        total = parts.total(recipe.schedule, self._learner.noise) / recipe.schedule.accumulate
        torch.autograd.backward(self.scaler.scale(total))
        return parts
