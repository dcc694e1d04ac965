"""What the architectures that are trained from scratch share: inputs, their stored shape, the heads.

An architecture is a class with a `build`: from the width of the input vectors to an `nn.Module` that turns vectors
(B, L, W) and a mask (B, L) into hidden states (B, L, H), the same for a text whatever it is padded to. Everything else
(artefact, scorer, losses, decoding, command) is that of the encoder.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from tokenizers import Tokenizer
from torch import Tensor, nn

from opinionwatch.models.encoder import Encoder
from opinionwatch.models.heads import OpinionsHead, SentimentHead
from opinionwatch.models.inputs import HashedPieces, Kind, Subwords, load_vectors, pieces_of
from opinionwatch.models.recipe import Body
from opinionwatch.pipeline.errors import SettingsError

MOST_PARTS = 32
"""N-grams of a piece that are read."""


class Shape(BaseModel):
    """What an artefact must know to build the network again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vocabulary: Annotated[int, Field(gt=0, le=2_000_000)]
    inputs: Kind
    frozen: dict[str, JsonValue] | None = None
    """The configuration of the frozen encoder."""


class Reader(nn.Module):
    """Inputs and body in one, so that both run in the precision of the body."""

    def __init__(self, inputs: nn.Module, net: nn.Module, dropout: float) -> None:
        super().__init__()
        self.inputs = inputs
        self.dropout = nn.Dropout(dropout)
        self.net = net

    def get_input_embeddings(self) -> nn.Module:
        """The layer that gives the input vectors, by the name that transformers has for it; of a frozen encoder, all
        of that: inside there are no gradients.
        """
        return self.inputs if isinstance(self.inputs, Frozen) else self.inputs.get_submodule("table")

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Hidden states (B, L, H) of token ids, zero at the padding."""
        vectors = self.dropout(self.inputs(ids, mask)) * mask.unsqueeze(-1)
        hidden: Tensor = self.net(vectors, mask)
        return hidden * mask.unsqueeze(-1)


class Frozen(nn.Module):
    """A pretrained encoder whose weights never move."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.body = encoder.body.requires_grad_(False)
        self.width = int(encoder.config.hidden_size)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Its last hidden states, without gradients and, in training too, without dropout."""
        self.body.train(False)
        with torch.no_grad():
            hidden: Tensor = self.body(input_ids=ids, attention_mask=mask).last_hidden_state
        return hidden


Inputs = Subwords | HashedPieces | Frozen


class Scratch(Encoder):
    """An encoder whose body is ours. Subclasses say what the body is, how wide its states are, and how it pools."""

    def __init__(self, inputs: Inputs, shape: Shape, settings: Body) -> None:
        nn.Module.__init__(self)
        net, hidden = self.build(inputs.width, settings)
        self._shape = shape
        self.body = Reader(inputs, net, settings.dropout)
        self.sentiment = SentimentHead(hidden, settings.dropout, self.pool(hidden))
        self.opinions = OpinionsHead(hidden, settings.span_size, settings.dropout)
        self.targets = None
        self.read_targets(settings)

    @classmethod
    @abstractmethod
    def build(cls, width: int, settings: Body) -> tuple[nn.Module, int]:
        """The body on vectors of `width`, and the width of its states."""

    @classmethod
    def pool(cls, hidden: int) -> nn.Module | None:  # noqa: ARG003, attention pooling has weights of this width
        """How states become one vector of the text; None: their mean."""
        return None

    @classmethod
    def from_backbone(cls, backbone: str, settings: Body, tokenizer: Tokenizer | None = None) -> Self:
        """Fresh weights over the vocabulary of `tokenizer`; with frozen inputs, over the encoder `backbone`."""
        if settings.inputs == "frozen":
            encoder = Encoder.from_backbone(backbone, settings)
            return cls(
                Frozen(encoder), Shape(vocabulary=encoder.vocabulary, inputs="frozen", frozen=encoder.shape()), settings
            )
        if tokenizer is None:
            raise SettingsError(f"architecture '{settings.architecture}' needs a tokenizer")
        pieces = pieces_of(tokenizer)
        shape = Shape(vocabulary=len(pieces), inputs=settings.inputs)
        inputs = _inputs(shape, settings)
        if isinstance(inputs, HashedPieces):
            inputs.learn_pieces(pieces)
        if settings.inputs == "vectors":
            if settings.vectors is None:
                raise SettingsError("inputs: vectors needs `vectors`, a file of word vectors")
            load_vectors(settings.vectors, inputs.table.weight.data, pieces)
        return cls(inputs, shape, settings)

    @classmethod
    def from_config(cls, config: Mapping[str, JsonValue], settings: Body) -> Self:
        """The network that `shape` told of, with random weights, to be filled from an artefact."""
        try:
            shape = Shape.model_validate(config)
        except ValidationError as error:
            raise SettingsError(f"the shape of the body: {error.errors()[0]['msg']}") from error
        if shape.inputs == "frozen":
            return cls(Frozen(Encoder.from_config(shape.frozen or {}, settings)), shape, settings)
        return cls(_inputs(shape, settings), shape, settings)

    @property
    def vocabulary(self) -> int:
        """How many token ids it knows."""
        return self._shape.vocabulary

    def shape(self) -> dict[str, JsonValue]:
        """What `from_config` needs, as plain JSON."""
        return self._shape.model_dump(mode="json")

    def hidden(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Hidden states (B, L, H) in 32 bits."""
        states: Tensor = self.body(input_ids, attention_mask)
        return states.float()


def _inputs(shape: Shape, settings: Body) -> Subwords | HashedPieces:
    if shape.inputs == "ngrams":
        return HashedPieces(shape.vocabulary, settings.width, MOST_PARTS)
    return Subwords(shape.vocabulary, settings.width)
