"""Fewer attention heads: the least important of each layer are cut out, weights and all.

How much a head matters is Michel, Levy, Neubig, Are Sixteen Heads Really Better than One? (NeurIPS 2019): the mean size
of the gradient towards a switch on its output. They take the loss on labelled rows; here it is that of the model's own
labels, so that any texts will do.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from opinionwatch.pipeline.errors import SettingsError

Read = Callable[[], Iterator[Tensor]]
"""Sentiment logits (B, 3) of one batch after the other, with gradients."""


def attentions(body: nn.Module) -> list[nn.Module]:
    """The attention blocks of a BERT-like body, from the bottom. SettingsError for a body of another make."""
    found = [part for part in body.modules() if _alike(part)]
    if not found:
        raise SettingsError(f"heads of a {type(body).__name__} cannot be cut out: it is not built like BERT")
    return found


def _alike(part: nn.Module) -> bool:
    inner, output = getattr(part, "self", None), getattr(part, "output", None)
    named = all(isinstance(getattr(inner, name, None), nn.Linear) for name in ("query", "key", "value"))
    return named and isinstance(getattr(output, "dense", None), nn.Linear)


def importance(body: nn.Module, read: Read) -> list[Tensor]:
    """For each layer, how much each of its heads (N,) matters for what the model says of the texts."""
    blocks = attentions(body)
    totals = [torch.zeros(_heads(block)) for block in blocks]
    with _switched(blocks) as switches:
        for logits in read():
            loss = cross_entropy(logits, logits.detach().argmax(-1))
            for total, gradient in zip(totals, torch.autograd.grad(loss, switches), strict=True):
                total.add_(gradient.abs().cpu())
    return totals


def keep_heads(body: nn.Module, kept: Sequence[Sequence[int]]) -> None:
    """Cut out all heads of each layer but those; every layer keeps at least one."""
    for block, heads in zip(attentions(body), kept, strict=True):
        size = _size(block)
        rows = torch.tensor([head * size + at for head in sorted(heads) for at in range(size)])
        inner, output = block.get_submodule("self"), block.get_submodule("output")
        for name in ("query", "key", "value"):
            full = inner.get_submodule(name)
            setattr(inner, name, _linear(_tensor(full, "weight")[rows], _tensor(full, "bias")[rows]))
        dense = output.get_submodule("dense")
        output.dense = _linear(_tensor(dense, "weight")[:, rows], _tensor(dense, "bias"))
        setattr(inner, "num_attention_heads", len(heads))  # noqa: B010, a plain attribute of transformers' module
        setattr(inner, "all_head_size", len(rows))  # noqa: B010, as above


def narrow_heads(body: nn.Module, heads: int) -> None:
    """Give an untrained body the shape of one that kept `heads` heads a layer, for weights to be loaded into."""
    keep_heads(body, [range(min(heads, _heads(block))) for block in attentions(body)])


@contextmanager
def _switched(blocks: Sequence[nn.Module]) -> Iterator[list[Tensor]]:
    """One switch a head, all on, on the way out of each block."""
    switches = [torch.ones(_heads(block), requires_grad=True) for block in blocks]
    hooks = []
    for block, switch in zip(blocks, switches, strict=True):
        size = _size(block)

        def turn(_: nn.Module, given: tuple[Tensor], switch: Tensor = switch, size: int = size) -> tuple[Tensor]:
            return (given[0] * switch.repeat_interleave(size).to(given[0]),)

        dense = block.get_submodule("output").get_submodule("dense")
        hooks.append(dense.register_forward_pre_hook(turn))
    try:
        yield switches
    finally:
        for hook in hooks:
            hook.remove()


def _heads(block: nn.Module) -> int:
    return int(getattr(block.get_submodule("self"), "num_attention_heads"))  # noqa: B009, an attribute of transformers' module


def _size(block: nn.Module) -> int:
    return int(getattr(block.get_submodule("self"), "attention_head_size"))  # noqa: B009, as above


def _tensor(part: nn.Module, name: str) -> Tensor:
    return part.get_parameter(name).detach()


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    made = nn.Linear(weight.shape[1], weight.shape[0])
    made.weight = nn.Parameter(weight.clone())
    made.bias = nn.Parameter(bias.clone())
    return made
