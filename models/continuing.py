"""`opinionwatch train --continue`: a trained model learns from corrections, and rehearses what it knew.

Training on new rows alone makes a network forget the old ones (McCloskey and Cohen, 1989). So for every correction
there are old rows of the recipe's files, drawn evenly from all of them, opinion rows included (experience replay;
Rolnick et al., NeurIPS 2019); and on those the model is held to what it said before, softened, as much as to the label
(Li and Hoiem, Learning without Forgetting, ECCV 2016). Corrections towards a name train the head for targets beside the
text's own sentiment. The companion stays as it is. Then everything is calibrated and measured anew. Whether the result
may replace the old model is not decided here: see `opinionwatch model promote`.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import structlog
import torch

from opinionwatch.models.artefact import load, save
from opinionwatch.models.batches import Row, encode
from opinionwatch.models.corrected import SOURCE
from opinionwatch.models.data import draw, read_rows
from opinionwatch.models.device import pick_device, pick_dtype
from opinionwatch.models.examples import Example
from opinionwatch.models.fit import describe
from opinionwatch.models.loop import Material, loop
from opinionwatch.models.manifest import CARD
from opinionwatch.models.measure import Figures, measure
from opinionwatch.models.network import Network
from opinionwatch.models.priors import priors
from opinionwatch.models.recipe import Distillation, Recipe, load_recipe
from opinionwatch.models.step import Learner
from opinionwatch.models.tokens import TextTokens
from opinionwatch.models.train import Trained
from opinionwatch.pipeline.errors import SettingsError

FEWEST = 10
"""Corrections; fewer teach nothing that can be measured."""
SHARE = 0.25
"""Of the rows of an epoch, at least so many are corrections: they are repeated until they are."""
TEMPERATURE, WEIGHT = 2.0, 0.5
"""How much the old model's own answers are softened, and how much they count against the labels."""
RATE, HEAD_RATE = 2e-4, 5e-4
"""At most. At this rate 193 of 200 corrections were learnt, at a quarter of it 144, where 138 were right before; old
sets held, with 4,000 rehearsed rows."""
FASTER = 4
"""Than the recipe, whose rate is that of a last stage which moves little."""
DEV_CAP = 300
log = structlog.get_logger(__name__)


def continue_training(
    artefact: Path,
    corrections: Sequence[Example],
    out: Path,
    *,
    recipe_path: Path,
    data: Path,
    rehearsal: int = 20,
    epochs: float = 3,
    minutes: float | None = None,
    dev_cap: int = DEV_CAP,
) -> Trained:
    """Leave the model that has learnt from `corrections` in `out/artefact`, with its figures on the recipe's dev rows.

    `rehearsal` is the number of old rows for every correction; `minutes` of training at most;
    it is measured on `dev_cap` dev rows a file. The old artefact is not
    changed. Raises SettingsError when there are too few corrections, or when the recipe's files are not in `data`.
    """
    if len(corrections) < FEWEST:
        raise SettingsError(
            f"{len(corrections)} corrections; at least {FEWEST} are needed: `opinionwatch label queue` says which "
            "documents are worth a label most"
        )
    stored = load(artefact)
    recipe = _plan(load_recipe(recipe_path), stored.config.body.max_tokens, epochs, minutes, dev_cap)
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(recipe.schedule.threads or 1)
    torch.manual_seed(recipe.schedule.seed)
    rows = read_rows(recipe, data)
    kept = rehearsed(rows.train, rehearsal * len(corrections))
    rows.counts = {name: sum(example.source == name for example in kept) for name in rows.counts}
    rows.counts[SOURCE] = len(corrections)
    describe(out, recipe, rows)
    material = _material(artefact, corrections, kept, recipe)
    learner = Learner(stored.model, recipe.schedule)
    log.info("continue.rows", corrections=len(corrections), rehearsed=len(kept), rows=len(material.rows))
    done = loop(learner, material, recipe, out, resume=False, identity=stored.version)
    folder, tokenizer, config = out / "artefact", stored.tokens.tokenizer, stored.config
    card = (artefact / CARD).read_text(encoding="utf-8")
    card += _told(stored.version, corrections, kept, done.step, rehearsal)
    version = save(folder, config, tokenizer, learner.model, card, stored.companion)
    figures = Figures(sources=[], langs=[])
    if rows.dev:
        made, device = load(folder), pick_device()
        network = Network(made.model, made.tokens, device, pick_dtype(device), companion=made.companion)
        measured = measure(network, rows.dev, recipe)
        figures = measured.figures
        config = config.model_copy(update={"calibration": measured.calibration, "decoding": measured.decoding})
        version = save(folder, config, tokenizer, learner.model, card, stored.companion)
    (out / "metrics.json").write_text(figures.model_dump_json(indent=1))
    return Trained(folder, version, figures, done.elapsed_s / 60)


