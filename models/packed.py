"""A BERT body for scoring: texts laid end to end, so that not one token is padding, on whatever `ways` a device offers.

Linear layers and norms do not care where a text ends; attention is told. It is built from the weights alone, without
transformers, whose import takes longer and more memory than the model. It stands in for transformers' `BertModel`: ids
and mask in, padded states out, the same numbers up to rounding.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal, NamedTuple, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator
from torch import Tensor, nn
from torch.nn.functional import layer_norm, pad

from opinionwatch.models.attention import Attend
from opinionwatch.models.graphs import Graphs
from opinionwatch.models.kernels import Linear, joined
from opinionwatch.models.quantise import Widened
from opinionwatch.models.ways import Layer, Ways
from opinionwatch.pipeline.errors import SettingsError

PROJECTIONS = ("query", "key", "value")


class Shape(BaseModel):
    """What a body's Hugging Face configuration says that matters here; it keeps the rest."""

    model_config = ConfigDict(frozen=True, extra="allow")

    model_type: Literal["bert"]
    hidden_act: Literal["gelu"]
    is_decoder: Literal[False] = False
    position_embedding_type: Literal["absolute"] = "absolute"
    hidden_size: int = Field(gt=0)
    num_hidden_layers: int = Field(gt=0)
    num_attention_heads: int = Field(gt=0)
    max_position_embeddings: int = Field(gt=0)
    vocab_size: int = Field(gt=0)
    layer_norm_eps: float

    @model_validator(mode="after")
    def _has_whole_heads(self) -> Self:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError("states are not a multiple of the attention heads")
        return self

    def to_json_string(self) -> str:
        """As transformers' configurations have it."""
        return self.model_dump_json()


class States(NamedTuple):
    """What a body gives, by the name that transformers gives it."""

    last_hidden_state: Tensor


def shape_of(config: Mapping[str, JsonValue], layers: int | None = None) -> Shape | None:
    """The shape of a body that can be packed, of its lowest `layers` if it has more; None for one of another make."""
    try:
        found = Shape.model_validate(config)
    except ValidationError:
        return None
    most = found.num_hidden_layers
    return found.model_copy(update={"num_hidden_layers": most if layers is None else min(layers, most)})


class PackedBody(nn.Module):
    """Without gradients only."""

    def __init__(self, shape: Shape, weights: Mapping[str, Tensor], ways: Ways, longest: int = 0) -> None:
        """From weights by the names that `BertModel` gives them.

        Where passes are recorded, those of texts of at most `longest` tokens are. Raises SettingsError when a weight is
        missing, of another size, or not one of this body's.
        """
        super().__init__()
        self.config = shape
        parts = _Parts(weights, shape)
        self._ways = ways
        self._words = parts.words(ways.device)
        self._places = parts.places().to(ways.device)
        self._norm = parts.norm("embeddings.LayerNorm", ways.device)
        self._layers = [_Layer(parts, at, ways) for at in range(shape.num_hidden_layers)]
        parts.finish()
        recorder = ways.recorder
        self._graphs = None if recorder is None else Graphs(self.run, ways.device, longest, recorder)

    @property
    def records(self) -> bool:
        """Whether passes are recorded."""
        return self._graphs is not None

    @contextmanager
    def unrecorded(self) -> Iterator[None]:
        """Passes are run, to compare."""
        kept, self._graphs = self._graphs, None
        try:
            yield
        finally:
            self._graphs = kept

    @torch.inference_mode()
    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> States:
        """States (B, L, H) of a padded batch, zero on padding."""
        lengths = attention_mask.sum(1).tolist()
        rows, width = input_ids.shape
        if min(lengths) == width:
            return States(self.packed(input_ids.flatten(), lengths).view(rows, width, -1))
        real = attention_mask.flatten().nonzero().squeeze(1)
        states = self.packed(input_ids.flatten()[real], lengths)
        padded = states.new_zeros(rows * width, states.shape[1]).index_copy_(0, real, states)
        return States(padded.view(rows, width, -1))

    def packed(self, ids: Tensor, lengths: Sequence[int]) -> Tensor:
        """States (T, H) in 32 bits of the tokens (T,) of texts of these lengths, one after the other."""
        sizes = torch.tensor(lengths)
        begins = (sizes.cumsum(0) - sizes).repeat_interleave(sizes, output_size=len(ids))
        places = (torch.arange(len(ids)) - begins).to(ids.device)
        recording = None if self._graphs is None else self._graphs.take(lengths)
        if recording is not None:
            return recording(ids, places, lengths)
        attend = self._ways.attention.plan(lengths, ids.device)
        tail = self._ways.rows(len(ids)) - len(ids)
        if not tail:
            return self.run(ids, places, attend)
        return self.run(pad(ids, (0, tail)), pad(places, (0, tail)), attend)[: len(ids)]

    def run(self, ids: Tensor, places: Tensor, attend: Attend) -> Tensor:
        """States (T, H) of tokens, each at its place in its text."""
        states = self._norm(self._words(ids).add_(self._places[places]))
        for layer in self._layers:
            states = layer(states, attend)
        return states


