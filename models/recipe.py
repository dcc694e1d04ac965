"""What a training run is made of: a YAML file, read into typed settings that refuse unknown keys."""

from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from opinionwatch.models.ngrams import Ngrams
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.registry import nearest

MOST_DOMAINS = 16
"""Kinds of texts that a companion may have weights for."""
MOST_BASES = 4
"""Recipes that may extend one another."""


class Section(BaseModel):
    """A part of a recipe: frozen, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Body(Section):
    """The network: which architecture, how deep, how long a text it reads."""

    architecture: str = Field("encoder", description="name in ARCHITECTURES, or an import string `module:Class`")
    layers: int | None = Field(6, gt=0, description="keep the first N layers of the backbone; null keeps all")
    heads: int | None = Field(None, gt=0, description="attention heads a layer that `compress` left; null: all")
    max_tokens: int = Field(128, ge=8, description="longest text in tokens at scoring; the rest is cut off")
    span_size: int = Field(128, gt=0, description="width of the span vectors of the opinions and targets heads")
    targets: bool = Field(False, description="whether it reads the sentiment towards a name as well")
    dropout: float = Field(0.1, ge=0, lt=1)
    # What follows shapes the architectures that are trained from scratch.
    inputs: Literal["subwords", "vectors", "ngrams", "frozen"] = Field(
        "subwords", description="what the body reads, see `models/inputs.py`"
    )
    vectors: Path | None = Field(None, description="file of word2vec, GloVe or fastText vectors in text form")
    width: int = Field(128, gt=0, le=4096, description="of the input vectors, unless they are frozen")
    hidden: int = Field(128, gt=0, le=4096, description="states a direction, filters a width, or states of a layer")
    depth: int = Field(1, gt=0, le=48, description="recurrent or attention layers")
    vocabulary: int | None = Field(
        None, ge=100, le=500_000, description="train a subword vocabulary of so many pieces; null: the backbone's"
    )


class SentimentSource(Section):
    """One file of sentiment rows, `<name>.jsonl.gz` in the data folder."""

    name: str
    terms: str = Field(description="the terms of the rows, for the model card")
    cap: int | None = Field(None, gt=0, description="use at most this many rows, drawn by hash of the text")
    repeat: int = Field(1, gt=0, description="times the encoder sees each row in an epoch")
    classes: Literal[2, 3] = Field(3, description="2: the file lacks neutral, rows train negative against positive")
    without_topics: tuple[str, ...] = Field((), description="rows of these topics are left out (other terms)")
    evaluate_only: bool = Field(False, description="never trained on: only measured, where the folder has it")
    unlabelled: bool = Field(False, description="labels are not read: rows learn from the teachers alone")
    lexicon: bool = Field(False, description="rows are taught the opinion terms that the lexicon finds and that agree")


class OpinionSource(Section):
    """One file of opinion rows: `<name>.jsonl.gz` of the data folder, or `<name>.tsv` written by the project."""

    name: str
    terms: str
    kind: Literal["triplets", "aspects", "written", "targets"] = Field(
        "triplets", description="what rows know; targets: the sentiment towards each of the names in them"
    )
    cap: int | None = Field(None, gt=0)
    repeat: int = Field(1, gt=0, description="times each row is seen in an epoch")
    drop_overlaps: bool = Field(False, description="leave out rows whose aspect and opinion overlap")
    lexicon: bool = Field(False, description="aspects are taught the opinion terms that the lexicon finds beside them")
    evaluate_only: bool = False

    @model_validator(mode="after")
    def _leaves_marked_terms_alone(self) -> Self:
        if self.lexicon and self.kind != "aspects":
            raise ValueError(f"`lexicon` is for `kind: aspects`; rows of {self.kind} say themselves what is in them")
        return self


class Schedule(Section):
    """How the weights move. Learning rates follow a linear warm-up and then `decay`."""

    epochs: float = Field(2, gt=0)
    deadline_minutes: float | None = Field(
        None, gt=0, description="decay to zero by this many minutes of training even if the epochs are not done"
    )
    tokens_per_batch: int = Field(2048, gt=0)
    rows_per_batch: int = Field(48, gt=0, description="so that short texts do not weigh less than long ones")
    train_tokens: int = Field(96, ge=8, description="training texts are cut to this many tokens")
    learning_rate: float = Field(1e-4, gt=0)
    head_learning_rate: float = Field(5e-4, gt=0)
    layer_decay: float = Field(0.95, gt=0, le=1, description="each layer below the top learns this much slower")
    weight_decay: float = Field(0.01, ge=0)
    warmup: float = Field(0.06, ge=0, lt=1, description="share of the run spent warming up")
    clip_norm: float = Field(1.0, gt=0)
    optimiser: Literal["adamw", "adam", "sgd"] = "adamw"
    momentum: float = Field(0.9, ge=0, lt=1, description="of sgd")
    decay: Literal["linear", "cosine", "constant"] = Field("linear", description="of the rates after the warm-up")
    accumulate: int = Field(1, gt=0, description="batches whose gradients are added up for one step")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="of the arithmetic; weights stay in 32 bits. auto: bf16 where the hardware is faster at it"
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    focal_gamma: float = Field(0.0, ge=0, le=10, description="rows that are told well count less; 0: all alike")
    prior_strength: float = Field(
        0.0, ge=0, le=1, description="1: the shares of the classes in each source are not learnt; 0: they are"
    )
    class_weights: tuple[float, float, float] | None = Field(
        None, description="how much negative, neutral and positive rows count; null: all alike"
    )
    task_weighting: Literal["fixed", "learned"] = Field(
        "fixed", description="learned: each loss is weighed by a noise that is learnt with it"
    )
    adversarial: float = Field(
        0.0, ge=0, description="length of the step against the input vectors of a second pass (FGM); 0: one pass"
    )
    augment: float = Field(0.0, ge=0, le=1, description="share of the rows without spans that are altered each epoch")
    mix: float = Field(
        0.0,
        ge=0,
        description="alpha of the Beta by which pairs of rows are mixed; 0: none. 0.2 to 1 are usual",
    )
    patience: int | None = Field(
        None,
        gt=0,
        description="stop after so many looks at the validation rows without gain, keep the best; null: never",
    )
    look_every: int = Field(200, gt=0, description="steps between looks at the validation rows")
    two_class_weight: float = Field(
        0.25, ge=0, le=1, description="how strongly a two-class row says `not neutral`: 0 masks it, 1 is plain 3-class"
    )
    sentiment_weight: float = Field(1.0, ge=0)
    tags_weight: float = Field(1.0, ge=0)
    pairs_weight: float = Field(1.0, ge=0)
    targets_weight: float = Field(1.0, ge=0)
    checkpoint_minutes: float = Field(5, gt=0)
    seed: int = 20261124
    threads: int | None = Field(None, gt=0, description="torch threads; null: torch decides")


class CompanionPlan(Section):
    """The linear companion of hashed n-grams that is added to the encoder; trained on the same files, without caps."""

    ngrams: Ngrams = Ngrams()
    rounds: int = Field(100, gt=0, description="at most so many steps of L-BFGS for each part")
    penalty: float = Field(0.5, gt=0, description="on the squares of the shared weights; 1 is scikit-learn's C=1")
    domain_penalty: float = Field(1.0, gt=0, description="on the squares of what each domain adds to them")
    gate_penalty: float = Field(0.1, gt=0, description="on the squares of the weights of the gate between domains")
    balance: float = Field(0.5, ge=0, le=1, description="0: every row weighs the same; 1: every source")
    domains: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        max_length=MOST_DOMAINS,
        description="kinds of texts that get weights of their own, each with its sources",
    )


class Distillation(Section):
    """Learning from teachers (Hinton, Vinyals, Dean, Distilling the Knowledge in a Neural Network, 2015)."""

    recipes: tuple[str, ...] = Field(
        min_length=1, description="recipes of the same folder, trained first; several are averaged: an ensemble"
    )
    temperature: float = Field(2.0, gt=0, description="softens what both say")
    weight: float = Field(0.5, ge=0, le=1, description="of the teachers against the labels of what they were asked")


class Adapters(Section):
    """Few weights that are trained in place of the body's, and become part of them at the end (needs `peft`)."""

    kind: Literal["lora", "ia3"] = Field("lora", description="added matrices of low rank, or learnt scales")
    rank: int = Field(8, gt=0, le=1024, description="of LoRA's matrices")
    alpha: int = Field(16, gt=0, description="LoRA's change is multiplied by alpha / rank")
    dropout: float = Field(0.0, ge=0, lt=1, description="before LoRA's matrices")
    modules: tuple[str, ...] = Field(
        ("query", "value"), min_length=1, description="last parts of the names of the layers that are adapted"
    )


