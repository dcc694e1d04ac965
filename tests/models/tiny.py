"""Artefacts of a few thousand weights that always say the same, for tests of what is done with models."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import BertConfig, BertModel

from opinionwatch.models.artefact import Config, save
from opinionwatch.models.batches import span_batch
from opinionwatch.models.calibrate import Calibration
from opinionwatch.models.encoder import Encoder
from opinionwatch.models.examples import LABELS
from opinionwatch.models.recipe import Body
from opinionwatch.models.tokens import TextTokens, token_span
from opinionwatch.pipeline.contracts import Confusion, Label
from tests.models.conftest import BODY, tiny_tokenizer

SURE = 4.0
"""The logit of what is said, where the others are 0."""
Taught = tuple[str, str, Label]
"""A text, a name in it, and what the text says of it."""
RIVALS: tuple[Taught, ...] = (
    ("Corvo beats Brava", "Corvo", "positive"),
    ("Corvo beats Brava", "Brava", "negative"),
    ("Brava beats Corvo", "Brava", "positive"),
    ("Brava beats Corvo", "Corvo", "negative"),
    ("屏幕比电池好", "屏幕", "positive"),
    ("屏幕比电池好", "电池", "negative"),
)
"""What is good for one name is bad for the other."""


def tiny_artefact(folder: Path, says: Label, name: str = "tiny") -> Path:
    """Write one; returns its folder."""
    return _saved(folder, name, _steady(says, BODY))


def partisan_artefact(folder: Path, says: Label, taught: Sequence[Taught], name: str = "partisan") -> Path:
    """Write one that says the same of every text, and of names in these texts what it is taught; its folder."""
    model = _steady(says, BODY.model_copy(update={"targets": True}))
    _teach(model, says, taught)
    return _saved(folder, name, model)


def _steady(says: Label, body: Body) -> Encoder:
    torch.manual_seed(5)
    config = BertConfig(
        vocab_size=tiny_tokenizer().get_vocab_size(),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
        pad_token_id=1,
    )
    model = Encoder(BertModel(config, add_pooling_layer=False), body.model_copy(update={"layers": None})).eval()
    last = _last_layer(model.sentiment)
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.tensor([SURE if label == says else 0.0 for label in LABELS]))
    return model


def _teach(model: Encoder, says: Label, taught: Sequence[Taught]) -> None:
    """Solve for the last layer of the head: its inputs are what random weights make of each name in its text."""
    assert model.targets is not None
    last = _last_layer(model.targets)
    seen: list[Tensor] = []
    hook = last.register_forward_pre_hook(lambda _, given: seen.append(given[0].flatten(0, -2)))
    tokens = TextTokens(tiny_tokenizer(), BODY.max_tokens)
    wanted = []
    with torch.no_grad():
        for text, name, label in taught:
            [read] = tokens.encode([text])
            place = token_span((text.index(name), text.index(name) + len(name)), read.offsets)
            assert place is not None
            given = torch.tensor([read.ids])
            model.toward(model(given, torch.ones_like(given)), span_batch([(0, *place)]))
            # What is added: nothing, or as much as moves the likeliest label from the one to the other.
            wanted.append([(SURE if each == label else -SURE if each == says else 0.0) for each in LABELS])
            if label == says:
                wanted[-1] = [0.0] * len(LABELS)
        inputs = torch.cat(seen).double()
        hook.remove()
        inputs = torch.cat([inputs, torch.ones(len(inputs), 1, dtype=torch.double)], 1)
        solved = torch.linalg.lstsq(inputs, torch.tensor(wanted, dtype=torch.double), driver="gelsd").solution.float()
        last.weight.copy_(solved[:-1].T)
        last.bias.copy_(solved[-1])


def _last_layer(head: torch.nn.Module) -> torch.nn.Linear:
    layers = [each for each in head.modules() if isinstance(each, torch.nn.Linear) and each.out_features == len(LABELS)]
    return layers[-1]


def _saved(folder: Path, name: str, model: Encoder) -> Path:
    calibration = Calibration(confusion=Confusion(hits=9, negatives=10, false_hits=1, others=10))
    body = BODY.model_copy(update={"targets": model.targets is not None})
    about = Config(name=name, body=body, backbone=model.shape(), calibration={"other": calibration})
    save(folder, about, tiny_tokenizer(), model, "# a card\n")
    return folder
