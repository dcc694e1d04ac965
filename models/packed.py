"""A BERT body for a CPU: texts laid end to end, so that not one token is padding, and the products of `kernels`.

Linear layers and norms do not care where a text ends. Attention does, and runs over groups of equally long texts, which
lie beside each other when a batch comes sorted by length. It is a stand-in for transformers' `BertModel`: ids and mask
in, padded states out, the same numbers up to rounding.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import NamedTuple, TypeGuard, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, layer_norm, scaled_dot_product_attention
from transformers import BertModel

from opinionwatch.models.kernels import Block, ByteBlock, ByteProduct, Product, Reach, available, joined


class States(NamedTuple):
    """What a body gives, by the name that transformers gives it."""

    last_hidden_state: Tensor


class Run(NamedTuple):
    """`texts` texts of `length` tokens each, from row `start` on."""

    start: int
    texts: int
    length: int


def fits(body: nn.Module) -> TypeGuard[BertModel]:
    """Whether a body is one that this can stand in for, on a PyTorch that has the kernels."""
    if not isinstance(body, BertModel) or not available():
        return False
    return body.config.hidden_act == "gelu" and not body.config.is_decoder


def runs(lengths: Sequence[int]) -> list[Run]:
    """Neighbours of equal length.

    >>> runs([3, 3, 2])
    [Run(start=0, texts=2, length=3), Run(start=6, texts=1, length=2)]
    """
    found, start = [], 0
    for length, group in groupby(lengths):
        count = len(list(group))
        found.append(Run(start, count, length))
        start += count * length
    return found


class PackedBody(nn.Module):
    """Runs without gradients only. In 32 bits the body it stands in for stays, and runs where gradients are wanted."""

    def __init__(self, body: BertModel, dtype: torch.dtype, reaches: Sequence[Reach] = ()) -> None:
        """`dtype` is that of products and attention; states between layers have 32 bits.

        With the reaches of `linears(body)` the products have 8 bits, and `dtype` is that of attention alone.
        """
        super().__init__()
        self.config = body.config
        table = body.embeddings
        self._words = table.word_embeddings.weight.detach()
        if dtype != torch.float32 or reaches:
            self._words = self._words.to(torch.bfloat16)
        else:
            self.plain = body
        self._places = (table.position_embeddings.weight + table.token_type_embeddings.weight[0]).detach().float()
        self._norm = _Norm(table.LayerNorm)
        self._layers = [
            _Layer(layer, dtype, reaches[4 * at : 4 * at + 4]) for at, layer in enumerate(body.encoder.layer)
        ]

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> States:
        """States (B, L, H) of a padded batch, zero on padding."""
        if not torch.is_inference_mode_enabled():
            return States(self.plain(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state)
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
        places = torch.cat([self._places[:length] for length in lengths])
        states = self._norm(embedding(ids, self._words).add(places))
        equal = runs(lengths)
        for layer in self._layers:
            states = layer(states, equal)
        return states


def linears(body: BertModel) -> list[nn.Linear]:
    """Those whose inputs must be known for 8 bits: four a layer, from the bottom."""
    return [each for layer in body.encoder.layer for each in _linears(layer)]


def _linears(layer: nn.Module) -> list[nn.Linear]:
    names = ("attention.self.query", "attention.output.dense", "intermediate.dense", "output.dense")
    return [cast(nn.Linear, layer.get_submodule(name)) for name in names]


class _Norm:
    def __init__(self, norm: nn.LayerNorm) -> None:
        self._shape, self._eps = tuple(norm.normalized_shape), norm.eps
        self._weight, self._bias = norm.weight.detach().float(), norm.bias.detach().float()

    def __call__(self, rows: Tensor) -> Tensor:
        return layer_norm(rows, self._shape, self._weight, self._bias, self._eps)


class _Layer:
    """Attention and the two products after it. States between layers have 32 bits."""

    def __init__(self, layer: nn.Module, dtype: torch.dtype, reaches: Sequence[Reach]) -> None:
        inner, after = layer.get_submodule("attention.self"), layer.get_submodule("attention.output")
        query, key, value = (cast(nn.Linear, inner.get_submodule(name)) for name in ("query", "key", "value"))
        # A layer may have lost heads, never their size.
        self._size = int(getattr(inner, "attention_head_size"))  # noqa: B009, the stub of Module promises a tensor
        self._norms = (
            _Norm(cast(nn.LayerNorm, after.get_submodule("LayerNorm"))),
            _Norm(cast(nn.LayerNorm, layer.get_submodule("output.LayerNorm"))),
        )

        whole = joined([query, key, value], self._size**-0.5)
        _, output, up, down = _linears(layer)
        self._block: Callable[[Tensor], Tensor]
        if reaches:
            self._attention: Callable[[Tensor], Tensor] = ByteProduct(*whole, reaches[0], dtype)
            self._output: Callable[[Tensor], Tensor] = ByteProduct(
                output.weight, output.bias, reaches[1], torch.float32
            )
            self._block = ByteBlock(up, down, reaches[2], reaches[3])
        else:
            self._attention = Product(*whole, dtype)
            self._output = Product(output.weight, output.bias, dtype)
            self._block = Block(up, down, dtype)

    def __call__(self, states: Tensor, equal: Sequence[Run]) -> Tensor:
        attended = self._output(attend(self._attention(states), equal, self._size))
        states = self._norms[0](states.add(attended))
        return self._norms[1](states.add(self._block(states)))


def attend(joint: Tensor, equal: Sequence[Run], size: int) -> Tensor:
    """Queries, keys and values (T, 3 · heads · size) of texts that lie end to end → their contexts (T, heads · size).

    Queries come scaled. In 16 bits plain products beat the fused kernel by half on short texts; in 32 they do not.
    """
    found = joint.new_empty(len(joint), joint.shape[1] // 3)
    for start, count, length in equal:
        rows = slice(start, start + count * length)
        query, key, value = joint[rows].view(count, length, 3, -1, size).permute(2, 0, 3, 1, 4).unbind()
        if joint.dtype == torch.float32:
            context = scaled_dot_product_attention(query, key, value, scale=1.0)
        else:
            context = (query @ key.transpose(-1, -2)).softmax(-1) @ value
        found[rows].view(count, length, -1, size).copy_(context.transpose(1, 2))
    return found
