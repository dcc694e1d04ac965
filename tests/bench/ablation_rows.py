"""The rows of the ablation table: each is a recipe, told by what it has other than the base."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from opinionwatch.models.recipe import Adapters, Body, Distillation, Recipe, load_recipe
from opinionwatch.models.train import RECIPES

BASE = "base: encoder, 6 layers"
SCHOOL = (BASE, "another seed, nothing else", "a third seed, nothing else")
"""Rows whose networks are kept: the ensemble, and the teachers of those that are taught. The last two are the table's
control as well: they differ from the base by chance alone."""
SHAPES = ("textcnn", "rnn", "lstm", "transformer")
INPUTS = ("subwords", "vectors", "ngrams", "frozen")
Way = Literal["trained", "shape", "taught", "pseudo-labels", "ensemble", "companion"]


@dataclass(frozen=True)
class Trial:
    """One row: its name, what is done, and what differs from the base."""

    name: str
    way: Way = "trained"
    schedule: Mapping[str, object] = field(default_factory=dict)
    body: Body | None = None
    adapters: Adapters | None = None
    distillation: Distillation | None = None
    lexicon: bool = True
    """Whether rows learn the opinion terms that the lexicon finds in them."""
    shift: int = 0
    """Added to every seed."""

    def recipe(self, base: Recipe, seed: int) -> Recipe:
        """The base with the changes; checked as a recipe file is."""
        told = base.model_dump(mode="json")
        told["schedule"] |= {"seed": seed + self.shift} | dict(self.schedule)
        for name in ("body", "adapters", "distillation"):
            if (part := getattr(self, name)) is not None:
                told[name] = part.model_dump(mode="json")
        return Recipe.model_validate(told)


def devices(school: Distillation, body: Body, *, halves: bool) -> list[Trial]:
    """The encoder, and the encoder with one device of the kit more or less; every one in as many steps. `halves` is
    whether the machine computes in fp16: one that imitates it takes a hundred times as long.
    """

    def with_(**changes: object) -> Body:
        return Body.model_validate(body.model_dump() | changes)

    lora = {"learning_rate": 2e-3}
    return [
        Trial(BASE),
        Trial(SCHOOL[1], shift=100),
        Trial(SCHOOL[2], shift=200),
        Trial("focal loss, γ 2", schedule={"focal_gamma": 2.0}),
        Trial("label smoothing 0.1", schedule={"label_smoothing": 0.1}),
        Trial("class weights 1, 2, 1", schedule={"class_weights": [1, 2, 1]}),
        Trial("two-class rows say nothing of neutral", schedule={"two_class_weight": 0.0}),
        Trial("shares of classes not learnt, 0.8", schedule={"prior_strength": 0.8}),
        Trial("head for the sentiment towards a name", body=with_(targets=True)),
        Trial("no terms of the lexicon", lexicon=False),
        Trial("learned task weighting", schedule={"task_weighting": "learned"}),
        Trial("sentiment alone", schedule={"tags_weight": 0.0, "pairs_weight": 0.0}),
        Trial("Adam", schedule={"optimiser": "adam"}),
        Trial("SGD, rate 0.02", schedule={"optimiser": "sgd", "learning_rate": 0.02, "head_learning_rate": 0.05}),
        Trial("cosine decay", schedule={"decay": "cosine"}),
        Trial("constant rate", schedule={"decay": "constant"}),
        Trial("no warm-up", schedule={"warmup": 0.0}),
        Trial("one rate for all layers", schedule={"layer_decay": 1.0}),
        Trial("layer decay 0.8", schedule={"layer_decay": 0.8}),
        Trial("no weight decay", schedule={"weight_decay": 0.0}),
        Trial("no clipping", schedule={"clip_norm": 1e9}),
        Trial("fp32", schedule={"precision": "fp32"}),
        *([Trial("fp16", schedule={"precision": "fp16"})] if halves else []),
        Trial("accumulation of 4", schedule={"accumulate": 4}),
        Trial("augmentation of 30 %", schedule={"augment": 0.3}),
        Trial("mixing, α 0.4", schedule={"mix": 0.4}),
        Trial("adversarial (FGM), ε 0.5", schedule={"adversarial": 0.5}),
        Trial("early stopping", schedule={"patience": 3, "look_every": 20}),
        Trial("no dropout", body=with_(dropout=0.0)),
        Trial("3 layers", body=with_(layers=3)),
        Trial("12 layers", body=with_(layers=None)),
        Trial("LoRA, rank 8", schedule=lora, adapters=Adapters()),
        Trial("IA³", schedule={"learning_rate": 1e-2}, adapters=Adapters(kind="ia3", modules=("key", "value"))),
        Trial("linear companion beside the base", "companion"),
        Trial("ensemble of three seeds", "ensemble"),
        Trial("distilled from the ensemble", "taught", distillation=school),
        Trial("and pseudo-labels on as many rows more", "pseudo-labels", distillation=school),
    ]


def shapes(vectors: Path, width: int, longest: int) -> list[Trial]:
    """Every architecture on every input, by the shape and the rates of its shipped recipe; in the same time."""
    found = []
    for name in SHAPES:
        shipped = load_recipe(RECIPES / f"{name}.yaml")
        rates = shipped.schedule.model_dump(
            include={"learning_rate", "head_learning_rate", "layer_decay", "warmup", "weight_decay"}
        )
        for inputs in INPUTS:
            own: dict[str, object] = {"inputs": inputs, "max_tokens": longest}
            if inputs == "vectors":
                own |= {"vectors": vectors, "width": width}
            body = Body.model_validate(shipped.body.model_dump() | own)
            found.append(Trial(f"{name} × {inputs}", "shape", rates, body))
    return found
