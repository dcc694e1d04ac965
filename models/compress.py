"""`opinionwatch compress`: a smaller artefact of a trained one, and what was gained and lost.

Each step can be taken alone: fewer layers (the top ones go: Sajjad et al., On the Effect of Dropping Layers of
Pre-trained Transformer Models, 2023), fewer attention heads, a smaller vocabulary. What is lost can be won back by
training on: `opinionwatch train --backbone OUT/artefact`.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from opinionwatch.models.artefact import Artefact, load, save
from opinionwatch.models.compare import Comparison, compare
from opinionwatch.models.encoder import Encoder
from opinionwatch.models.evaluate_read import read_texts
from opinionwatch.models.network import Network
from opinionwatch.models.neural import NeuralScorer
from opinionwatch.models.prune import importance, keep_heads
from opinionwatch.models.tokens import TextTokens
from opinionwatch.models.trim import Trimmed, rows_of, trim
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.fold import fold
from opinionwatch.pipeline.ports import Passage, Scorer

TEXTS_PER_BATCH = 32
FEWEST_TEXTS = 32
_NAMED = ("pad_token_id", "bos_token_id", "eos_token_id")
"""Where the shape of a body names pieces."""


class Plan(NamedTuple):
    """What to take away; None leaves a part as it is."""

    layers: int | None = None
    heads: int | None = None
    vocabulary: bool = False


class Compressed(NamedTuple):
    """Both artefacts: bytes of the folder, CPU seconds a thousand texts, and how well they read labelled files."""

    version: str
    bytes_before: int
    bytes_after: int
    cpu_s_before: float
    cpu_s_after: float
    quality: Comparison | None


def compress(
    artefact: Path, out: Path, plan: Plan, texts: Sequence[str], labelled: Sequence[Path], *, limit: int | None = None
) -> Compressed:
    """Leave the smaller artefact in `out`; `texts` say which heads and pieces matter, `labelled` what is lost.

    Raises SettingsError where a part cannot be taken away, or when there are too few texts to say what matters.
    """
    if out.resolve() == artefact.resolve():
        raise SettingsError(f"--out {out} is the artefact itself, which is not to be changed: name another folder")
    stored = load(artefact)
    if stored.config.body.architecture != "encoder":
        raise SettingsError(f"compress is for pretrained encoders; {artefact} is a {stored.config.body.architecture}")
    if (plan.heads is not None or plan.vocabulary) and len(texts) < FEWEST_TEXTS:
        raise SettingsError(f"{len(texts)} texts are too few to tell what matters; give at least {FEWEST_TEXTS}")
    body, model, tokenizer = stored.config.body, stored.model.eval(), stored.tokens.tokenizer
    if plan.layers is not None:
        model = _shallower(stored, plan.layers)
        body = body.model_copy(update={"layers": plan.layers})
    if plan.heads is not None:
        weights = importance(model.body, lambda: _logits(model, stored.tokens, texts))
        if plan.heads >= min(map(len, weights)):
            raise SettingsError(f"--heads {plan.heads}: a layer has {min(map(len, weights))} already")
        keep_heads(model.body, [each.topk(plan.heads).indices.tolist() for each in weights])
        body = body.model_copy(update={"heads": plan.heads})
    backbone = model.shape()
    if plan.vocabulary:
        tokenizer, kept = _fewer_pieces(stored, texts)
        table = model.body.get_input_embeddings()  # type: ignore[operator]  # a PreTrainedModel
        table.weight = nn.Parameter(rows_of(table.weight.detach(), kept))
        named = {name: backbone.get(name) for name in _NAMED}
        backbone |= {name: kept.index(old) for name, old in named.items() if isinstance(old, int) and old in kept}
        backbone["vocab_size"] = len(kept)
    config = stored.config.model_copy(update={"body": body, "backbone": backbone})
    version = save(out, config, tokenizer, model, _card(artefact, plan), stored.companion)
    both = [NeuralScorer(NeuralScorer.Settings(artefact=folder)) for folder in (artefact, out)]
    quality = compare(both[0], both[1], labelled, limit=limit) if labelled else None
    spent = cpu_s(both, texts)
    return Compressed(version, bytes_of(artefact), bytes_of(out), spent[0], spent[1], quality)


def texts_of(files: Sequence[Path], limit: int) -> list[str]:
    """The texts of the first `limit` rows of each file, as the pipeline would give them to a scorer."""
    return [fold(text).text for file in files for text in read_texts(file, limit)]


def _shallower(stored: Artefact, layers: int) -> Encoder:
    """The same network with its lowest layers only."""
    own = int(str(stored.config.backbone["num_hidden_layers"]))
    if layers >= own:
        raise SettingsError(f"--layers {layers}: it has {own} already")
    body = stored.config.body.model_copy(update={"layers": layers})
    fresh = Encoder.from_config(stored.config.backbone, body)
    weights = stored.model.state_dict()
    fresh.load_state_dict({name: weights[name] for name in fresh.state_dict()})
    return fresh.eval()


def _fewer_pieces(stored: Artefact, texts: Sequence[str]) -> Trimmed:
    if stored.companion is not None and stored.companion.mixing.ngrams.pieces:
        raise SettingsError(
            "--vocabulary gives word pieces new numbers, by which the linear companion knows them: compress an "
            "artefact without one, then give it one with `opinionwatch companion`"
        )
    return trim(stored.tokens, texts)


def _logits(model: Encoder, tokens: TextTokens, texts: Sequence[str]) -> Iterator[Tensor]:
    network = Network(model, tokens, torch.device("cpu"), torch.float32)
    for at in range(0, len(texts), TEXTS_PER_BATCH):
        encoded = tokens.encode(texts[at : at + TEXTS_PER_BATCH])
        ids, mask, _ = network.padded(max(len(each.ids) for each in encoded), encoded)
        yield model(ids, mask).sentiment


def cpu_s(scorers: Sequence[Scorer], texts: Sequence[str]) -> list[float]:
    """CPU seconds a thousand texts of each, in turns, so that a busy machine is busy for both."""
    passages = [Passage(text, "und") for text in dict.fromkeys(texts)]
    spent = [0.0] * len(scorers)
    for at in range(0, len(passages), 256):
        for place, scorer in enumerate(scorers):
            start = time.process_time()
            scorer.score(passages[at : at + 256])
            spent[place] += time.process_time() - start
    return [1000 * each / max(1, len(passages)) for each in spent]


def bytes_of(folder: Path) -> int:
    """The size of a folder's files."""
    return sum(path.stat().st_size for path in folder.iterdir())


def _card(artefact: Path, plan: Plan) -> str:
    parts = [
        *([f"{plan.layers} layers"] if plan.layers is not None else []),
        *([f"{plan.heads} attention heads a layer"] if plan.heads is not None else []),
        *(["the pieces that its texts use"] if plan.vocabulary else []),
    ]
    old = (artefact / "card.md").read_text(encoding="utf-8")
    note = f"> Compressed to {', '.join(parts)}; the figures below are those of before.\n\n"
    return note + old