def rehearsed(rows: Sequence[Example], number: int) -> list[Example]:
    """So many rows, as evenly from all sources as they allow; always the same ones."""
    by_source: defaultdict[str, list[Example]] = defaultdict(list)
    for row in dict.fromkeys(rows):
        by_source[row.source].append(row)
    chosen: list[Example] = []
    left = number
    for at, source in enumerate(sorted(by_source, key=lambda name: (len(by_source[name]), name))):
        share = left // (len(by_source) - at)
        drawn = sorted(by_source[source], key=lambda row: draw("rehearsal " + row.text))[:share]
        chosen += drawn
        left -= len(drawn)
    return chosen


def _plan(recipe: Recipe, max_tokens: int, epochs: float, minutes: float | None, dev_cap: int) -> Recipe:
    """The recipe's data, with a schedule that moves a trained network a little."""
    schedule = recipe.schedule.model_copy(
        update={
            "epochs": epochs,
            "deadline_minutes": minutes,
            "learning_rate": min(RATE, FASTER * recipe.schedule.learning_rate),
            "head_learning_rate": min(HEAD_RATE, recipe.schedule.head_learning_rate),
            "train_tokens": min(recipe.schedule.train_tokens, max_tokens),
            "warmup": 0.1,
            "adversarial": 0.0,  # somebody waits: not every batch twice
            "patience": None,
        }
    )
    old = Distillation(recipes=("itself",), temperature=TEMPERATURE, weight=WEIGHT)
    cap = dev_cap if recipe.dev_cap is None else min(dev_cap, recipe.dev_cap)
    return recipe.model_copy(
        update={"schedule": schedule, "distillation": old, "companion": None, "validation": 0.0, "dev_cap": cap}
    )


def _material(artefact: Path, corrections: Sequence[Example], kept: Sequence[Example], recipe: Recipe) -> Material:
    """Rows in tokens: the old ones with what the model said of them, the new ones as often as their share asks for."""
    before = load(artefact)
    device = pick_device()
    network = Network(before.model, before.tokens, device, pick_dtype(device))
    soft = (torch.tensor(network.moods([row.text for row in kept])).view(-1, 3) / TEMPERATURE).log_softmax(-1).tolist()
    tokens = TextTokens(before.tokens.tokenizer, recipe.schedule.train_tokens)
    rows = encode(kept, tokens, priors(kept, recipe.schedule.prior_strength))
    old = [replace(row, soft=(told[0], told[1], told[2])) for row, told in zip(rows, soft, strict=True)]
    times = max(1, round(SHARE / (1 - SHARE) * len(kept) / len(corrections)))
    new: list[Row] = encode(corrections, tokens)
    beyond = sum(bool(given.targets) and not row.targets for given, row in zip(corrections, new, strict=True))
    if beyond:
        log.warning("continue.beyond_the_cap", corrections=beyond, tokens=recipe.schedule.train_tokens)
    texts = [row.text for row in kept] + [row.text for row in corrections] * times
    return Material([*old, *new * times], texts, [], tokens)


def _told(version: str, given: Sequence[Example], kept: Sequence[Example], steps: int, rehearsal: int) -> str:
    """What the card says besides."""
    files = len({row.source for row in kept})
    towards = sum(row.targets is not None for row in given)
    return (
        f"\n## Continued\n\nFrom `{version}`, with {len(given)} corrections by users ({towards} of them towards a "
        f"name) and {len(kept)} rehearsed rows of {files} of the files above ({rehearsal} for each correction), "
        f"{steps} steps. The figures above are those of the old model, its own are in `metrics.json` of its run; the "
        "companion was not trained again.\n"
    )