class _Norm:
    def __init__(self, weight: Tensor, bias: Tensor, eps: float) -> None:
        self._weight, self._bias, self._eps = weight, bias, eps

    def __call__(self, rows: Tensor) -> Tensor:
        return layer_norm(rows, self._weight.shape, self._weight, self._bias, self._eps)


class _Words:
    """The input table, a row a token: in 8 bits where it is stored so, and widened row by row as it is read."""

    def __init__(self, rows: Tensor, scales: Tensor | None) -> None:
        self._rows, self._scales = rows, scales

    def __call__(self, ids: Tensor) -> Tensor:
        found = self._rows[ids].float()
        return found if self._scales is None else found.mul_(self._scales[ids])


class _Parts:
    """A body's weights, each taken once, in 32 bits."""

    def __init__(self, weights: Mapping[str, Tensor], shape: Shape) -> None:
        self._weights, self._shape = weights, shape
        self._taken = set[str]()
        self.hidden = shape.hidden_size
        self.size = shape.hidden_size // shape.num_attention_heads
        """Of an attention head. A layer may have lost heads, never their size."""

    def take(self, name: str, *sizes: int | None) -> Tensor:
        """A weight of these sizes; None is any."""
        if name not in self._weights:
            raise SettingsError(f"weights: 'body.{name}' is missing")
        self._taken.add(name)
        weight = self._weights[name].detach().float()
        if len(sizes) != weight.dim() or any(
            one not in (None, two) for one, two in zip(sizes, weight.shape, strict=True)
        ):
            raise SettingsError(f"weights: 'body.{name}' has the shape {tuple(weight.shape)}, not {sizes}")
        return weight

    def words(self, device: torch.device) -> _Words:
        name, sizes = "embeddings.word_embeddings.weight", (self._shape.vocab_size, self._shape.hidden_size)
        weights = self._weights
        narrow = weights.narrow(name) if isinstance(weights, Widened) and name in weights else None
        if narrow is None or narrow.steps.shape != sizes:
            return _Words(self.take(name, *sizes).to(device), None)
        self._taken.add(name)
        return _Words(narrow.steps.to(device), narrow.scales.to(device))

    def places(self) -> Tensor:
        """The vectors of places in a text, with that of the only kind of text added."""
        width = self._shape.hidden_size
        kinds = self.take("embeddings.token_type_embeddings.weight", None, width)
        return self.take("embeddings.position_embeddings.weight", self._shape.max_position_embeddings, width) + kinds[0]

    def norm(self, name: str, device: torch.device) -> _Norm:
        weight, bias = (self.take(f"{name}.{part}", self._shape.hidden_size) for part in ("weight", "bias"))
        return _Norm(weight.to(device), bias.to(device), self._shape.layer_norm_eps)

    def linear(self, name: str, outer: int | None, inner: int | None) -> Linear:
        weight = self.take(f"{name}.weight", outer, inner)
        return Linear(weight, self.take(f"{name}.bias", len(weight)))

    def finish(self) -> None:
        """Raises SettingsError when there are weights that nobody took."""
        if left := sorted(set(self._weights) - self._taken):
            raise SettingsError(f"weights: 'body.{left[0]}' is not one of this body's")


class _Layer:
    """Attention and the two products after it. States between layers have 32 bits."""

    def __init__(self, parts: _Parts, at: int, ways: Ways) -> None:
        name, width = f"encoder.layer.{at}", parts.hidden
        inside = f"{name}.attention"
        three = [parts.linear(f"{inside}.self.{each}", None, width) for each in PROJECTIONS]
        factor = parts.size**-0.5 if ways.attention.scaled else 1.0
        layer = Layer(
            joined(three, factor),
            parts.linear(f"{inside}.output.dense", width, len(three[0].weight)),
            parts.linear(f"{name}.intermediate.dense", None, width),
            parts.linear(f"{name}.output.dense", width, None),
        )
        self._products = ways.make(at, layer)
        self._size = parts.size
        self._norms = [parts.norm(f"{each}.output.LayerNorm", ways.device) for each in (inside, name)]

    def __call__(self, states: Tensor, attend: Attend) -> Tensor:
        joint, output, block = self._products
        states = self._norms[0](states.add(output(attend(joint(states), self._size))))
        return self._norms[1](states.add(block(states)))
