"""The training loop: epochs of batches, steps, looks at the validation rows, checkpoints.

The loop is ours, and short, because transformers' Trainer needs `accelerate`, which nothing else here uses, and has no
schedule that ends by the clock. Three heads, masked losses and length-grouped batches would each be an override of it.

A run that is killed goes on from its last checkpoint: the same batches in the same random state. So everything that an
epoch draws is drawn from the seed and the number of the epoch.
"""

import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import structlog

from opinionwatch.models import checkpoint
from opinionwatch.models.augment import augment
from opinionwatch.models.batches import Row, collate, epoch
from opinionwatch.models.best import Best
from opinionwatch.models.boards import boards
from opinionwatch.models.device import pick_device
from opinionwatch.models.optimise import progress
from opinionwatch.models.recipe import Recipe, Schedule
from opinionwatch.models.step import Learner, Step, training_dtype
from opinionwatch.models.tokens import TextTokens
from opinionwatch.models.track import Track

log = structlog.get_logger(__name__)
LOG_EVERY = 50


class Material(NamedTuple):
    """What is trained on: rows with their texts, rows to look at, and what makes tokens of a text."""

    rows: list[Row]
    texts: Sequence[str]
    validation: list[Row]
    tokens: TextTokens


def loop(
    learner: Learner, material: Material, recipe: Recipe, out: Path, *, resume: bool, identity: str
) -> checkpoint.Progress:
    """Train to the end of the recipe, to its deadline or out of patience; the learner is left on the CPU.

    Raises FatalError when the loss is no longer a number, SettingsError when a checkpoint belongs to another recipe.
    """
    schedule = recipe.schedule
    device = pick_device()
    learner.to(device).train()
    step_of = Step(learner, recipe, device)
    path = out / "checkpoint.pt"
    at = checkpoint.Progress()
    if resume:
        at = checkpoint.restore(path, learner, step_of.optimiser, identity, step_of.scaler)
    best = Best(out / "best.safetensors", material.validation, material.tokens.pad, schedule)
    per_epoch = len(_epoch(material.rows, schedule, 0))
    batches: list[list[Row]] = []
    steps = max(1, round(schedule.epochs * per_epoch))
    log.info("train.start", steps=steps, step=at.step, device=str(device), dtype=str(training_dtype(device, schedule)))
    saved = last = time.monotonic()
    busy = time.process_time()
    with Track(out, LOG_EVERY, boards(out, recipe)) as track:
        while at.step < steps and (share := progress(at.step, steps, at.elapsed_s, schedule)) < 1 and not best.over(at):
            turn, place = divmod(at.step, per_epoch)
            if not batches or place == 0:
                batches = _epoch(_altered(material, schedule, turn), schedule, turn)
            # Batches of one epoch differ in number from those of the next by a few: the rest is skipped.
            parts = step_of.gradients(collate(batches[place % len(batches)], material.tokens.pad))
            now, spent = time.monotonic(), time.process_time()
            at.step, at.elapsed_s, last = at.step + 1, at.elapsed_s + now - last, now
            at.cpu_s, busy = at.cpu_s + spent - busy, spent
            track.step(at, share, parts)
            if at.step % schedule.accumulate and at.step < steps:
                continue
            step_of.move(share)
            if best.due(at):
                track.look(at, best.look(learner.model, device, at))
            if now - saved > 60 * schedule.checkpoint_minutes:
                checkpoint.save(path, learner, step_of.optimiser, at, identity, step_of.scaler)
                saved = now
    checkpoint.save(path, learner, step_of.optimiser, at, identity, step_of.scaler)
    learner.cpu().eval()
    best.take(learner.model, at)
    return at


def _epoch(rows: list[Row], schedule: Schedule, turn: int) -> list[list[Row]]:
    return epoch(rows, schedule.tokens_per_batch, schedule.rows_per_batch, schedule.seed + turn)


def _altered(material: Material, schedule: Schedule, turn: int) -> list[Row]:
    """The rows of an epoch: a share of those without spans, whose places would move, is written another way."""
    if not schedule.augment:
        return material.rows
    dice = random.Random(f"{schedule.seed} {turn}")
    rows = list(material.rows)
    chosen = [at for at, row in enumerate(rows) if _spanless(row) and dice.random() < schedule.augment]
    texts = [augment(material.texts[at], dice) for at in chosen]
    for at, tokens in zip(chosen, material.tokens.encode(texts), strict=True):
        rows[at] = replace(rows[at], ids=tokens.ids)
    return rows


def _spanless(row: Row) -> bool:
    return row.aspects is None and row.targets is None
