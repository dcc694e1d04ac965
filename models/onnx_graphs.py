"""The graphs of an export: the pass with its sentiment and tags, the pairs of terms, and what a name changes.

Three files and not one, because how many pairs there are depends on what the tags say. The states of the pass are one
of its outputs, and the other two take them.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import torch
from safetensors.torch import save
from torch import Tensor, nn

from opinionwatch.models.artefact import Artefact
from opinionwatch.models.calibrate import OTHER, Calibration
from opinionwatch.models.companion import Mixing
from opinionwatch.models.encoder import Encoded, Encoder
from opinionwatch.models.heads import SpanBatch, TargetHead
from opinionwatch.models.onnx_int8 import INPUTS
from opinionwatch.models.onnx_read import (
    COMPANION,
    LINKED,
    MODEL,
    OUTPUTS,
    PAIRS,
    PAIRS_INPUTS,
    TARGETS,
    TARGETS_INPUTS,
    TOWARD,
)
from opinionwatch.pipeline.errors import SettingsError

OPSET = 20


class Pass(nn.Module):
    """Token ids and mask (B, L) to sentiment logits (B, 3), tag logits (B, L, 3) twice, and states (B, L, H)."""

    def __init__(self, stored: Artefact) -> None:
        super().__init__()
        self.model = stored.model
        self._companion = stored.companion

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Encoded:
        """In the order of OUTPUTS. The logits are those of a text of which the companion, if any, knows no word."""
        out: Encoded = self.model(input_ids, attention_mask)
        if self._companion is None:
            return out
        return out._replace(sentiment=self._companion.mix(out.sentiment, torch.zeros_like(out.sentiment)))


class Pairs(nn.Module):
    """States and spans (n, 3) of aspects and of opinions to logits (P, 4) of the links between them."""

    def __init__(self, model: Encoder) -> None:
        super().__init__()
        self.head = model.opinions

    def forward(self, hidden: Tensor, aspects: Tensor, opinions: Tensor, pairs: Tensor) -> Tensor:
        """See `OpinionsHead.pairs`; a span is the row of the batch, the first and the last token."""
        return self.head.pairs(hidden, SpanBatch(*aspects.unbind(1)), SpanBatch(*opinions.unbind(1)), pairs)


class Toward(nn.Module):
    """States and spans (n, 3) of names to what each adds to the sentiment logits of its text (n, 3)."""

    def __init__(self, head: TargetHead, share: float) -> None:
        super().__init__()
        self.head = head
        self.share = share
        """How much the encoder's own logits count beside the companion's."""

    def forward(self, hidden: Tensor, spans: Tensor) -> Tensor:
        """As they are added to what `Pass` gives."""
        change: Tensor = self.share * self.head(hidden, SpanBatch(*spans.unbind(1)))
        return change


class Graphs(NamedTuple):
    """All that is exported of an artefact as graphs."""

    whole: Pass
    pairs: Pairs
    toward: Toward | None


def graphs_of(stored: Artefact) -> Graphs:
    """The graphs of an artefact, as they run in PyTorch."""
    model = stored.model.eval()
    share = 1.0 if stored.companion is None else stored.companion.mixing.toward
    toward = None if model.targets is None else Toward(model.targets, share).eval()
    return Graphs(Pass(stored).eval(), Pairs(model).eval(), toward)


def write(graphs: Graphs, stored: Artefact, folder: Path) -> None:
    """Write every graph, and the companion's table. Raises SettingsError where PyTorch makes no program of one."""
    # Two texts of five tokens, two aspects, three opinions, four pairs: a size of one would be taken for a constant.
    ids = torch.full((2, 5), stored.tokens.unknown)
    with torch.inference_mode():
        hidden = torch.zeros_like(graphs.whole(ids, torch.ones_like(ids)).hidden)
    aspects, opinions = torch.tensor([[0, 1, 2], [1, 1, 1]]), torch.tensor([[0, 3, 3], [1, 2, 3], [1, 3, 3]])
    pairs = torch.tensor([[-1, 0], [0, 0], [1, 1], [1, 2]])
    tokens = dict(zip(INPUTS, (ids, torch.ones_like(ids)), strict=True))
    _write(graphs.whole, folder / MODEL, tokens, OUTPUTS, about(stored))
    _write(
        graphs.pairs, folder / PAIRS, dict(zip(PAIRS_INPUTS, (hidden, aspects, opinions, pairs), strict=True)), LINKED
    )
    if graphs.toward is not None:
        _write(graphs.toward, folder / TARGETS, dict(zip(TARGETS_INPUTS, (hidden, opinions), strict=True)), TOWARD)
    if stored.companion is not None:
        (folder / COMPANION).write_bytes(save(stored.companion.stored()))


def about(stored: Artefact) -> dict[str, str]:
    """What a reader of the files must know, by name: the metadata of the first."""
    calibrations = {OTHER: Calibration(), **stored.config.calibration}
    told = {
        "version": stored.version,
        "labels": json.dumps(stored.config.labels),
        "max_tokens": str(stored.config.body.max_tokens),
        "pad": str(stored.tokens.pad),
        "unknown": str(stored.tokens.unknown),
        "calibration": json.dumps(
            {lang: own.model_dump(include={"temperature", "unsure_below"}) for lang, own in calibrations.items()}
        ),
        "decoding": stored.config.decoding.model_dump_json(),
    }
    if stored.companion is not None:
        told["companion"] = _left(stored.companion.mixing).model_dump_json()
    return told


def _left(mixing: Mixing) -> Mixing:
    """What is left to do with the companion's logits: the rest is in the graphs."""
    return mixing.model_copy(update={"encoder": 1.0, "bias": (0.0, 0.0, 0.0)})


def _write(
    graph: nn.Module,
    path: Path,
    given: Mapping[str, Tensor],
    outputs: Sequence[str],
    told: Mapping[str, str] = MappingProxyType({}),
) -> None:
    dynamic = torch.export.Dim.DYNAMIC
    # Widths are the model's; a list of spans or pairs has one size that varies, everything else has two.
    lists = {"aspects", "opinions", "pairs", "spans"}
    varying = tuple({0: dynamic} if name in lists else {0: dynamic, 1: dynamic} for name in given)
    # Otherwise it remarks on every operator of torchvision, which nobody has here.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with torch.inference_mode():
        program = torch.onnx.export(
            graph,
            tuple(given.values()),
            input_names=[*given],
            output_names=[*outputs],
            dynamic_shapes=varying,
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise SettingsError("this PyTorch makes no ONNX program; give it 2.10 or newer")
    program.model.metadata_props.update(told)
    program.save(path, external_data=False)
