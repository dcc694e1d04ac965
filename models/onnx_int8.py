"""Static 8 bits for an exported model: the products with weights, their inputs by ranges measured on sentences.

As `precision: int8` of the scorer, but in the file, by ONNX Runtime's own quantisation (QDQ, weights per channel).
Attention, norms and embeddings keep 32 bits, and so do the products that narrow: the heads, and the second of each
feed-forward block, whose inputs reach far (of 240 written sentences the shipped model told 10 otherwise with it in 8
bits, and 1 without).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from opinionwatch.models.tokens import TextTokens

INPUTS = ("input_ids", "attention_mask")
"""In the order in which the network takes them."""


class Sentences:
    """Hands one sentence at a time to the calibration; the runtime wants a class with this method."""

    def __init__(self, tokens: TextTokens, texts: Sequence[str]) -> None:
        self._given = self._inputs(tokens, texts)

    @staticmethod
    def _inputs(tokens: TextTokens, texts: Sequence[str]) -> Iterator[dict[str, NDArray[np.int64]]]:
        for each in tokens.encode(texts):
            ids = np.array([each.ids], dtype=np.int64)
            yield dict(zip(INPUTS, (ids, np.ones_like(ids)), strict=True))

    def get_next(self) -> dict[str, NDArray[np.int64]] | None:
        """The inputs of the next one; None after the last."""
        return next(self._given, None)


def to_int8(path: Path, tokens: TextTokens, texts: Sequence[str]) -> None:
    """Put the quantised model in the place of the one in `path`."""
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with TemporaryDirectory(dir=path.parent) as made:
        ready, narrow = Path(made) / "ready.onnx", Path(made) / "narrow.onnx"
        quant_pre_process(str(path), str(ready), skip_symbolic_shape=True)
        graph = onnx.load(ready).graph
        sizes = {each.name: tuple(each.dims) for each in graph.initializer}
        products = [(node.name, sizes.get(node.input[1], ())) for node in graph.node if node.op_type == "MatMul"]
        quantize_static(
            str(ready),
            str(narrow),
            Sentences(tokens, texts),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["MatMul"],
            nodes_to_exclude=[name for name, size in products if len(size) == 2 and size[1] < size[0]],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True},
        )
        narrow.replace(path)
