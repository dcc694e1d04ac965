"""The linear companion of an encoder: a table of hashed n-grams that knows the words of the trade.

A short encoder has seen most words a few times; a linear model knows a word after one look, and the two err
differently. The table's logits are added to the encoder's with factors learnt on rows that neither was trained on
(stacked generalization, Wolpert, Neural Networks 1992). A text of unknown words gets little from the table: a feature
that was never seen weighs nothing.

What `neutral` means differs between headlines, tweets and stock forums. So beside the weights shared by all there are
some for each domain (Daumé, Frustratingly Easy Domain Adaptation, ACL 2007), and a gate, linear too, that tells from
the same features how likely a text is of each (Jacobs et al., Adaptive Mixtures of Local Experts, 1991).
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn.functional import embedding, embedding_bag

from opinionwatch.models.ngrams import Features, Ngrams, features
from opinionwatch.models.quantise import SCALE, Widened, narrow
from opinionwatch.models.recipe import MOST_DOMAINS
from opinionwatch.pipeline.errors import SettingsError

CHUNK = 64
"""Texts hashed at once: the sort of their features stays in the processor's cache."""
PREFIX = "companion."
"""Of the names of its weights in the artefact."""
Factor = Annotated[float, Field(ge=-10, le=10, allow_inf_nan=False)]


class Mixing(BaseModel):
    """The part of an artefact's configuration that says what a companion reads and how much it counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ngrams: Ngrams = Ngrams()
    domains: Annotated[tuple[str, ...], Field(max_length=MOST_DOMAINS)] = ()
    """The kinds of texts that have weights of their own."""
    encoder: Factor = 1.0
    """What the encoder's logits are multiplied by."""
    table: Factor = 1.0
    """What the companion's are multiplied by before they are added."""
    bias: tuple[Factor, Factor, Factor] = (0.0, 0.0, 0.0)
    """Added to both."""

    @property
    def toward(self) -> float:
        """What multiplies the encoder's change for a name. By the factor of the encoder the table, which knows no
        names, outvotes it; by one it outvotes the table where a text is of one mind. So it lies between.
        """
        return (1 + self.encoder) / 2


class Parts(NamedTuple):
    """Logits before they are joined: shared (n, 3), of the gate (n, D), of each domain (n, D, 3)."""

    shared: Tensor
    gate: Tensor
    domains: Tensor

    def joined(self) -> Tensor:
        """Logits (n, 3): the shared ones, and those of the domains as likely as the gate thinks each."""
        return self.shared + (self.gate.softmax(-1).unsqueeze(-1) * self.domains).sum(1)


class Companion(nn.Module):
    """Weights for each feature and for every text, and how their sums join the encoder's logits."""

    def __init__(self, mixing: Mixing) -> None:
        super().__init__()
        self.mixing = mixing
        columns = 3 + 4 * len(mixing.domains)
        self.table = nn.Parameter(torch.zeros(1 << mixing.ngrams.bits, columns))
        self.bias = nn.Parameter(torch.zeros(columns))

    def forward(self, found: Features) -> Parts:
        """The sums of a text's weights over the root of how many features it has, and the biases."""
        numbers, starts = torch.from_numpy(found.numbers), torch.from_numpy(found.starts)
        sizes = starts.diff().clamp(min=1).sqrt().unsqueeze(1)
        count = len(self.mixing.domains)
        sums = self.summed(numbers, starts) / sizes + self.bias
        return Parts(sums[:, :3], sums[:, 3 : 3 + count], sums[:, 3 + count :].reshape(len(sums), count, 3))

    def summed(self, numbers: Tensor, starts: Tensor) -> Tensor:
        """The sums (n, columns) of the weights of each text's features, which begin at `starts` (n + 1)."""
        return embedding_bag(numbers, self.table, starts, mode="sum", sparse=True, include_last_offset=True)

    def read(self, texts: Sequence[str], ids: Sequence[Sequence[int]]) -> Tensor:
        """Its own logits (n, 3) of texts and their token ids, on the CPU."""
        return self.parts(texts, ids).joined()

    @torch.inference_mode()
    def parts(self, texts: Sequence[str], ids: Sequence[Sequence[int]]) -> Parts:
        """What `read` joins."""
        ngrams, count = self.mixing.ngrams, len(self.mixing.domains)
        found = [
            self(features(texts[at : at + CHUNK], ids[at : at + CHUNK], ngrams)) for at in range(0, len(texts), CHUNK)
        ]
        if not found:
            return Parts(torch.zeros(0, 3), torch.zeros(0, count), torch.zeros(0, count, 3))
        shared, gate, domains = (torch.cat(part) for part in zip(*found, strict=True))
        return Parts(shared, gate, domains)

    def mix(self, encoder: Tensor, own: Tensor) -> Tensor:
        """Logits (n, 3) of both together."""
        mixing = self.mixing
        return mixing.encoder * encoder + mixing.table * own + torch.tensor(mixing.bias, dtype=encoder.dtype)

    def stored(self) -> dict[str, Tensor]:
        """Its weights as an artefact keeps them: 8 bits, each column with a scale of its own."""
        weights = {"table": self.table.detach().T, "bias": self.bias.detach()}
        return narrow({PREFIX + name: weight for name, weight in weights.items()})


class Kept(Companion):
    """One from an artefact, to read with: its table stays in 8 bits, and only the rows of a text's features are
    widened.
    """

    def __init__(self, mixing: Mixing, weights: Mapping[str, Tensor]) -> None:
        """From what `stored` gave. Raises SettingsError if weights are missing, of another size or not finite."""
        nn.Module.__init__(self)
        self.mixing = mixing
        columns = 3 + 4 * len(mixing.domains)
        stored = Widened({name.removeprefix(PREFIX): weight for name, weight in weights.items()})
        found = stored.narrow("table") if "table" in stored else None
        if found is None or found.steps.shape != (columns, 1 << mixing.ngrams.bits) or "bias" not in stored:
            raise SettingsError("the companion's weights do not fit its configuration")
        self._rows, self._scales = found.steps.T.contiguous(), found.scales.squeeze(1)
        self.bias = nn.Parameter(stored["bias"], requires_grad=False)
        if self.bias.shape != (columns,):
            raise SettingsError(f"the companion's weights do not fit its configuration: {len(self.bias)} biases")

    def summed(self, numbers: Tensor, starts: Tensor) -> Tensor:
        """As `Companion.summed`; sums of whole numbers are exact, so that a text's do not depend on its company."""
        rows = embedding(numbers, self._rows).float()
        all_rows = torch.arange(len(rows))
        return embedding_bag(all_rows, rows, starts, mode="sum", include_last_offset=True) * self._scales

    def stored(self) -> dict[str, Tensor]:
        """What it was restored from."""
        table = {"table": self._rows.T.contiguous(), "table" + SCALE: self._scales.unsqueeze(1)}
        return {PREFIX + name: weight for name, weight in {**table, "bias": self.bias.detach().half()}.items()}
