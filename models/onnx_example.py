"""Reads a text with the files of an export, and nothing of the program that wrote them.

    pip install onnxruntime tokenizers safetensors numpy
    python example.py "The battery is awful" en battery
    python example.py "味道很好，服务差" zh 服务

The second word is the language, after it may come a name in the text; what it says is printed as JSON. The README
beside it says what each input and output is.
"""

import json
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession
from safetensors.numpy import load_file
from tokenizers import Tokenizer

Span = tuple[int, int]
Numbers = NDArray[np.float64]
WORD = 2**64 - 1


class Model:
    """An export, loaded."""

    def __init__(self, folder: Path) -> None:
        self._whole, self._pairs = (_session(folder / name) for name in ("model.onnx", "pairs.onnx"))
        self._targets = _session(folder / "targets.onnx") if (folder / "targets.onnx").exists() else None
        about = self._whole.get_modelmeta().custom_metadata_map
        self._labels, self._calibration = json.loads(about["labels"]), json.loads(about["calibration"])
        self._decoding, self._unknown = json.loads(about["decoding"]), int(about["unknown"])
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(int(about["max_tokens"]))
        added = self._tokenizer.get_added_tokens_decoder().items()
        self._special = {number for number, token in added if token.special}
        self._companion = Companion(folder, about["companion"]) if "companion" in about else None

    def read(self, text: str, lang: str, name: str = "") -> dict[str, object]:
        """Sentiment of a text, its opinions, and with a name what it says of that."""
        encoded = self._tokenizer.encode(text)
        marks = zip(encoded.ids, encoded.special_tokens_mask, strict=True)
        ids = [self._unknown if number in self._special and not mask else number for number, mask in marks]
        places = _offsets(encoded.offsets)
        tokens = np.array([ids], dtype=np.int64)
        sentiment, aspects, opinions, hidden = self._whole.run(
            ["sentiment", "aspect_tags", "opinion_tags", "hidden"],
            {"input_ids": tokens, "attention_mask": np.ones_like(tokens)},
        )
        logits = sentiment[0].astype(np.float64)
        if self._companion:
            logits += self._companion.logits(text, ids)
        said: dict[str, object] = {"sentiment": self._told(logits, lang)}
        said["opinions"] = self._opinions(text, aspects[0], opinions[0], hidden, places)
        if name and self._targets:
            where = [_tokens((at, at + len(name)), places) for at in _places(name, text)]
            spans = [(0, *found) for found in dict.fromkeys(where) if found is not None]
            if spans:
                [added] = self._targets.run(["added"], {"hidden": hidden, "spans": np.array(spans, dtype=np.int64)})
                logits = logits + added.mean(0)
            said["toward"] = self._told(logits, lang)
        return said

    def _told(self, logits: Numbers, lang: str) -> dict[str, object]:
        own = self._calibration.get(lang, self._calibration["other"])
        chances = _softmax(logits / own["temperature"])
        label = self._labels[int(chances.argmax())]
        return {
            "label": label,
            "chances": chances.round(4).tolist(),
            "unsure": bool(chances.max() < own["unsure_below"]),
        }

    def _opinions(
        self, text: str, aspect_tags: Numbers, opinion_tags: Numbers, hidden: Numbers, places: Sequence[Span]
    ) -> list[list[object]]:
        """Aspect (None: only implied), opinion, polarity, its chance. The first and the last token are no term."""
        less = np.array([self._decoding["term_bias"], 0, 0])
        aspects, opinions = (_terms((tags - less).argmax(-1)[1:-1].tolist()) for tags in (aspect_tags, opinion_tags))
        if not opinions:
            return []
        pairs = [(aspect, opinion) for opinion in range(len(opinions)) for aspect in range(-1, len(aspects))]
        given = {
            "hidden": hidden,
            "aspects": np.array([(0, *span) for span in aspects], dtype=np.int64).reshape(-1, 3),
            "opinions": np.array([(0, *span) for span in opinions], dtype=np.int64),
            "pairs": np.array(pairs, dtype=np.int64),
        }
        [links] = self._pairs.run(["links"], given)
        chances, plain = _softmax(links.astype(np.float64)), links.argmax(-1)
        ready = (links - np.array([self._decoding["link_bias"], 0, 0, 0])).argmax(-1)
        found: list[list[object]] = []
        for opinion, (first, last) in enumerate(opinions):
            own = [at for at, pair in enumerate(pairs) if pair[1] == opinion]
            linked = [at for at in own if pairs[at][0] >= 0 and plain[at]]
            # Linked to no aspect, it goes to the likeliest, or to none that is named, unless `no link` is likeliest.
            for at in linked or sorted((at for at in own if ready[at]), key=lambda at: -chances[at][ready[at]])[:1]:
                aspect = None if pairs[at][0] < 0 else _text(text, *aspects[pairs[at][0]], places)
                term, chance = _text(text, first, last, places), round(float(chances[at][ready[at]]), 4)
                if term and aspect != "":
                    found.append([aspect, term, self._labels[ready[at] - 1], chance])
        return found


