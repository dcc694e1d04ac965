"""Reads an export with ONNX Runtime: its graphs in the place of the network, everything else as the scorer has it.

So the files are judged by the port of a scorer: sentiment, triplets, sentiment towards names. How another program reads
them is `onnx_example.py`, which is part of every export.
"""

import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

import torch
from pydantic import TypeAdapter
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from opinionwatch.models.calibrate import Calibration, for_lang
from opinionwatch.models.companion import Companion, Kept, Mixing
from opinionwatch.models.decode import Decoding
from opinionwatch.models.encoder import Encoded, Encoder
from opinionwatch.models.heads import SpanBatch
from opinionwatch.models.manifest import TOKENIZER
from opinionwatch.models.network import Network
from opinionwatch.models.neural import calibrated
from opinionwatch.models.onnx_int8 import INPUTS
from opinionwatch.models.tokens import TextTokens
from opinionwatch.pipeline.contracts import Reading
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.ports import Passage

MODEL, PAIRS, TARGETS, COMPANION = "model.onnx", "pairs.onnx", "targets.onnx", "companion.safetensors"
OUTPUTS = Encoded._fields
"""Sentiment logits (B, 3), tag logits (B, L, 3) of aspect terms and of opinion terms, states (B, L, H)."""
PAIRS_INPUTS, LINKED = ("hidden", "aspects", "opinions", "pairs"), ("links",)
TARGETS_INPUTS, TOWARD = ("hidden", "spans"), ("added",)
BOUND = 1e-3
"""How far a logit of any head may be from the network's, in 32 bits."""


def runtime() -> ModuleType:
    """ONNX Runtime. Raises SettingsError when it, or what makes the files, is not installed."""
    try:
        for name in ("onnx", "onnxscript"):
            import_module(name)
        return import_module("onnxruntime")
    except ImportError as error:
        raise SettingsError(f"model export needs {error.name}: pip install 'opinionwatch[onnx]'") from error


class _Graph:
    """One file, on one thread of the CPU."""

    def __init__(self, path: Path, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        onnx = runtime()
        options = onnx.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnx.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._inputs, self._outputs = inputs, [*outputs]

    @property
    def about(self) -> dict[str, str]:
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def __call__(self, *given: Tensor) -> list[Tensor]:
        arrays = {name: tensor.numpy() for name, tensor in zip(self._inputs, given, strict=True)}
        return [torch.from_numpy(each) for each in self._session.run(self._outputs, arrays)]


class OnnxEncoder(Encoder):
    """An encoder whose pass and heads are the graphs of an export."""

    def __init__(self, folder: Path) -> None:
        nn.Module.__init__(self)
        self.body, self.targets = nn.Identity(), None
        self._whole = _Graph(folder / MODEL, INPUTS, OUTPUTS)
        self._pairs = _Graph(folder / PAIRS, PAIRS_INPUTS, LINKED)
        named = (folder / TARGETS).exists()
        self._toward = _Graph(folder / TARGETS, TARGETS_INPUTS, TOWARD) if named else None

    @property
    def about(self) -> dict[str, str]:
        """The metadata of the export."""
        return self._whole.about

    @property
    def tells_targets(self) -> bool:
        """Whether the export has the graph for names."""
        return self._toward is not None

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Encoded:
        """One padded batch (B, L)."""
        return Encoded(*self._whole(input_ids, attention_mask))

    def pairs(self, encoded: Encoded, aspects: SpanBatch, opinions: SpanBatch, pairs: Tensor) -> Tensor:
        """Logits (P, 4), as the network gives them."""
        [links] = self._pairs(encoded.hidden, torch.stack(aspects, 1), torch.stack(opinions, 1), pairs)
        return links

    def toward(self, encoded: Encoded, spans: SpanBatch) -> Tensor:
        """What each of the spans adds to the sentiment logits of its text (n, 3)."""
        if self._toward is None:
            return encoded.sentiment.new_zeros(len(spans.row), 3)
        [added] = self._toward(encoded.hidden, torch.stack(spans, 1))
        return added


class OnnxScorer:
    """What an export says of texts, on one thread of the CPU."""

    def __init__(self, folder: Path) -> None:
        """Raises SettingsError without the extra `onnx`."""
        model = OnnxEncoder(folder)
        about = model.about
        self.version = f"{about['version']}-onnx"
        self._calibrations = TypeAdapter(dict[str, Calibration]).validate_python(json.loads(about["calibration"]))
        self.network = Network(
            model,
            TextTokens(Tokenizer.from_file(str(folder / TOKENIZER)), int(about["max_tokens"])),
            torch.device("cpu"),
            torch.float32,
            decoding=Decoding.model_validate_json(about["decoding"]),
            companion=_companion(folder, about),
        )

    def score(self, passages: Sequence[Passage]) -> list[Reading]:
        """One reading a passage, in order, calibrated for its language."""
        raws = self.network.read([passage.text for passage in passages], [passage.targets for passage in passages])
        return [
            calibrated(raw, passage.text, for_lang(self._calibrations, passage.lang))
            for raw, passage in zip(raws, passages, strict=True)
        ]


def _companion(folder: Path, about: dict[str, str]) -> Companion | None:
    if "companion" not in about:
        return None
    return Kept(Mixing.model_validate_json(about["companion"]), load_file(folder / COMPANION))
