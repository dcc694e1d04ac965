"""How far the inputs of a body's products reach, measured on the project's own written sentences.

That is the calibration of static quantisation. It takes a second or two when a scorer with `precision: int8` starts,
and so serves any artefact, also one that was trained before there were 8 bits.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import BertModel

from opinionwatch.models.examples import Example
from opinionwatch.models.kernels import Reach
from opinionwatch.models.marks import read_written
from opinionwatch.models.packed import linears
from opinionwatch.models.tokens import TextTokens

WRITTEN = Path(__file__).parent / "written"
TEXTS = 240


def sample(count: int = TEXTS) -> list[str]:
    """Sentences of both languages, evenly from all files.

    >>> len(sample(9))
    9
    """
    rows = [
        each.text
        for file in sorted(WRITTEN.glob("*.tsv"))
        for each in read_written(file.read_text(encoding="utf-8").splitlines(), file.name, file.stem[:2])
        if isinstance(each, Example)
    ]
    return [rows[at * len(rows) // count] for at in range(count)]


def reaches(body: BertModel, tokens: TextTokens, texts: Sequence[str]) -> list[Reach]:
    """The reach of each of `linears(body)`; the body runs in 32 bits, text by text, so that no padding is measured."""
    layers = linears(body)
    with _watched(layers) as seen, torch.inference_mode():
        for each in tokens.encode(texts):
            ids = torch.tensor([each.ids])
            body(input_ids=ids, attention_mask=torch.ones_like(ids))
    return [Reach(*seen[layer]) for layer in layers]


@contextmanager
def _watched(layers: Sequence[nn.Linear]) -> Iterator[dict[nn.Module, tuple[Tensor, Tensor]]]:
    seen: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def look(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        rows = given[0].flatten(0, -2)
        low, high = seen.get(layer, (rows[0], rows[0]))
        seen[layer] = torch.minimum(low, rows.amin(0)), torch.maximum(high, rows.amax(0))

    hooks = [layer.register_forward_pre_hook(look) for layer in layers]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
