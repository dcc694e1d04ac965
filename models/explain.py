"""Why a text is read as it is: how much each word spoke for the label, and whether that is true of the model.

The encoder's part are integrated gradients (Sundararajan, Taly, Yan, Axiomatic Attribution for Deep Networks, ICML
2017), by captum, from a text of padding to the text. The companion's part is exact: what its logit loses without the
word. Faithfulness is a deletion curve (Petsiuk, Das, Saenko, RISE, BMVC 2018): words taken out in the order of what
they are said to weigh must bring the probability down faster than words taken out at random.
"""

import random
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from captum.attr import LayerIntegratedGradients
from torch import Tensor, nn

from opinionwatch.models.batches import span_batch
from opinionwatch.models.calibrate import Calibration
from opinionwatch.models.encoder import input_layer
from opinionwatch.models.examples import LABELS, Span
from opinionwatch.models.network import Network
from opinionwatch.models.targets import Logits, named, plus

STEPS, ROWS_AT_ONCE = 48, 16
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
"""Of the words that are taken out."""
SHUFFLES, SEED = 8, 20261126
_WORD = re.compile(r"[\w'’]", re.UNICODE)
_HAN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")


class Weighed(NamedTuple):
    """A word, or a piece of a text that is written without blanks, and what it adds to the logit of the label."""

    span: Span
    weight: float


class Explanation(NamedTuple):
    """`curve` and `random_curve` are the probability of the label after a share (`shares`) of words is gone."""

    label: str
    probability: float
    words: tuple[Weighed, ...]
    shares: tuple[float, ...]
    curve: tuple[float, ...]
    random_curve: tuple[float, ...]

    @property
    def faithfulness(self) -> float:
        """How much lower the curve lies than the random one, on average; above 0 the words are the right ones."""
        gaps = [other - own for own, other in zip(self.curve[1:], self.random_curve[1:], strict=True)]
        return sum(gaps) / len(gaps)


def explain(network: Network, text: str, calibration: Calibration, places: Sequence[Span] = ()) -> Explanation:
    """Explain the likeliest label of a text, or of what it says of the target that is named at `places`. The body must
    run in 32 bits; a text without words explains nothing.
    """

    def logits(cuts: Sequence[Sequence[Span]]) -> list[Logits]:
        """Of the text, each time without these words."""
        texts = [_without(text, cut) for cut in cuts]
        return _toward(network, texts, [_moved(places, cut) for cut in cuts]) if places else network.moods(texts)

    def chances(cuts: Sequence[Sequence[Span]], target: int) -> list[float]:
        scaled = torch.tensor(logits(cuts), dtype=torch.float64).view(-1, 3) / calibration.temperature
        return [float(chance) for chance in scaled.softmax(-1)[:, target]]

    [whole] = logits([()])
    target = max(range(3), key=whole.__getitem__)
    words = _words(text, _pieces(network, text, target, places))
    taken = [round(share * len(words)) for share in SHARES]

    def curve(order: Sequence[Weighed]) -> list[float]:
        return chances([[word.span for word in order[:count]] for count in taken], target)

    dice = random.Random(SEED)
    shuffles = [curve(dice.sample(words, len(words))) for _ in range(SHUFFLES)]
    return Explanation(
        label=LABELS[target],
        probability=chances([()], target)[0],
        words=tuple(words),
        shares=SHARES,
        curve=tuple(curve(sorted(words, key=lambda word: -word.weight))),
        random_curve=tuple(sum(column) / SHUFFLES for column in zip(*shuffles, strict=True)),
    )


def _toward(network: Network, texts: Sequence[str], places: Sequence[Sequence[Span]]) -> list[Logits]:
    """The logits towards one target, which is named in each text at these places."""
    raws = network.read(texts, [[own] for own in places])
    return [plus(raw.logits, raw.added[0]) if raw.added else raw.logits for raw in raws]


