"""Makes probabilities mean what they say, per language, and sets the band in which the scorer calls itself unsure.

Temperature scaling and the calibration error are those of Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural
Networks (ICML 2017). One number a language divides the logits; it changes no label.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn.functional import cross_entropy

from opinionwatch.pipeline.contracts import Confusion

NEGATIVE = 0
"""Class index of the negative label."""
OTHER = "other"
"""Key of the calibration for languages that have none of their own."""
FEWEST_ROWS = 50
"""Below this many rows a language is calibrated with all the others together."""
BINS = 15


class Calibration(BaseModel):
    """One language: what its logits are divided by, and the top probability below which a label is unsure."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    unsure_below: Annotated[float, Field(ge=0, le=1)] = 0.5
    confusion: Confusion | None = None
    """Counted on the rows that it was calibrated on; None in artefacts of before."""


def calibrate(logits: Tensor, labels: Tensor, langs: Sequence[str], sure: float) -> dict[str, Calibration]:
    """A calibration for each language with enough rows, and `other` from all of them.

    Logits are (n, 3), labels (n,) class indices; `sure` is the share of confident labels that must be right. Of no
    rows there is no calibration.
    """
    if not len(labels):
        return {}
    found = {OTHER: _one(logits, labels, sure)}
    for lang in sorted(set(langs)):
        rows = torch.tensor([at for at, other in enumerate(langs) if other == lang])
        if len(rows) >= FEWEST_ROWS:
            found[lang] = _one(logits[rows], labels[rows], sure)
    return found


def for_lang(calibrations: Mapping[str, Calibration], lang: str) -> Calibration:
    """The calibration of a BCP-47 primary tag."""
    return calibrations.get(lang) or calibrations.get(OTHER) or Calibration()


def _one(logits: Tensor, labels: Tensor, sure: float) -> Calibration:
    temperature = fit_temperature(logits, labels)
    chances = (logits / temperature).softmax(-1)
    top = chances.max(-1).values
    least = unsure_below(top, chances.argmax(-1) == labels, sure)
    return Calibration(
        temperature=round(temperature, 4),
        unsure_below=least,
        confusion=_confusion(chances.argmax(-1)[top >= least] == NEGATIVE, labels[top >= least] == NEGATIVE),
    )


def _confusion(called: Tensor, negative: Tensor) -> Confusion | None:
    """The confusion of the sure rows; None where a kind of them is missing."""
    negatives, others = int(negative.sum()), int((~negative).sum())
    if not negatives or not others:
        return None
    hits, false_hits = int((called & negative).sum()), int((called & ~negative).sum())
    return Confusion(hits=hits, negatives=negatives, false_hits=false_hits, others=others)


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature in [0.05, 20] of the least cross-entropy, by golden-section search on its logarithm."""
    ratio = (5**0.5 - 1) / 2
    low, high = -3.0, 3.0

    def cost(log_temperature: float) -> float:
        return float(cross_entropy(logits.double() / 2.718281828459045**log_temperature, labels))

    for _ in range(60):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if cost(left) < cost(right):
            high = right
        else:
            low = left
    return float(2.718281828459045 ** ((low + high) / 2))


def unsure_below(top: Tensor, right: Tensor, sure: float) -> float:
    """The lowest top probability such that the labels at or above it are right in a share of at least `sure`.

    1.0 (always unsure) where no threshold reaches the share.
    """
    order = top.argsort(descending=True)
    share = right[order].double().cumsum(0) / torch.arange(1, len(order) + 1)
    enough = (share >= sure).nonzero()
    return round(float(top[order[int(enough[-1])]]), 4) if len(enough) else 1.0


def calibration_error(top: Tensor, right: Tensor) -> float:
    """Expected calibration error over 15 equal bins of the top probability, in [0, 1]."""
    place = (top * BINS).long().clamp(max=BINS - 1)
    gaps = [
        abs(float(top[place == at].sum() - right[place == at].sum())) for at in range(BINS) if bool((place == at).any())
    ]
    return sum(gaps) / len(top)
