"""The default architecture: any Hugging Face encoder as the body, both heads on its one pass."""

from pathlib import Path
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel

from opinionwatch.models.heads import OpinionsHead, SentimentHead, SpanBatch
from opinionwatch.models.recipe import Body
from opinionwatch.pipeline.errors import SettingsError


class Encoded(NamedTuple):
    """What one pass gives: sentiment logits (B, 3), tag logits (B, L, 3) twice, and the hidden states (B, L, H)."""

    sentiment: Tensor
    aspect_tags: Tensor
    opinion_tags: Tensor
    hidden: Tensor


class Encoder(nn.Module):
    """Sentiment and opinions off one pass of a pretrained encoder.

    The sequence end token is part of the text; padding is masked. The pooler of BERT-like bodies is dropped: mean
    pooling is what the backbone was trained for.
    """

    def __init__(self, body: PreTrainedModel, settings: Body) -> None:
        super().__init__()
        hidden = int(body.config.hidden_size)
        self.body = body
        self.sentiment = SentimentHead(hidden, settings.dropout)
        self.opinions = OpinionsHead(hidden, settings.span_size, settings.dropout)

    @classmethod
    def from_backbone(cls, backbone: str, settings: Body) -> Self:
        """Start from pretrained weights: a folder or a hub id, safetensors only, no remote code.

        Attention is plain and without dropout: measured on a CPU, the backward pass of the fused kernel takes a third of
        a step, and attention dropout a tenth.
        """
        try:
            body = AutoModel.from_pretrained(
                backbone,
                dtype=torch.float32,
                use_safetensors=True,
                trust_remote_code=False,
                attention_probs_dropout_prob=0.0,
                attn_implementation="eager",
            )
        except (OSError, ValueError) as error:
            raise SettingsError(f"backbone '{backbone}': {error}") from error
        return cls(_shorten(body, settings.layers), settings)

    @classmethod
    def from_config(cls, config: PretrainedConfig, settings: Body) -> Self:
        """An encoder of the same shape with random weights, to be filled from an artefact."""
        return cls(_shorten(AutoModel.from_config(config, attn_implementation="sdpa"), settings.layers), settings)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Encoded:
        """Read a padded batch (B, L) of token ids."""
        hidden = self.body(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        aspect_tags, opinion_tags = self.opinions.tags(hidden)
        return Encoded(self.sentiment(hidden, attention_mask), aspect_tags, opinion_tags, hidden)

    def pairs(self, encoded: Encoded, aspects: SpanBatch, opinions: SpanBatch, pairs: Tensor) -> Tensor:
        """Logits (P, 4) of {no link, negative, neutral, positive}; see `OpinionsHead.pairs`."""
        return self.opinions.pairs(encoded.hidden, aspects, opinions, pairs)


def body_config(folder: Path) -> PretrainedConfig:
    """The shape of a body from its config file; SettingsError if transformers does not know it."""
    try:
        return AutoConfig.from_pretrained(str(folder), trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise SettingsError(f"{folder}: {error}") from error


def _shorten(body: PreTrainedModel, layers: int | None) -> PreTrainedModel:
    """Keep the first `layers` of a stack found at `encoder.layer` or `layers`; drop the pooler."""
    if getattr(body, "pooler", None) is not None:
        body.pooler = None
    if layers is None or layers >= body.config.num_hidden_layers:
        return body
    holder = getattr(body, "encoder", body)
    for name in ("layer", "layers"):
        stack = getattr(holder, name, None)
        if isinstance(stack, nn.ModuleList):
            setattr(holder, name, stack[:layers])
            body.config.num_hidden_layers = layers
            return body
    raise SettingsError(f"cannot shorten a body of type {type(body).__name__} to {layers} layers; use layers: null")