class Recipe(Section):
    """Everything that `opinionwatch train` needs beside the data folder and the backbone."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", description="first part of the model version")
    body: Body = Body()
    schedule: Schedule = Schedule()
    sentiment: tuple[SentimentSource, ...]
    opinions: tuple[OpinionSource, ...] = ()
    origin: Literal["e5", "other"] = Field(
        "other", description="e5: the card carries the notice of the project's backbone; other: it names the backbone"
    )
    start: str | None = Field(
        None, description="recipe of the same folder that is trained first; this one goes on from what it reached"
    )
    soup: float = Field(
        1.0, gt=0, le=1, description="with `start`: how much of this run's weights there is; the rest is the start's"
    )
    local: bool = Field(
        False, description="its weights stay here: rows may be trained on whose terms forbid passing them on"
    )
    uncapped: bool = Field(False, description="caps of sources are ignored: for machines that read every row in time")
    distillation: Distillation | None = Field(None, description="null: no teacher")
    adapters: Adapters | None = Field(None, description="null: all weights of the body are trained")
    companion: CompanionPlan | None = Field(None, description="null: the encoder alone")
    held_out: float = Field(0.1, ge=0, lt=1, description="share of each written set kept for dev")
    validation: float = Field(
        0.0, ge=0, lt=1, description="share of each sentiment source that is not trained on: for choices before dev"
    )
    dev_cap: int | None = Field(1000, gt=0, description="measure on at most this many dev rows a source")
    sure: float = Field(0.9, gt=0, lt=1, description="share of confident labels that must be right on dev")

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if self.distillation is None and (idle := [s.name for s in self.sentiment if s.unlabelled]):
            raise ValueError(f"'{idle[0]}' is unlabelled: without `distillation` there is no teacher to learn from")
        if self.soup < 1 and self.start is None:
            raise ValueError("`soup` needs `start`, the recipe whose weights are the rest")
        if self.schedule.patience is not None and not self.validation:
            raise ValueError("`patience` needs `validation`, the share of rows that is looked at")
        return self

    @property
    def sources(self) -> tuple[SentimentSource | OpinionSource, ...]:
        """All files, sentiment first."""
        return (*self.sentiment, *self.opinions)


def load_recipe(path: Path) -> Recipe:
    """Read a recipe file. With `extends: other` it is that recipe of the same folder with some keys changed.

    Raises SettingsError naming the field, and the nearest valid key for an unknown one.
    """
    try:
        return Recipe.model_validate(_keys(path, MOST_BASES))
    except ValidationError as error:
        raise SettingsError(f"recipe {path}: " + "; ".join(_reasons(error))) from error


def recipe_beside(path: Path, name: str, what: str) -> Path:
    """Another recipe of the same folder, by its name; `what` says what it is wanted for.

    Raises SettingsError with the nearest name when there is none.
    """
    known = {file.stem: file for file in path.parent.glob("*.yaml")}
    if name not in known:
        raise SettingsError(f"recipe {path}: {what} '{name}', which is not beside it; {nearest(name, known)}")
    return known[name]


def _keys(path: Path, bases: int) -> dict[str, object]:
    """What the file says, over what the recipe that it extends says."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"recipe {path}: {error}") from error
    if not isinstance(raw, dict):
        raise SettingsError(f"recipe {path}: expected keys and values")
    base = raw.pop("extends", None)
    if base is None:
        return raw
    if not bases:
        raise SettingsError(f"recipe {path}: extends too many others, or itself")
    return _over(_keys(recipe_beside(path, str(base), "extends"), bases - 1), raw)


def _over(below: dict[str, object], above: dict[str, object]) -> dict[str, object]:
    """Keys above replace keys below; sections are merged, lists are not."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _over(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _reasons(error: ValidationError) -> list[str]:
    known = {
        key
        for part in (
            *(Recipe, Body, Schedule, Distillation, Adapters, CompanionPlan, Ngrams),
            *(SentimentSource, OpinionSource),
        )
        for key in part.model_fields
    }
    reasons = []
    for mistake in error.errors():
        where = ".".join(str(part) for part in mistake["loc"])
        unknown = mistake["type"] == "extra_forbidden"
        what = f"unknown key; {nearest(str(mistake['loc'][-1]), known)}" if unknown else mistake["msg"]
        reasons.append(f"{where}: {what}")
    return reasons