class Companion:
    """The linear model of hashed n-grams beside the encoder."""

    def __init__(self, folder: Path, about: str) -> None:
        told = json.loads(about)
        self._factor, self._ngrams, self._domains = told["table"], told["ngrams"], len(told["domains"])
        stored = load_file(folder / "companion.safetensors")
        self._table, self._scales, self._bias = (
            stored[f"companion.{name}"] for name in ("table", "table.scale", "bias")
        )

    def logits(self, text: str, ids: Sequence[int]) -> Numbers:
        """What is added: the weights of a text's features, summed, over the root of their number."""
        numbers, count = _features(text, ids, self._ngrams), self._domains
        sums = self._table[:, numbers].astype(np.float64).sum(1) * self._scales[:, 0]
        sums = sums / max(1, len(numbers)) ** 0.5 + self._bias
        shared, gate, domains = sums[:3], sums[3 : 3 + count], sums[3 + count :].reshape(count, 3)
        mixed: Numbers = self._factor * (shared + _softmax(gate) @ domains if count else shared)
        return mixed


def _features(text: str, ids: Sequence[int], ngrams: dict[str, int]) -> list[int]:
    """Distinct n-grams of characters and of tokens, hashed."""
    longest, bits = ngrams["longest"], ngrams["bits"]
    plain = unicodedata.normalize("NFKC", text[:longest]).lower()[:longest]
    codes = [ord(each) for each in f"\n{plain}\n"]
    return sorted({*_hashed(codes, ngrams["characters"], 1000, bits), *_hashed(ids, ngrams["pieces"], 2000, bits)})


def _hashed(codes: Sequence[int], longest: int, salt: int, bits: int) -> Iterator[int]:
    for begin in range(len(codes)):
        rolling = 0
        for n, code in enumerate(codes[begin : begin + longest], start=1):
            rolling = (rolling * 0x9E3779B97F4A7C15 + code + 1) & WORD
            mixed = (rolling + salt + n) & WORD
            for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
                mixed = ((mixed ^ (mixed >> shift)) * factor) & WORD
            yield (mixed ^ (mixed >> 31)) >> (64 - bits)


def _terms(tags: Sequence[int]) -> list[Span]:
    """First and last token of each term, the text's start counted: 0 is outside, 1 begins a term, 2 goes on."""
    found: list[Span] = []
    for at, tag in enumerate(tags, start=1):
        if tag == 1 or (tag == 2 and not (found and found[-1][1] == at - 1)):
            found.append((at, at))
        elif tag == 2:
            found[-1] = (found[-1][0], at)
    return found


def _offsets(told: Sequence[Span]) -> list[Span]:
    """The characters of each token. A lone start of a word claims the first one of the next token, and gets none."""
    following = [start for start, _ in told[1:]] + [-1]
    return [(0, 0) if start == after else (start, end) for (start, end), after in zip(told, following, strict=True)]


def _tokens(span: Span, places: Sequence[Span]) -> Span | None:
    touched = [at for at, (start, end) in enumerate(places) if start < span[1] and span[0] < end and start < end]
    return (touched[0], touched[-1]) if touched else None


def _text(text: str, first: int, last: int, places: Sequence[Span]) -> str:
    return text[places[first][0] : places[last][1]].strip()


def _places(name: str, text: str) -> Iterator[int]:
    at = text.find(name)
    while at >= 0:
        yield at
        at = text.find(name, at + len(name))


def _softmax(logits: Numbers) -> Numbers:
    sizes: Numbers = np.exp(logits - logits.max(-1, keepdims=True))
    chances: Numbers = sizes / sizes.sum(-1, keepdims=True)
    return chances


def _session(path: Path) -> InferenceSession:
    return InferenceSession(str(path), providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    said = Model(Path(__file__).parent).read(*sys.argv[1:4])
    print(json.dumps(said, ensure_ascii=False))  # noqa: T201, the program's answer
