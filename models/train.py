"""`opinionwatch train`: from a recipe, a data folder and a backbone to an artefact with its figures.

Beside what `fit` leaves in the run folder there are `artefact/` and `metrics.json` at the end. The figures are those of
the artefact as it will be loaded, 8-bit weights included.
"""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import structlog
import yaml
from tokenizers import Tokenizer

from opinionwatch.models.artefact import Config, load, save
from opinionwatch.models.card import E5_NOTICE, write_card
from opinionwatch.models.companion_fit import Accompanied, accompany
from opinionwatch.models.data import Rows
from opinionwatch.models.device import pick_device, pick_dtype
from opinionwatch.models.distil import answers
from opinionwatch.models.encoder import Encoder
from opinionwatch.models.fit import RECIPE, Fit, Teacher, fit
from opinionwatch.models.measure import CALIBRATION_CAP, Figures, measure
from opinionwatch.models.network import Network
from opinionwatch.models.recipe import Recipe, load_recipe, recipe_beside
from opinionwatch.pipeline.errors import SettingsError

log = structlog.get_logger(__name__)
RECIPES = Path(__file__).parent / "recipes"


class Trained(NamedTuple):
    """A finished run: the artefact folder, the version its scorer will bear, and what it reaches on dev."""

    artefact: Path
    version: str
    figures: Figures
    minutes: float


def train(
    recipe_path: Path, out: Path, *, data: Path, backbone: str, resume: bool = False, strict: bool = False
) -> Trained:
    """Train by a recipe and leave `out/artefact` behind.

    `data` is the folder with `train/` and `dev/`, `backbone` a folder or hub id of a Hugging Face encoder. Raises
    SettingsError for a recipe, data or backbone that cannot work, FatalError when the loss is no longer a number.
    """
    recipe = load_recipe(recipe_path)
    _check_stages(recipe_path)
    plan, first = recipe.distillation, backbone
    before = partial(_before, recipe_path, out, data, backbone, strict=strict)
    if recipe.start is not None:
        first = str(before(recipe.start))
    teacher: Teacher | None = None
    if plan is not None:
        schools = [before(name) for name in plan.recipes]
        teacher = partial(answers, schools, plan=plan, out=out)
    done = fit(recipe_path, out, data=data, backbone=first, resume=resume, strict=strict, teacher=teacher)
    return release(done, out, data=data, backbone=backbone)


def _check_stages(recipe_path: Path, above: tuple[Path, ...] = ()) -> None:
    """Raises SettingsError, before an hour is spent, where a recipe that is trained first is missing or goes round."""
    recipe = load_recipe(recipe_path)
    teachers = () if recipe.distillation is None else recipe.distillation.recipes
    for name in (*teachers, *(() if recipe.start is None else (recipe.start,))):
        beside = recipe_beside(recipe_path, name, "no recipe")
        if beside in (*above, recipe_path):
            raise SettingsError(f"recipe {recipe_path}: '{name}' would have to be trained before itself")
        _check_stages(beside, (*above, recipe_path))


def _before(recipe_path: Path, out: Path, data: Path, backbone: str, name: str, *, strict: bool) -> Path:
    """The artefact of a teacher or of a start, trained in the run folder by the recipe beside, unless it is there."""
    beside, folder = recipe_beside(recipe_path, name, "no recipe"), out / "before" / name
    if not (folder / "metrics.json").exists():
        train(beside, folder, data=data, backbone=backbone, resume=True, strict=strict)
    elif changed := _changed(folder, load_recipe(beside)):
        log.warning("train.made_by_another_recipe", stage=name, folder=str(folder), differs=changed)
    return folder / "artefact"


def _changed(folder: Path, recipe: Recipe) -> list[str]:
    """The parts of a recipe that are not as they were when a finished stage was trained. A start gives the body."""
    try:
        kept = yaml.safe_load((folder / RECIPE).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return [RECIPE]  # cannot be told any more
    return sorted(
        key for key, value in recipe.model_dump(mode="json", exclude={"body"}).items() if kept.get(key) != value
    )


class Made(NamedTuple):
    """A network that is trained, and what its artefact and its card say of it."""

    recipe: Recipe
    config: Config
    tokenizer: Tokenizer
    model: Encoder
    rows: Rows
    steps: int
    minutes: float


def release(done: Fit, out: Path, *, data: Path, backbone: str) -> Trained:
    """Store a finished fit, give it its companion, calibrate, measure and write the artefact."""
    recipe = done.recipe
    config = Config(name=recipe.name, body=recipe.body, backbone=done.model.shape())
    save(out / "artefact", config, done.tokenizer, done.model, "")
    device = pick_device()
    stored = load(out / "artefact")
    network = Network(stored.model, stored.tokens, device, pick_dtype(device))
    given = None
    if recipe.companion is not None:
        given = accompany(network, recipe.companion, recipe, data, done.rows.validation)
    made = Made(recipe, config, done.tokenizer, done.model, done.rows, done.steps, done.minutes)
    return publish(made, network, given, out, backbone)


def publish(made: Made, network: Network, given: Accompanied | None, out: Path, backbone: str) -> Trained:
    """Calibrate and measure the network as it will be loaded, and write the artefact with its card."""
    folder = out / "artefact"
    network.companion = None if given is None else given.companion
    measured = measure(network, made.rows.dev, made.recipe)
    origin = E5_NOTICE if made.recipe.origin == "e5" else f"Started from `{backbone}`; see its own terms."
    card = write_card(
        made.recipe,
        made.rows.counts,
        measured.figures,
        measured.calibration,
        backbone=origin,
        steps=made.steps,
        minutes=made.minutes,
        cap=CALIBRATION_CAP,
        companion=given,
    )
    config = made.config.model_copy(update={"calibration": measured.calibration, "decoding": measured.decoding})
    version = save(folder, config, made.tokenizer, made.model, card, network.companion)
    (out / "metrics.json").write_text(measured.figures.model_dump_json(indent=1))
    log.info("train.done", version=version, minutes=round(made.minutes, 1))
    return Trained(folder, version, measured.figures, made.minutes)
