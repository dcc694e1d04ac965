"""`opinionwatch model export`: a trained encoder as an ONNX file, for programs that are not this one.

The folder holds `model.onnx`, in 32 bits or with its products in 8, whose metadata say what the labels are, how the
tokens are made and what the logits are divided by; `tokenizer.json`; a README that runs it; and the card. No pickle is
written or read.

Of what the artefact does, the sentiment logits and the tags of aspect and opinion terms are exported. The pairs of
terms are not, because their number depends on what the tags say; nor is the linear companion, which reads characters
and not tokens: the logits are those of a text of which it knows no word. What that costs is measured.
"""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from opinionwatch.models.artefact import Artefact, load
from opinionwatch.models.calibrate import OTHER, Calibration
from opinionwatch.models.compare import compare
from opinionwatch.models.compress import TEXTS_PER_BATCH, Compressed, bytes_of, cpu_s
from opinionwatch.models.manifest import CARD, TOKENIZER
from opinionwatch.models.network import Network
from opinionwatch.models.neural import NeuralScorer
from opinionwatch.models.onnx_int8 import INPUTS, to_int8
from opinionwatch.models.onnx_read import MODEL, OUTPUTS, OnnxScorer, runtime
from opinionwatch.models.onnx_readme import readme
from opinionwatch.models.reach import sample
from opinionwatch.pipeline.errors import SettingsError

OPSET = 20
README = "README.md"


class Likeness(NamedTuple):
    """The exported file beside the network it was made of, which runs in 32 bits, on sentences."""

    sentences: int
    largest: float
    """Difference of any sentiment or tag logit."""
    flips: int
    """Sentences whose label differs."""


class Exported(NamedTuple):
    """How like the network the file is, and what it costs beside the artefact as the scorer runs it."""

    likeness: Likeness
    cost: Compressed


class Graph(nn.Module):
    """What is exported: token ids and mask (B, L) to sentiment logits (B, 3) and tag logits (B, L, 3) twice."""

    def __init__(self, stored: Artefact) -> None:
        super().__init__()
        self.model = stored.model
        self._companion = stored.companion

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """In the order of OUTPUTS."""
        out = self.model(input_ids, attention_mask)
        mood = out.sentiment
        if self._companion is not None:
            mood = self._companion.mix(mood, torch.zeros_like(mood))
        return mood, out.aspect_tags, out.opinion_tags


def export(
    artefact: Path,
    out: Path,
    labelled: Sequence[Path] = (),
    *,
    int8: bool = False,
    limit: int | None = None,
    sentences: Sequence[str] = (),
) -> Exported:
    """Leave the exported model in `out`, read it back by ONNX Runtime, and measure it beside the artefact.

    On `sentences` (the project's written ones if none are given) it is calibrated for `int8`, and compared with the
    network; on the `labelled` files what is lost is counted. Raises SettingsError without the extra `onnx`, for an
    architecture that cannot be exported, or where `out` holds something else.
    """
    runtime()
    stored = load(artefact)
    if stored.config.body.architecture != "encoder":
        raise SettingsError(
            f"model export is for pretrained encoders; {artefact} is a {stored.config.body.architecture}"
        )
    if out.exists() and (foreign := {each.name for each in out.iterdir()} - {MODEL, TOKENIZER, README, CARD}):
        raise SettingsError(f"{out} holds '{min(foreign)}': give --out a new folder")
    graph = Graph(stored).eval()
    out.mkdir(parents=True, exist_ok=True)
    texts = [*sentences] or sample()
    _write(graph, stored, out / MODEL)
    if int8:
        to_int8(out / MODEL, stored.tokens, texts)
    stored.tokens.tokenizer.no_truncation()
    stored.tokens.tokenizer.save(str(out / TOKENIZER))
    (out / README).write_text(readme(stored), encoding="utf-8")
    (out / CARD).write_bytes((artefact / CARD).read_bytes())
    exported, scorer = OnnxScorer(out), NeuralScorer(NeuralScorer.Settings(artefact=artefact, device="cpu"))
    likeness = _alike(graph, exported, texts)
    quality = compare(scorer, exported, labelled, limit=limit, flips=0) if labelled else None
    spent = cpu_s([scorer, exported], texts)
    cost = Compressed(stored.version, bytes_of(artefact), bytes_of(out), spent[0], spent[1], quality)
    return Exported(likeness, cost)


def _write(graph: Graph, stored: Artefact, path: Path) -> None:
    # Two texts of five tokens: a size of one would be taken for a constant.
    ids = torch.full((2, 5), stored.tokens.unknown)
    sizes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens")}
    same = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    # Otherwise it remarks on every operator of torchvision, which nobody has here.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with torch.inference_mode():
        program = torch.onnx.export(
            graph,
            (ids, torch.ones_like(ids)),
            input_names=[*INPUTS],
            output_names=[*OUTPUTS],
            dynamic_shapes=(sizes, same),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise SettingsError("this PyTorch makes no ONNX program; give it 2.10 or newer")
    program.model.metadata_props.update(_about(stored))
    program.save(path, external_data=False)


def _about(stored: Artefact) -> dict[str, str]:
    """What a reader of the file must know, by name."""
    calibrations = {OTHER: Calibration(), **stored.config.calibration}
    return {
        "version": stored.version,
        "labels": json.dumps(stored.config.labels),
        "max_tokens": str(stored.config.body.max_tokens),
        "pad": str(stored.tokens.pad),
        "calibration": json.dumps(
            {lang: own.model_dump(include={"temperature", "unsure_below"}) for lang, own in calibrations.items()}
        ),
    }


def _alike(graph: Graph, exported: OnnxScorer, texts: Sequence[str]) -> Likeness:
    network = Network(graph.model, exported.tokens, torch.device("cpu"), torch.float32)
    largest, flips = 0.0, 0
    for at in range(0, len(texts), TEXTS_PER_BATCH):
        encoded = exported.tokens.encode(texts[at : at + TEXTS_PER_BATCH])
        ids, mask, _ = network.padded(max(len(each.ids) for each in encoded), encoded)
        with torch.inference_mode():
            plain = [part.numpy() for part in graph(ids, mask)]
        found = exported.run(ids.numpy(), mask.numpy())
        real = mask.numpy() == 1
        apart = [
            plain[0] - found[0],
            *(one[real] - other[real] for one, other in zip(plain[1:], found[1:], strict=True)),
        ]
        largest = max(largest, *(float(np.abs(part).max()) for part in apart))
        flips += int((plain[0].argmax(1) != found[0].argmax(1)).sum())
    return Likeness(len(texts), largest, flips)
