"""Prepares a training run: from a recipe, a data folder and a backbone to a trained network.

The run folder holds `recipe.yaml`, `rows.json` (counts and sha256 of what was read, bad rows), `environment.json`,
`log.jsonl` and `tensorboard/` (losses), `checkpoint.pt`, and with patience `best.safetensors`.
"""

import json
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path

import structlog
import torch
import transformers
import yaml
from tokenizers import Tokenizer
from torch import Tensor

from opinionwatch.models.adapters import wear
from opinionwatch.models.artefact import load
from opinionwatch.models.batches import encode
from opinionwatch.models.data import Rows, read_rows
from opinionwatch.models.encoder import Encoder
from opinionwatch.models.loop import Material, loop
from opinionwatch.models.manifest import MANIFEST
from opinionwatch.models.priors import priors
from opinionwatch.models.recipe import Recipe, load_recipe
from opinionwatch.models.registry import ARCHITECTURES
from opinionwatch.models.scratch import Scratch
from opinionwatch.models.step import Learner
from opinionwatch.models.tokens import TextTokens
from opinionwatch.models.vocabulary import make_tokenizer
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.registry import resolve

log = structlog.get_logger(__name__)
RECIPE = "recipe.yaml"
"""In a run folder: the recipe whole, as it was followed."""


@dataclass(frozen=True)
class Fit:
    """A trained network, and what is needed to measure it and to make an artefact of it."""

    model: Encoder
    tokenizer: Tokenizer
    rows: Rows
    recipe: Recipe
    steps: int
    minutes: float
    cpu_s: float
    """Of the steps."""


Teacher = Callable[[Sequence[str]], Tensor]
"""Texts to softened log-probabilities (n, 3)."""


def fit(
    recipe_path: Path,
    out: Path,
    *,
    data: Path,
    backbone: str,
    resume: bool = False,
    strict: bool = False,
    teacher: Teacher | None = None,
) -> Fit:
    """Train to the end of the recipe (or its deadline) and leave the run folder `out` behind.

    A `backbone` that is an artefact is trained on: its shape stands for the recipe's `body`, and its heads are kept.
    """
    recipe = load_recipe(recipe_path)
    rows = read_rows(recipe, data, strict=strict)
    return learn(recipe, rows, out, backbone=backbone, resume=resume, teacher=teacher)


def learn(
    recipe: Recipe, rows: Rows, out: Path, *, backbone: str, resume: bool = False, teacher: Teacher | None = None
) -> Fit:
    """The same on rows that are read already."""
    start = load(Path(backbone)) if (Path(backbone) / MANIFEST).exists() else None
    if start is not None:
        body = start.config.body.model_copy(update={"targets": start.config.body.targets or recipe.body.targets})
        recipe = recipe.model_copy(update={"body": body})
    out.mkdir(parents=True, exist_ok=True)
    schedule = recipe.schedule
    if schedule.threads is not None:
        torch.set_num_threads(schedule.threads)
    describe(out, recipe, rows)
    torch.manual_seed(schedule.seed)
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # untyped in transformers
    if start is None:
        tokenizer = make_tokenizer(recipe, backbone, rows.train)
        model = _fresh(backbone, recipe, tokenizer)
    else:
        tokenizer, model = start.tokens.tokenizer, start.model
        model.read_targets(recipe.body)
    _fits(tokenizer, model)
    before = {} if start is None or recipe.soup == 1 else {k: w.clone() for k, w in model.state_dict().items()}
    merge = None if recipe.adapters is None else wear(model.body, recipe.adapters)
    tokens = TextTokens(tokenizer, min(schedule.train_tokens, recipe.body.max_tokens))
    texts = [example.text for example in rows.train]
    shares = priors(rows.train, schedule.prior_strength)
    encoded = encode(rows.train, tokens, shares)
    if teacher is not None:
        told = teacher(texts).tolist()
        encoded = [replace(row, soft=(soft[0], soft[1], soft[2])) for row, soft in zip(encoded, told, strict=True)]
    log.info("train.rows", train=len(encoded), dev=len(rows.dev), bad=len(rows.bad))
    identity = sha256((recipe.model_dump_json() + json.dumps(rows.hashes, sort_keys=True)).encode()).hexdigest()
    material = Material(encoded, texts, encode(rows.validation, tokens, shares), tokens)
    done = loop(Learner(model, schedule), material, recipe, out, resume=resume, identity=identity)
    if merge is not None:
        merge()
    if before:
        model.load_state_dict(stirred(model.state_dict(), before, recipe.soup))
    return Fit(model, tokens.tokenizer, rows, recipe, done.step, done.elapsed_s / 60, done.cpu_s)


def stirred(after: Mapping[str, Tensor], before: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """So much of the weights `after` as `share`, the rest from `before`, where that has any.

    Between two ends of training that began alike lies what is better than both on texts of other kinds (Wortsman et
    al., Model Soups, ICML 2022; Robust Fine-Tuning of Zero-Shot Models, CVPR 2022).
    """
    mixed = {n: before[n].lerp(w, share) for n, w in after.items() if n in before and w.is_floating_point()}
    return dict(after) | mixed


def _fits(tokenizer: Tokenizer, model: Encoder) -> None:
    """Raises SettingsError for a tokenizer of another model: its pieces would lie outside the table of vectors."""
    if tokenizer.get_vocab_size() > model.vocabulary:
        raise SettingsError(
            f"the tokenizer knows {tokenizer.get_vocab_size()} pieces, the backbone only {model.vocabulary}: "
            "they do not belong together"
        )


def _fresh(backbone: str, recipe: Recipe, tokenizer: Tokenizer) -> Encoder:
    kind = resolve(ARCHITECTURES, recipe.body.architecture, "architecture")
    if not issubclass(kind, Encoder):
        raise SettingsError(f"architecture: '{recipe.body.architecture}' is not an Encoder")
    if issubclass(kind, Scratch):
        return kind.from_backbone(backbone, recipe.body, tokenizer)
    return kind.from_backbone(backbone, recipe.body)


def describe(out: Path, recipe: Recipe, rows: Rows) -> None:
    """Leave `recipe.yaml`, `rows.json` and `environment.json` in the run folder."""
    whole = yaml.safe_dump(recipe.model_dump(mode="json"), allow_unicode=True, sort_keys=False)
    (out / RECIPE).write_text(whole, encoding="utf-8")
    facts = {"counts": rows.counts, "hashes": rows.hashes, "bad": [asdict(row) for row in rows.bad]}
    (out / "rows.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False), encoding="utf-8")
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
