"""How far the inputs of a body's products reach, measured on the project's own written sentences.

That is the calibration of static quantisation. It takes a second or two when a scorer with `precision: int8` starts,
and so serves any artefact, also one that was trained before there were 8 bits.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from opinionwatch.models.attention import equal
from opinionwatch.models.batcher import packs
from opinionwatch.models.examples import Example
from opinionwatch.models.kernels import Block, Product, Reach
from opinionwatch.models.marks import read_written
from opinionwatch.models.packed import PackedBody, Shape
from opinionwatch.models.tokens import TextTokens
from opinionwatch.models.ways import Layer, Products, Ways

WRITTEN = Path(__file__).parent / "written"
TEXTS, TOKENS = 240, 2048
CPU = torch.device("cpu")


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


def reaches(shape: Shape, weights: Mapping[str, Tensor], tokens: TextTokens, texts: Sequence[str]) -> list[Reach]:
    """The reach of what goes into each of the four products of a layer, from the bottom layer up, in 32 bits."""
    seen: list[_Seen] = []

    def make(at: int, layer: Layer) -> Products:  # noqa: ARG001, all makers are called alike
        joint, output, down = (_Seen(Product(*each, torch.float32)) for each in (layer.joint, layer.output, layer.down))
        up = _Seen(Product(*layer.up, torch.float32, "gelu"))
        seen.extend((joint, output, up, down))
        return Products(joint, output, Block(up, down))

    body = PackedBody(shape, weights, Ways(CPU, make, equal()))
    encoded = [each.ids for each in tokens.encode(texts)]
    with torch.inference_mode():
        for group in packs([len(ids) for ids in encoded], TOKENS):
            rows = [encoded[at] for at in group.indices]
            body.packed(torch.tensor([number for ids in rows for number in ids]), [len(ids) for ids in rows])
    return [each.reach for each in seen]


class _Seen:
    """A product that remembers how far its inputs reach."""

    def __init__(self, product: Callable[[Tensor], Tensor]) -> None:
        self._product = product
        self._reaches: list[Reach] = []

    def __call__(self, rows: Tensor) -> Tensor:
        self._reaches.append(Reach(rows.amin(0), rows.amax(0)))
        return self._product(rows)

    @property
    def reach(self) -> Reach:
        """Of all passes."""
        lows, highs = zip(*self._reaches, strict=True)
        return Reach(torch.stack(lows).amin(0), torch.stack(highs).amax(0))
