"""The default architecture: any Hugging Face encoder as the body, all heads on its one pass."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Self

import torch
from pydantic import JsonValue
from safetensors import SafetensorError
from torch import Tensor, nn

from opinionwatch.models.heads import OpinionsHead, SentimentHead, SpanBatch, TargetHead
from opinionwatch.models.prune import narrow_heads
from opinionwatch.models.recipe import Body
from opinionwatch.pipeline.errors import SettingsError

# transformers takes longer to import, and more memory, than a model to score with: only what builds one of its bodies
# imports it, and a scorer packs its own.
if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from opinionwatch.models.packed import PackedBody


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

    sixteen_bits = True
    """Whether its body can run in 16 bits."""

    def __init__(self, body: "PreTrainedModel | PackedBody", settings: Body) -> None:
        super().__init__()
        self.config = body.config
        places = _places(body.config)
        if places is not None and settings.max_tokens > places:
            raise SettingsError(f"body.max_tokens: {settings.max_tokens} are more than the body's {places} places")
        hidden = int(body.config.hidden_size)
        self.body: nn.Module = body
        self.sentiment = SentimentHead(hidden, settings.dropout)
        self.opinions = OpinionsHead(hidden, settings.span_size, settings.dropout)
        self.targets: TargetHead | None = None
        self.read_targets(settings)

    def read_targets(self, settings: Body) -> None:
        """Give it the head for targets, if it is to have one and has none."""
        if settings.targets and self.targets is None:
            hidden = self.sentiment.classify.in_features
            self.targets = TargetHead(hidden, settings.span_size, settings.dropout)

    @classmethod
    def from_backbone(cls, backbone: str, settings: Body) -> Self:
        """Start from pretrained weights: a folder or a hub id, safetensors only, no remote code.

        Attention is plain and without dropout: on a CPU the backward pass of the fused kernel was a third of a step,
        and attention dropout a tenth. Raises SettingsError for a backbone that is not there, not whole, or too short.
        """
        from transformers import AutoModel

        try:
            body = AutoModel.from_pretrained(
                backbone,
                dtype=torch.float32,
                use_safetensors=True,
                trust_remote_code=False,
                attention_probs_dropout_prob=0.0,
                attn_implementation="eager",
            )
        # The last two: weights that are damaged, and such as do not fit the configuration.
        except (OSError, ValueError, SafetensorError, RuntimeError) as error:
            raise SettingsError(f"backbone '{backbone}': {error}") from error
        return cls(_shorten(body, settings.layers), settings)

    @classmethod
    def from_config(cls, config: Mapping[str, JsonValue], settings: Body) -> Self:
        """An encoder of the shape that `shape` told, with random weights, to be filled from an artefact."""
        from transformers import AutoConfig, AutoModel

        try:
            rest = {key: value for key, value in config.items() if key != "model_type"}
            known = AutoConfig.for_model(str(config["model_type"]), **rest)
            # untyped in transformers
            body: PreTrainedModel = AutoModel.from_config(known, attn_implementation="sdpa")  # type: ignore[no-untyped-call]  # untyped upstream
        except (TypeError, ValueError, KeyError) as error:
            raise SettingsError(f"the shape of the body: {error}") from error
        made = cls(_shorten(body, settings.layers), settings)
        if settings.heads is not None:
            narrow_heads(made.body, settings.heads)
        return made

    @property
    def tells_targets(self) -> bool:
        """Whether it has the head for targets."""
        return self.targets is not None

    @property
    def vocabulary(self) -> int:
        """How many token ids it knows."""
        return int(self.config.vocab_size)

    def shape(self) -> dict[str, JsonValue]:
        """The configuration of the body, as plain JSON."""
        found: dict[str, JsonValue] = json.loads(self.config.to_json_string())
        return found

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Encoded:
        """Read a padded batch (B, L) of token ids."""
        hidden = self.hidden(input_ids, attention_mask)
        aspect_tags, opinion_tags = self.opinions.tags(hidden)
        return Encoded(self.sentiment(hidden, attention_mask), aspect_tags, opinion_tags, hidden)

    def hidden(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Hidden states (B, L, H) of a padded batch, in 32 bits."""
        states: Tensor = self.body(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return states.float()

    def pairs(self, encoded: Encoded, aspects: SpanBatch, opinions: SpanBatch, pairs: Tensor) -> Tensor:
        """Logits (P, 4) of {no link, negative, neutral, positive}; see `OpinionsHead.pairs`."""
        return self.opinions.pairs(encoded.hidden, aspects, opinions, pairs)

    def toward(self, encoded: Encoded, spans: SpanBatch) -> Tensor:
        """What each of the spans (n,) adds to the sentiment logits of its text (n, 3); nothing without that head."""
        if self.targets is None:
            return encoded.sentiment.new_zeros(len(spans.row), 3)
        change: Tensor = self.targets(encoded.hidden, spans)
        return change


def _places(config: object) -> int | None:
    """How many places of tokens a body knows; None where nothing says so. RoBERTa's begin behind the padding's."""
    places = getattr(config, "max_position_embeddings", None)
    if not places or places < 0:
        return None
    behind = "roberta" in getattr(config, "model_type", "")
    return int(places) - (int(getattr(config, "pad_token_id", 0) or 0) + 1 if behind else 0)


def input_layer(body: nn.Module) -> nn.Module | None:
    """The layer of a body's input vectors: what it calls so, or else its largest embedding. None: it has neither."""
    given = getattr(body, "get_input_embeddings", None)
    if given is not None and isinstance(layer := given(), nn.Module):
        return layer
    tables = [each for each in body.modules() if isinstance(each, nn.Embedding)]
    return max(tables, key=lambda table: table.num_embeddings, default=None)


def _shorten(body: "PreTrainedModel", layers: int | None) -> "PreTrainedModel":
    """Keep the first `layers` of a stack found at `encoder.layer` or `layers`; drop the pooler."""
    if getattr(body, "pooler", None) is not None:
        setattr(body, "pooler", None)  # noqa: B010, the stub of Module forbids None
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
