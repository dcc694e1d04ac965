"""The neural scorer: one encoder pass gives calibrated sentiment and opinions."""

import os
from collections.abc import Sequence
from math import exp
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from pydantic import BaseModel, ConfigDict, Field

from opinionwatch.models.artefact import load, read
from opinionwatch.models.calibrate import Calibration, for_lang
from opinionwatch.models.device import Precision, pick_device, pick_dtype
from opinionwatch.models.examples import LABELS
from opinionwatch.models.manifest import DEFAULT
from opinionwatch.models.network import TOKENS_PER_BATCH, Network, Raw, Term
from opinionwatch.models.packing import scoring
from opinionwatch.models.targets import Logits, plus
from opinionwatch.pipeline.contracts import Confusion, OpinionTerm, Reading, Sentiment
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.memory import Settled, give_back, unload_gpu_pages
from opinionwatch.pipeline.ports import Passage

if TYPE_CHECKING:
    from opinionwatch.models.explain import Explanation

PROBABILITY_BOUND = {torch.float32: 1e-4, torch.float16: 0.01, torch.bfloat16: 0.02, torch.int8: 0.05}
"""How far a probability may move with the company a text keeps in a batch, by precision of the body."""
ACCELERATED = 16_384
"""Tokens of a pass on an accelerator, which fewer leave idle."""
DECIMALS = 4


class NeuralScorer:
    """Scores with a trained artefact. Deterministic: the same passages in the same batch give the same readings.

    In another batch a probability may differ by PROBABILITY_BOUND of the precision, so a label can only differ where
    two classes are as close as that. A text longer than the artefact's `max_tokens` is read up to there. An artefact
    with a head for targets also says what a text says of each target of its passage, by the same calibration; of one
    that is named beyond there, what the text says.
    """

    class Settings(BaseModel):
        """How the neural scorer runs."""

        model_config = ConfigDict(frozen=True, extra="forbid")

        artefact: Path = Field(DEFAULT, description="artefact folder")
        device: str = Field(
            "auto", description="torch device, e.g. cpu or cuda:0; auto takes an accelerator if there is one"
        )
        precision: Precision = Field(
            "auto",
            description="auto: bf16 where the hardware is faster at it, else fp32; int8: static, on CPUs; fp16: GPUs",
        )
        tokens_per_batch: int | None = Field(
            None, ge=16, description="tokens a forward pass; null: 2048 on a CPU, 16384 on an accelerator"
        )
        threads: int | None = Field(
            1,
            gt=0,
            description="torch threads of this process; more are faster on idle cores only; null: torch decides",
        )

    def __init__(self, settings: Settings | None = None) -> None:
        """Load the artefact that the settings name; SettingsError with the reason if it is not whole."""
        settings = settings or self.Settings()
        if settings.threads is not None:
            torch.set_num_threads(settings.threads)
        device = pick_device(settings.device)
        if settings.threads == 1 and device.type == "cpu":
            # The tokeniser's threads cost a fifth more than they save, and would take what other processes are to use.
            os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        dtype = pick_dtype(device, settings.precision)
        artefact = scoring(read(settings.artefact), device, dtype, eight=settings.precision == "int8")
        if device.type == "cpu":
            unload_gpu_pages()
        give_back()
        self._memory = Settled()
        self.version = artefact.version
        self.dtype = torch.int8 if settings.precision == "int8" else dtype
        """Of the products: a key of PROBABILITY_BOUND."""
        self._calibrations = artefact.config.calibration
        self._folder = settings.artefact
        self._reasons: Network | None = None
        self.network = Network(
            artefact.model,
            artefact.tokens,
            device,
            dtype,
            settings.tokens_per_batch or (TOKENS_PER_BATCH if device.type == "cpu" else ACCELERATED),
            artefact.config.decoding,
            artefact.companion,
        )

    @property
    def tells_targets(self) -> bool:
        """Whether it can tell the sentiment towards a target from that of the text."""
        return self.network.model.tells_targets

    def explain(self, passage: Passage) -> "Explanation":
        """Why a text is read as it is, or, of a passage with a target, why it is read so for the first of them.

        In 32 bits; takes a second, and the first time a few. Raises SettingsError when the artefact's folder holds
        another model by now.
        """
        # captum takes a second to load, which only this needs.
        from opinionwatch.models.explain import explain

        if self._reasons is None:
            artefact = load(self._folder)
            if artefact.version != self.version:
                raise SettingsError(f"{self._folder} was replaced by {artefact.version}; restart to explain with it")
            network = self.network
            self._reasons = Network(
                artefact.model, artefact.tokens, network.device, torch.float32, companion=network.companion
            )
        places = next(iter(passage.targets), ())
        return explain(self._reasons, passage.text, for_lang(self._calibrations, passage.lang), places)

    @property
    def confusion(self) -> dict[str, Confusion]:
        """How it errs, by language, as counted when it was calibrated; empty for an artefact of before."""
        return {lang: own.confusion for lang, own in self._calibrations.items() if own.confusion is not None}

    def score(self, passages: Sequence[Passage]) -> list[Reading]:
        """One reading a passage, in order; equal passages are read once. Raises RejectedError, see `Network.read`."""
        if not self.tells_targets:
            passages = [passage._replace(targets=()) for passage in passages]
        distinct = list(dict.fromkeys(passages))
        raws = self.network.read([passage.text for passage in distinct], [passage.targets for passage in distinct])
        readings = {passage: self.reading(raw, passage) for passage, raw in zip(distinct, raws, strict=True)}
        self._memory.look()
        return [readings[passage] for passage in passages]

    def reading(self, raw: Raw, passage: Passage) -> Reading:
        """What the network says of a passage, calibrated for its language."""
        return calibrated(raw, passage.text, for_lang(self._calibrations, passage.lang))


def calibrated(raw: Raw, text: str, calibration: Calibration) -> Reading:
    """What raw logits and triplets say of a text, under a calibration."""
    return Reading(
        sentiment=_sentiment(raw.logits, calibration),
        opinions=tuple(_opinion(term, text) for term in raw.terms),
        targets=tuple(_sentiment(plus(raw.logits, more), calibration) for more in raw.added),
    )


def _sentiment(logits: Logits, calibration: Calibration) -> Sentiment:
    # By hand: tensors of three numbers cost ten times as much.
    highest = max(logits)
    sizes = [exp((logit - highest) / calibration.temperature) for logit in logits]
    chances = [size / sum(sizes) for size in sizes]
    top = max(range(3), key=chances.__getitem__)
    negative, positive = round(chances[0], DECIMALS), round(chances[2], DECIMALS)
    return Sentiment(
        label=LABELS[top],
        negative=negative,
        neutral=max(0.0, round(1 - negative - positive, DECIMALS)),
        positive=positive,
        unsure=chances[top] < calibration.unsure_below,
    )


def _opinion(term: Term, text: str) -> OpinionTerm:
    return OpinionTerm(
        aspect=None if term.aspect is None else text[slice(*term.aspect)],
        opinion=text[slice(*term.opinion)],
        polarity=LABELS[term.polarity],
        aspect_span=term.aspect,
        opinion_span=term.opinion,
        confidence=min(1.0, round(term.confidence, DECIMALS)),
    )
