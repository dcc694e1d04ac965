"""The README of an exported model: what is in the folder, and a program that runs it without opinionwatch."""

from opinionwatch.models.artefact import Artefact

_TEXT = """\
# {version}, as ONNX

`model.onnx` reads `input_ids` and `attention_mask`, int64 (batch, tokens), and gives float32 logits: `sentiment`
(batch, 3), `aspect_tags` and `opinion_tags` (batch, tokens, 3). The sentiment classes are {labels}; tags
are outside, begin, inside. `tokenizer.json` is for the `tokenizers` library; `card.md` says what the model was trained
on, under which terms, and what it is for.

The metadata of `model.onnx` hold `version`, `labels`, `max_tokens` (longer texts are cut), `pad` (the id that fills
up), and `calibration`: by language, `other` for the rest, the `temperature` that logits are divided by before the
softmax, and the top probability below which opinionwatch calls a text unsure (`unsure_below`).

`pip install onnxruntime tokenizers numpy`, and in this folder:

```python
import json

import numpy as np
from onnxruntime import InferenceSession
from tokenizers import Tokenizer

session = InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
about = session.get_modelmeta().custom_metadata_map
labels, calibration = json.loads(about["labels"]), json.loads(about["calibration"])
tokenizer = Tokenizer.from_file("tokenizer.json")
tokenizer.enable_truncation(int(about["max_tokens"]))
tokenizer.enable_padding(pad_id=int(about["pad"]))

texts = {{"The battery is awful": "en", "服务很好": "zh"}}
encoded = tokenizer.encode_batch(list(texts))
given = {{
    "input_ids": np.array([each.ids for each in encoded], dtype=np.int64),
    "attention_mask": np.array([each.attention_mask for each in encoded], dtype=np.int64),
}}
sentiment, aspect_tags, opinion_tags = session.run(["sentiment", "aspect_tags", "opinion_tags"], given)
for (text, lang), logits in zip(texts.items(), sentiment):
    softened = logits / calibration.get(lang, calibration["other"])["temperature"]
    chances = np.exp(softened - softened.max())
    chances /= chances.sum()
    print(labels[chances.argmax()], chances.round(4).tolist(), text)
```

What opinionwatch does besides: it folds texts first (NFKC, invisible characters), reads `<pad>`, `</s>` and their like
as unknown where people type them, and joins aspect and opinion terms to pairs{companion}.
"""
_COMPANION = """. Beside the network it has a linear
companion of hashed n-grams, which is not part of this file: the logits here are those of a text of which the companion
knows no word, and the temperatures are those of both together"""


def readme(stored: Artefact) -> str:
    """The text for this artefact."""
    return _TEXT.format(
        version=stored.version,
        labels=", ".join(stored.config.labels),
        companion="" if stored.companion is None else _COMPANION,
    )
