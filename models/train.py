"""`opinionwatch train`: from a recipe, a data folder and a backbone to an artefact with its figures.

Beside what `fit` leaves in the run folder there are `artefact/` and `metrics.json` at the end. The figures are those of
the artefact as it will be loaded, 8-bit weights included.
"""

from pathlib import Path
from typing import NamedTuple

import structlog

from opinionwatch.models.artefact import Config, load, save
from opinionwatch.models.card import E5_NOTICE, write_card
from opinionwatch.models.device import pick_device, pick_dtype
from opinionwatch.models.fit import Fit, fit
from opinionwatch.models.measure import CALIBRATION_CAP, Figures, measure
from opinionwatch.models.network import Network

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
    return release(fit(recipe_path, out, data=data, backbone=backbone, resume=resume, strict=strict), out, backbone)


def release(done: Fit, out: Path, backbone: str) -> Trained:
    """Calibrate, measure and write the artefact of a finished fit."""
    folder = out / "artefact"
    config = Config(name=done.recipe.name, body=done.recipe.body, backbone=done.model.shape())
    save(folder, config, done.tokenizer, done.model, "")
    device = pick_device()
    stored = load(folder)
    measured = measure(Network(stored.model, stored.tokens, device, pick_dtype(device)), done.rows.dev, done.recipe)
    origin = E5_NOTICE if done.recipe.name == "default" else f"Started from `{backbone}`; see its own terms."
    card = write_card(
        done.recipe,
        done.rows.counts,
        measured.figures,
        measured.calibration,
        backbone=origin,
        steps=done.steps,
        minutes=done.minutes,
        cap=CALIBRATION_CAP,
    )
    config = config.model_copy(update={"calibration": measured.calibration, "decoding": measured.decoding})
    version = save(folder, config, done.tokenizer, done.model, card)
    (out / "metrics.json").write_text(measured.figures.model_dump_json(indent=1))
    log.info("train.done", version=version, minutes=round(done.minutes, 1))
    return Trained(folder, version, measured.figures, done.minutes)
