"""The README of an export: what is in the folder, and what every input and output is; and the program beside it."""

from importlib.resources import files

from opinionwatch.models.artefact import Artefact
from opinionwatch.models.onnx_read import BOUND

EXAMPLE = "example.py"
_TEXT = """\
# {version}, as ONNX

`python example.py "The battery is awful" en battery` reads a text with these files alone (`pip install onnxruntime
tokenizers safetensors numpy`) and prints its sentiment, its opinions{and_names}. The same steps in another language do
the same. `card.md` says what the model was trained on, under which terms, and what it is for.

All ids are int64, all other numbers float32. One batch holds `batch` texts, filled up to `tokens` each.

## model.onnx

| | | |
|---|---|---|
| in | `input_ids`, `attention_mask` (batch, tokens) | by `tokenizer.json`; the mask is 0 where a text is filled up |
| out | `sentiment` (batch, 3) | logits of {labels} |
| out | `aspect_tags`, `opinion_tags` (batch, tokens, 3) | logits of outside, begin, inside of a term |
| out | `hidden` (batch, tokens, {hidden}) | what the other graphs take; ask for it only where you run them |

Tags of the first and the last token of a text mean nothing. The metadata hold `version`, `labels`, `max_tokens` (longer
texts are cut), `pad` (the id that fills up), `unknown` (the id to read in the place of `<pad>`, `</s>` and their like
where people type them), `calibration` (by language, `other` for the rest: the `temperature` that sentiment logits are
divided by before the softmax, and the top probability below which opinionwatch calls a text unsure, `unsure_below`) and
`decoding` (in logits: `term_bias` is taken off `outside` before the likeliest tag is taken, `link_bias` off `no
link`){and_companion}.

## pairs.onnx

Joins aspect and opinion terms. A term is a row of the batch, its first and its last token.

| | | |
|---|---|---|
| in | `hidden` | as `model.onnx` gave it |
| in | `aspects` (a, 3), `opinions` (o, 3) | terms; there may be no aspect |
| in | `pairs` (p, 2) | an index into `aspects`, or -1 for an aspect that is only implied, and one into `opinions` |
| out | `links` (p, 4) | logits of no link, {labels} |

An opinion goes with every aspect where `no link` is not the likeliest. Where there is none it goes with the one aspect,
or the implied one, whose likeliest class after `link_bias` has the highest probability, if that class is not `no link`.
{targets}{companion}
## How like the original it is

In 32 bits every logit is within {bound} of the network's. With `--int8` the products of `model.onnx` have 8 bits, and
what that costs is what the export printed. What opinionwatch does besides is to fold texts first (NFKC, invisible
characters).
"""
_TARGETS = """
## targets.onnx

What a text says of somebody or something that is named in it.

| | | |
|---|---|---|
| in | `hidden` | as `model.onnx` gave it |
| in | `spans` (s, 3) | where names stand: a row of the batch, the first and the last token |
| out | `added` (s, 3) | logits to be added to the `sentiment` of the text |

Of somebody who is named several times in a text it is the mean.
"""
_COMPANION = """
## companion.safetensors

A linear model of hashed n-grams whose logits are added to the encoder's: `sentiment` + `table` × its logits, then the
temperature. `table` and the sizes of the n-grams are in `companion` of the metadata. Weights: `companion.table`, int8
(columns, features), of which each column is multiplied by `companion.table.scale`, and `companion.bias`. Columns are 3
logits for every text, one of a gate for each domain, and 3 for each domain; `Companion` of `example.py` has
the sums and the hash. Left out, `sentiment` is that of a text of which the companion knows no word.
"""


def readme(stored: Artefact) -> str:
    """The text for this artefact."""
    named, accompanied = stored.model.tells_targets, stored.companion is not None
    return _TEXT.format(
        version=stored.version,
        labels=", ".join(stored.config.labels),
        bound=BOUND,
        hidden=stored.model.sentiment.classify.in_features,
        and_names=", and what it says of a name" if named else "",
        and_companion=", and `companion`, see below" if accompanied else "",
        targets=_TARGETS if named else "",
        companion=_COMPANION if accompanied else "",
    )


def program() -> str:
    """The text of the program that is part of every export."""
    return files("opinionwatch.models").joinpath("onnx_example.py").read_text(encoding="utf-8")
