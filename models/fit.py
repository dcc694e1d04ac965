"""The training loop: from a recipe, a data folder and a backbone to a trained network.

The loop is ours, and short, because transformers' Trainer needs `accelerate`, which nothing else here uses, and has no
schedule that ends by the clock. Two heads, masked losses and length-grouped batches would each be an override of it.

The run folder holds `recipe.yaml`, `rows.json` (counts and sha256 of what was read, bad rows), `environment.json`,
`log.jsonl` (losses) and `checkpoint.pt`. A run that is killed goes on from the last checkpoint with `resume`: the same
batches in the same random state.
"""

import json
import math
import platform
import time
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import TextIO

import structlog
import torch
import transformers
import yaml
from tokenizers import Tokenizer

from opinionwatch.models import checkpoint
from opinionwatch.models.batches import Row, collate, encode, epoch
from opinionwatch.models.data import Rows, read_rows
from opinionwatch.models.device import pick_device, pick_dtype
from opinionwatch.models.encoder import Encoder
from opinionwatch.models.losses import losses
from opinionwatch.models.optimise import optimiser, progress, set_rate
from opinionwatch.models.recipe import Recipe, load_recipe
from opinionwatch.models.registry import ARCHITECTURES
from opinionwatch.models.scratch import Scratch
from opinionwatch.models.tokens import TextTokens
from opinionwatch.models.vocabulary import make_tokenizer
from opinionwatch.pipeline.errors import FatalError, SettingsError
from opinionwatch.pipeline.registry import resolve

log = structlog.get_logger(__name__)
LOG_EVERY = 50


@dataclass(frozen=True)
class Fit:
    """A trained network, and what is needed to measure it and to make an artefact of it."""

    model: Encoder
    tokenizer: Tokenizer
    rows: Rows
    recipe: Recipe
    steps: int
    minutes: float


def fit(recipe_path: Path, out: Path, *, data: Path, backbone: str, resume: bool = False, strict: bool = False) -> Fit:
    """Train to the end of the recipe (or its deadline) and leave the run folder `out` behind."""
    recipe = load_recipe(recipe_path)
    out.mkdir(parents=True, exist_ok=True)
    rows = read_rows(recipe, data, strict=strict)
    _describe(out, recipe, rows)
    schedule = recipe.schedule
    if schedule.threads is not None:
        torch.set_num_threads(schedule.threads)
    torch.manual_seed(schedule.seed)
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # untyped in transformers
    kind = resolve(ARCHITECTURES, recipe.body.architecture, "architecture")
    if not issubclass(kind, Encoder):
        raise SettingsError(f"architecture: '{recipe.body.architecture}' is not an Encoder")
    tokenizer = make_tokenizer(recipe, backbone, rows.train)
    model = _fresh(kind, backbone, recipe, tokenizer)
    tokens = TextTokens(tokenizer, schedule.train_tokens)
    encoded = encode(rows.train, tokens)
    log.info("train.rows", train=len(encoded), dev=len(rows.dev), bad=len(rows.bad))
    identity = sha256((recipe.model_dump_json() + json.dumps(rows.hashes, sort_keys=True)).encode()).hexdigest()
    done = _loop(model, encoded, tokens.pad, recipe, out, identity if resume else None, identity)
    return Fit(model, tokens.tokenizer, rows, recipe, done.step, done.elapsed_s / 60)


def _fresh(kind: type[Encoder], backbone: str, recipe: Recipe, tokenizer: Tokenizer) -> Encoder:
    if issubclass(kind, Scratch):
        return kind.from_backbone(backbone, recipe.body, tokenizer)
    return kind.from_backbone(backbone, recipe.body)


def _loop(
    model: Encoder, rows: list[Row], pad: int, recipe: Recipe, out: Path, resume: str | None, identity: str
) -> checkpoint.Progress:
    schedule = recipe.schedule
    device = pick_device()
    dtype = pick_dtype(device)
    model.to(device).train()
    steps_of = optimiser(model, schedule)
    path = out / "checkpoint.pt"
    at = checkpoint.restore(path, model, steps_of, resume) if resume else checkpoint.Progress()
    per_epoch = len(epoch(rows, schedule.tokens_per_batch, schedule.rows_per_batch, schedule.seed))
    steps = max(1, round(schedule.epochs * per_epoch))
    log.info("train.start", steps=steps, step=at.step, device=str(device), dtype=str(dtype))
    batches: list[list[Row]] = []
    saved = last = time.monotonic()
    sums = torch.zeros(3)
    with (out / "log.jsonl").open("a") as written:
        while at.step < steps and (share := progress(at.step, steps, at.elapsed_s, schedule)) < 1:
            turn, place = divmod(at.step, per_epoch)
            if not batches or place == 0:
                batches = epoch(rows, schedule.tokens_per_batch, schedule.rows_per_batch, schedule.seed + turn)
            # Batches of one epoch differ in number from those of the next by a few: the rest is skipped.
            batch = collate(batches[place % len(batches)], pad)
            set_rate(steps_of, share, schedule.warmup)
            with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                encoded = model(batch.ids.to(device), batch.mask.to(device))
                parts = losses(model, encoded, batch.to(device), schedule)
            torch.autograd.backward(parts.total(schedule))
            torch.nn.utils.clip_grad_norm_(model.parameters(), schedule.clip_norm)
            steps_of.step()
            steps_of.zero_grad(set_to_none=True)
            now = time.monotonic()
            at.step, at.elapsed_s, last = at.step + 1, at.elapsed_s + now - last, now
            sums += torch.stack([part.detach().float().cpu() for part in parts])
            if at.step % LOG_EVERY == 0:
                _report(written, at, share, sums / LOG_EVERY)
                sums.zero_()
            if now - saved > 60 * schedule.checkpoint_minutes:
                checkpoint.save(path, model, steps_of, at, identity)
                saved = now
    checkpoint.save(path, model, steps_of, at, identity)
    model.eval().cpu()
    return at


def _report(written: TextIO, at: checkpoint.Progress, share: float, means: torch.Tensor) -> None:
    sentiment, tags, pairs = (round(mean, 4) for mean in means.tolist())
    if not all(map(math.isfinite, (sentiment, tags, pairs))):
        raise FatalError(f"the loss is no longer a number at step {at.step}; lower the learning rate")
    minutes = round(at.elapsed_s / 60, 2)
    entry = {"step": at.step, "minutes": minutes, "progress": round(share, 4)}
    written.write(json.dumps(entry | {"sentiment": sentiment, "tags": tags, "pairs": pairs}) + "\n")
    written.flush()
    log.info("train.step", **entry, sentiment=sentiment, tags=tags, pairs=pairs)


def _describe(out: Path, recipe: Recipe, rows: Rows) -> None:
    whole = yaml.safe_dump(recipe.model_dump(mode="json"), allow_unicode=True, sort_keys=False)
    (out / "recipe.yaml").write_text(whole, encoding="utf-8")
    facts = {"counts": rows.counts, "hashes": rows.hashes, "bad": [asdict(row) for row in rows.bad]}
    (out / "rows.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False))
    about = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "machine": platform.machine(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
    }
    (out / "environment.json").write_text(json.dumps(about, indent=1))
    for bad in rows.bad[:20]:
        log.warning("train.bad_row", file=bad.file, line=bad.line, reason=bad.reason)