def _pieces(network: Network, text: str, target: int, places: Sequence[Span]) -> list[Weighed]:
    """What each token adds to the logit, tokens without characters left out."""
    [encoded] = network.tokens.encode([text])
    ids = torch.tensor([encoded.ids], device=network.device)
    mask = torch.ones_like(ids)
    empty = torch.full_like(ids, network.tokens.pad)
    # The ends of a text are no words: they stand in the text of padding, too.
    empty[0, 0], empty[0, -1] = ids[0, 0], ids[0, -1]

    mixing = None if network.companion is None else network.companion.mixing
    factor, toward = (1.0, 1.0) if mixing is None else (mixing.encoder, mixing.toward)
    [spans] = named([places], encoded.offsets) if network.model.tells_targets else [()]

    def logit(numbers: Tensor, attended: Tensor) -> Tensor:
        read = network.model(numbers, attended)
        told: Tensor = factor * read.sentiment[:, target]
        if spans:
            rows = span_batch([(row, *span) for row in range(len(numbers)) for span in spans], network.device)
            added = network.model.toward(read, rows).view(len(numbers), len(spans), 3).mean(1)
            told = told + toward * added[:, target]
        return told

    found = _gradients(logit, input_layer(network.model.body), ids, empty, mask)
    own = _companion(network, text, encoded.ids, encoded.offsets, target)
    return [
        Weighed(span, weight + extra)
        for span, weight, extra in zip(encoded.offsets, found, own, strict=True)
        if span[0] < span[1]
    ]


def _gradients(
    logit: Callable[[Tensor, Tensor], Tensor], layer: nn.Module | None, ids: Tensor, empty: Tensor, mask: Tensor
) -> list[float]:
    method = LayerIntegratedGradients(logit, layer)
    # cuDNN has no gradients of a recurrent layer but while it trains.
    with torch.backends.cudnn.flags(enabled=False):
        told = method.attribute(
            ids, baselines=empty, additional_forward_args=(mask,), n_steps=STEPS, internal_batch_size=ROWS_AT_ONCE
        )
    # Of a token that is read by several vectors, one for each n-gram, all of them count.
    weights: list[float] = told.flatten(2).sum(-1)[0].detach().cpu().tolist()
    return weights


def _companion(network: Network, text: str, ids: list[int], offsets: Sequence[Span], target: int) -> list[float]:
    """What the companion's logit loses without the characters and the piece of each token."""
    companion = network.companion
    if companion is None:
        return [0.0] * len(ids)
    texts = [text, *(_without(text, [span]) for span in offsets)]
    shorter = [ids, *(ids[:at] + ids[at + 1 :] for at in range(len(ids)))]
    told = companion.mixing.table * companion.read(texts, shorter)[:, target]
    return [float(told[0] - without) for without in told[1:]]


def _words(text: str, pieces: Sequence[Weighed]) -> list[Weighed]:
    """Pieces of one word are one word; a piece of a script without blanks stands alone, and so does punctuation."""
    words: list[Weighed] = []
    for (start, end), weight in pieces:
        last = words[-1] if words else None
        if last is not None and last.span[1] >= start and _runs_on(text, last.span, start):
            words[-1] = Weighed((last.span[0], max(end, last.span[1])), last.weight + weight)
        else:
            words.append(Weighed((start, end), weight))
    trimmed = [Weighed(_trim(text, span), weight) for span, weight in words]
    return [word for word in trimmed if word.span[0] < word.span[1]]


def _runs_on(text: str, last: Span, start: int) -> bool:
    before, after = text[start - 1 : start], text[start : start + 1]
    joined = _WORD.match(before) and _WORD.match(after) and last[0] < start
    return bool(joined) and not (_HAN.match(before) or _HAN.match(after))


def _trim(text: str, span: Span) -> Span:
    raw = text[slice(*span)]
    start = span[0] + len(raw) - len(raw.lstrip())
    return start, start + len(raw.strip())


def _moved(places: Sequence[Span], cut: Sequence[Span]) -> list[Span]:
    """Where places lie once words that do not overlap are taken out; those that go with them are left out.

    >>> _moved([(4, 7), (8, 12)], [(0, 4), (8, 12)])
    [(0, 3)]
    """

    def left(at: int) -> int:
        return at - sum(min(end, at) - start for start, end in cut if start < at)

    return [(left(start), left(end)) for start, end in places if left(start) < left(end)]


def _without(text: str, spans: Sequence[Span]) -> str:
    left, at = [], 0
    for start, end in sorted(spans):
        left.append(text[at:start])
        at = max(at, end)
    return "".join([*left, text[at:]])
