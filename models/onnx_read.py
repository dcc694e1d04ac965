"""Reads an exported model with ONNX Runtime: the file is used as others would, and judged by the port of a scorer."""

import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter
from tokenizers import Tokenizer

from opinionwatch.models.batcher import groups
from opinionwatch.models.calibrate import Calibration, for_lang
from opinionwatch.models.manifest import TOKENIZER
from opinionwatch.models.network import TOKENS_PER_BATCH, Raw
from opinionwatch.models.neural import calibrated
from opinionwatch.models.onnx_int8 import INPUTS
from opinionwatch.models.tokens import TextTokens
from opinionwatch.pipeline.contracts import Reading
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.ports import Passage

MODEL = "model.onnx"
OUTPUTS = ("sentiment", "aspect_tags", "opinion_tags")
Numbers = NDArray[np.float32]
Ids = NDArray[np.int64]


class Outputs(NamedTuple):
    """What one run gives: sentiment logits (B, 3), tag logits (B, L, 3) of aspect terms and of opinion terms."""

    sentiment: Numbers
    aspect_tags: Numbers
    opinion_tags: Numbers


def runtime() -> ModuleType:
    """ONNX Runtime. Raises SettingsError when it, or what makes the files, is not installed."""
    try:
        for name in ("onnx", "onnxscript"):
            import_module(name)
        return import_module("onnxruntime")
    except ImportError as error:
        raise SettingsError(f"model export needs {error.name}: pip install 'opinionwatch[onnx]'") from error


class OnnxScorer:
    """The sentiment of an exported model, on one thread of the CPU; no opinions, whose pairs are not exported."""

    def __init__(self, folder: Path) -> None:
        """Raises SettingsError without the extra `onnx`."""
        onnx = runtime()
        options = onnx.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnx.InferenceSession(str(folder / MODEL), options, providers=["CPUExecutionProvider"])
        about = self._session.get_modelmeta().custom_metadata_map
        self.version = f"{about['version']}-onnx"
        self.tokens = TextTokens(Tokenizer.from_file(str(folder / TOKENIZER)), int(about["max_tokens"]))
        self._calibrations = TypeAdapter(dict[str, Calibration]).validate_python(json.loads(about["calibration"]))

    def run(self, ids: Ids, mask: Ids) -> Outputs:
        """One padded batch (B, L)."""
        return Outputs(*self._session.run([*OUTPUTS], dict(zip(INPUTS, (ids, mask), strict=True))))

    def score(self, passages: Sequence[Passage]) -> list[Reading]:
        """One reading a passage, in order, calibrated for its language."""
        encoded = self.tokens.encode([passage.text for passage in passages])
        found: dict[int, Reading] = {}
        for group in groups([len(each.ids) for each in encoded], TOKENS_PER_BATCH):
            ids = np.full((len(group.indices), group.width), self.tokens.pad, dtype=np.int64)
            mask = np.zeros_like(ids)
            for row, at in enumerate(group.indices):
                size = len(encoded[at].ids)
                ids[row, :size], mask[row, :size] = encoded[at].ids, 1
            for at, logits in zip(group.indices, self.run(ids, mask).sentiment.tolist(), strict=True):
                passage = passages[at]
                raw = Raw((logits[0], logits[1], logits[2]), ())
                found[at] = calibrated(raw, passage.text, for_lang(self._calibrations, passage.lang))
        return [found[at] for at in range(len(passages))]
