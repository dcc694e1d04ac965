"""A trained encoder and its tokenizer on a device: texts in, raw logits and triplets in characters out."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch

from opinionwatch.models.batcher import Group, groups, packs
from opinionwatch.models.companion import Companion
from opinionwatch.models.decode import Decoding, Triplet, triplets
from opinionwatch.models.encoder import Encoder
from opinionwatch.models.examples import Span
from opinionwatch.models.packed import PackedBody
from opinionwatch.models.targets import Logits, Named, added, named, times
from opinionwatch.models.tokens import TextTokens, Tokens, character_span
from opinionwatch.pipeline.errors import RejectedError

TOKENS_PER_BATCH = 2048


class Term(NamedTuple):
    """A triplet in characters; polarity is an index into LABELS."""

    aspect: Span | None
    opinion: Span
    polarity: int
    confidence: float


class Raw(NamedTuple):
    """Uncalibrated sentiment logits of one text, its triplets, and what is added to the logits for each target."""

    logits: Logits
    terms: tuple[Term, ...]
    added: tuple[Logits, ...] = ()


class _Text(NamedTuple):
    """A text in tokens, and where these name its targets."""

    text: str
    tokens: Tokens
    named: tuple[Named, ...]


class Network:
    """Runs the encoder without gradients in batches of about `tokens_per_batch` padded tokens.

    The body runs in `dtype`; the heads always in 32 bits, which costs nothing and keeps probabilities fine-grained.
    """

    def __init__(
        self,
        model: Encoder,
        tokens: TextTokens,
        device: torch.device,
        dtype: torch.dtype,
        tokens_per_batch: int = TOKENS_PER_BATCH,
        decoding: Decoding | None = None,
        companion: Companion | None = None,
    ) -> None:
        self.model = model.eval().to(device)
        torch.nn.Module.to(self.model.body, dtype if model.sixteen_bits else torch.float32)
        self.tokens = tokens
        self.device = device
        self.tokens_per_batch = tokens_per_batch
        self.decoding = decoding or Decoding()
        self.companion = companion

    def read(self, texts: Sequence[str], targets: Sequence[Sequence[Sequence[Span]]] | None = None) -> list[Raw]:
        """One result a text, in order; `targets` are those of each text, as the places in it that name them. A model
        without a head for them says nothing of targets.

        Raises RejectedError when a text alone does not fit into memory, or gives no finite number.
        """
        encoded = self.tokens.encode(texts)
        if targets is None or not self.model.tells_targets:
            targets = [()] * len(texts)
        whole = [
            _Text(text, tokens, named(own, tokens.offsets) if own else ())
            for text, tokens, own in zip(texts, encoded, targets, strict=True)
        ]
        found: dict[int, Raw] = {}
        for group in self.groups(encoded):
            raws = self._fitting(group, [whole[at] for at in group.indices])
            found.update(zip(group.indices, raws, strict=True))
        raws = [found[at] for at in range(len(texts))]
        return raws if self.companion is None else _joined(self.companion, texts, encoded, raws)

    def moods(self, texts: Sequence[str]) -> list[Logits]:
        """The uncalibrated sentiment logits alone, in order: what a student learns from."""
        encoded = self.tokens.encode(texts)
        found: dict[int, Logits] = {}
        for group in self.groups(encoded):
            ids, mask, _ = self.padded(group.width, [encoded[at] for at in group.indices])
            with torch.inference_mode():
                logits = self.model(ids, mask).sentiment.cpu().tolist()
            found.update(zip(group.indices, map(tuple, logits), strict=True))
        raws = [Raw(found[at], ()) for at in range(len(texts))]
        return [
            raw.logits for raw in (raws if self.companion is None else _joined(self.companion, texts, encoded, raws))
        ]

    def padded(self, width: int, encoded: list[Tokens]) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
        """Ids and mask on the device, and how long each row is."""
        sizes = [len(tokens.ids) for tokens in encoded]
        ids = torch.tensor([tokens.ids + [self.tokens.pad] * (width - len(tokens.ids)) for tokens in encoded])
        mask = (torch.arange(width) < torch.tensor(sizes).unsqueeze(1)).long()
        return ids.to(self.device), mask.to(self.device), sizes

    def groups(self, encoded: Sequence[Tokens]) -> Iterator[Group]:
        """How texts are cut into passes."""
        cut = packs if isinstance(self.model.body, PackedBody) else groups
        return cut([len(tokens.ids) for tokens in encoded], self.tokens_per_batch)

    def _fitting(self, group: Group, texts: list[_Text]) -> list[Raw]:
        """Read a group; out of memory, read its halves."""
        try:
            return self._read(group.width, texts)
        except torch.OutOfMemoryError as error:
            if len(texts) == 1:
                raise RejectedError("out_of_memory", f"{group.width} tokens") from error
        middle = len(texts) // 2
        left, right = Group(group.indices[:middle], group.width), Group(group.indices[middle:], group.width)
        return self._fitting(left, texts[:middle]) + self._fitting(right, texts[middle:])

    @torch.inference_mode()
    def _read(self, width: int, texts: list[_Text]) -> list[Raw]:
        ids, mask, sizes = self.padded(width, [each.tokens for each in texts])
        out = self.model(ids, mask)
        logits = out.sentiment.cpu()
        if not bool(torch.isfinite(logits).all()):
            raise RejectedError("model_output", "the sentiment logits are not finite numbers")
        found = triplets(self.model, out, sizes, self.decoding)
        toward = added(self.model, out, [each.named for each in texts])
        raws = []
        for row, (text, tokens, _) in enumerate(texts):
            terms = [term for triplet in found[row] if (term := _term(triplet, tokens.offsets, text)) is not None]
            negative, neutral, positive = logits[row].tolist()
            raws.append(Raw((negative, neutral, positive), tuple(terms), toward[row]))
        return raws


def _joined(companion: Companion, texts: Sequence[str], encoded: Sequence[Tokens], raws: list[Raw]) -> list[Raw]:
    """The companion tells of the whole text; `Mixing.toward` is what a change for a target counts beside it."""
    own = companion.read(texts, [tokens.ids for tokens in encoded])
    mixed = companion.mix(torch.tensor([raw.logits for raw in raws]).view(-1, 3), own).tolist()
    share = companion.mixing.toward
    return [
        raw._replace(logits=(low, even, high), added=tuple(times(more, share) for more in raw.added))
        for raw, (low, even, high) in zip(raws, mixed, strict=True)
    ]


def _term(triplet: Triplet, offsets: Sequence[Span], text: str) -> Term | None:
    opinion = character_span(*triplet.opinion, offsets, text)
    aspect = None if triplet.aspect is None else character_span(*triplet.aspect, offsets, text)
    if opinion is None or (triplet.aspect is not None and aspect is None):
        return None
    return Term(aspect, opinion, triplet.polarity, triplet.confidence)
