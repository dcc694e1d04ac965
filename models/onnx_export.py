"""`opinionwatch model export`: a trained encoder as ONNX files, for programs that are not this one.

The folder holds what `onnx_graphs.py` writes: `model.onnx`, in 32 bits or with its products in 8, whose metadata say
what the labels are, how the tokens are made and what the logits are divided by; `pairs.onnx` and, where the model reads
the sentiment towards names, `targets.onnx`; the linear companion's table. Beside them are `tokenizer.json`, the card, a
README, and a program that reads a text with nothing but these files. No pickle is written or read.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from opinionwatch.models.artefact import load
from opinionwatch.models.batches import span_batch
from opinionwatch.models.compare import compare
from opinionwatch.models.compress import TEXTS_PER_BATCH, Compressed, bytes_of, cpu_s
from opinionwatch.models.manifest import CARD, TOKENIZER
from opinionwatch.models.neural import NeuralScorer
from opinionwatch.models.onnx_graphs import Graphs, graphs_of, write
from opinionwatch.models.onnx_int8 import to_int8
from opinionwatch.models.onnx_read import COMPANION, MODEL, PAIRS, TARGETS, OnnxScorer, runtime
from opinionwatch.models.onnx_readme import EXAMPLE, program, readme
from opinionwatch.models.reach import sample
from opinionwatch.pipeline.errors import SettingsError

README = "README.md"
FILES = {MODEL, PAIRS, TARGETS, COMPANION, TOKENIZER, README, EXAMPLE, CARD}
"""What an export may hold."""


class Likeness(NamedTuple):
    """The exported file beside the network it was made of, which runs in 32 bits, on sentences."""

    sentences: int
    largest: float
    """Difference of any logit: of sentiment, tags, pairs, or towards a name."""
    flips: int
    """Sentences whose label differs."""


class Exported(NamedTuple):
    """How like the network the file is, and what it costs beside the artefact as the scorer runs it."""

    likeness: Likeness
    cost: Compressed


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
    if out.exists() and (foreign := {each.name for each in out.iterdir()} - FILES):
        raise SettingsError(f"{out} holds '{min(foreign)}': give --out a new folder")
    out.mkdir(parents=True, exist_ok=True)
    for optional in (TARGETS, COMPANION):
        (out / optional).unlink(missing_ok=True)
    texts = [*sentences] or sample()
    graphs = graphs_of(stored)
    write(graphs, stored, out)
    if int8:
        to_int8(out / MODEL, stored.tokens, texts)
    stored.tokens.tokenizer.no_truncation()
    stored.tokens.tokenizer.save(str(out / TOKENIZER))
    (out / README).write_text(readme(stored), encoding="utf-8")
    (out / EXAMPLE).write_text(program(), encoding="utf-8")
    (out / CARD).write_bytes((artefact / CARD).read_bytes())
    exported, scorer = OnnxScorer(out), NeuralScorer(NeuralScorer.Settings(artefact=artefact, device="cpu"))
    likeness = _alike(graphs, exported, texts)
    quality = compare(scorer, exported, labelled, limit=limit, flips=0) if labelled else None
    spent = cpu_s([scorer, exported], texts)
    cost = Compressed(stored.version, bytes_of(artefact), bytes_of(out), spent[0], spent[1], quality)
    return Exported(likeness, cost)


def _alike(graphs: Graphs, exported: OnnxScorer, texts: Sequence[str]) -> Likeness:
    network, largest, flips = exported.network, 0.0, 0
    for at in range(0, len(texts), TEXTS_PER_BATCH):
        encoded = network.tokens.encode(texts[at : at + TEXTS_PER_BATCH])
        ids, mask, sizes = network.padded(max(len(each.ids) for each in encoded), encoded)
        with torch.inference_mode():
            plain, found = graphs.whole(ids, mask), network.model(ids, mask)
            real = mask == 1
            apart = [one[real] - other[real] for one, other in zip(plain[1:3], found[1:3], strict=True)]
            apart.append(plain.sentiment - found.sentiment)
            # Of every text its first word as an aspect and as a name, and all of its words as an opinion.
            first = span_batch([(row, 1, 1) for row in range(len(sizes))])
            whole = span_batch([(row, 1, max(1, size - 2)) for row, size in enumerate(sizes)])
            links = torch.tensor([(aspect, row) for row in range(len(sizes)) for aspect in (-1, row)])
            stacked = torch.stack(first, 1)
            apart.append(
                graphs.pairs(plain.hidden, stacked, torch.stack(whole, 1), links)
                - network.model.pairs(found, first, whole, links)
            )
            if graphs.toward is not None:
                apart.append(graphs.toward(plain.hidden, stacked) - network.model.toward(found, first))
        largest = max(largest, *(_largest(part) for part in apart))
        flips += int((plain.sentiment.argmax(1) != found.sentiment.argmax(1)).sum())
    return Likeness(len(texts), largest, flips)


def _largest(part: Tensor) -> float:
    return float(part.abs().max())
