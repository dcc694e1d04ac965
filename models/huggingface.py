"""The huggingface scorer: any sentiment classifier of the Hugging Face kind, from a folder or by its hub id."""

from collections.abc import Mapping, Sequence
from hashlib import sha256

import torch
from pydantic import BaseModel, ConfigDict, Field

from opinionwatch.models.batcher import groups
from opinionwatch.models.device import pick_device
from opinionwatch.models.examples import LABELS
from opinionwatch.models.huggingface_files import load
from opinionwatch.models.huggingface_labels import label_map
from opinionwatch.models.tokens import CHARACTERS_PER_TOKEN, whole
from opinionwatch.pipeline.contracts import Label, Reading, Sentiment
from opinionwatch.pipeline.errors import RejectedError, SettingsError
from opinionwatch.pipeline.ports import Passage

PROBABILITY_BOUND = 1e-4
"""How far a probability may move with the company a text keeps in a batch."""
_DECIMALS = 6
_ROOM_FOR_SPECIAL = 2


class HuggingFaceScorer:
    """Scores sentiment with a sequence classifier; it has no opinions, so aspects come from the taxonomy alone.

    Weights are read as safetensors only and no code of the model's is run. The network is used only when a hub id is
    named. A text longer than `max_tokens` is read up to there. Its probabilities are the model's own: calibrated if
    the model is.
    """

    class Settings(BaseModel):
        """Which model, and how it runs."""

        model_config = ConfigDict(frozen=True, extra="forbid")

        model: str = Field(description="folder with a model, or a hub id such as `owner/name`")
        revision: str | None = Field(None, description="commit of the hub's model to pin; null takes the newest")
        labels: dict[str, Label] = Field(
            default_factory=dict, description="what the model's labels mean; needed where their names do not say it"
        )
        max_tokens: int = Field(256, ge=4, description="a longer text is read up to here")
        tokens_per_batch: int = Field(2048, ge=16, description="padded tokens a forward pass")
        device: str = Field("auto", description="torch device; auto takes an accelerator if there is one")
        unsure_below: float = Field(0.6, ge=0, le=1, description="a best probability under this is unsure")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        loaded = load(settings.model, settings.revision)
        config = loaded.model.config
        if getattr(config, "problem_type", None) in ("regression", "multi_label_classification"):
            raise SettingsError(f"scorer.model: {settings.model} is a {config.problem_type} model, not a classifier")
        names = {int(number): str(name) for number, name in (config.id2label or {}).items()}
        self._labels = torch.tensor(label_map(names, settings.labels))
        self._tokenizer = loaded.tokenizer
        if self._tokenizer.pad_token_id is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token or self._tokenizer.unk_token
        if self._tokenizer.pad_token_id is None:
            raise SettingsError(f"scorer.model: the tokenizer of {settings.model} has no token to pad with")
        config.pad_token_id = self._tokenizer.pad_token_id
        self._tokenizer.padding_side = "right"
        places = getattr(config, "max_position_embeddings", None) or settings.max_tokens + _ROOM_FOR_SPECIAL
        self._longest = max(4, min(settings.max_tokens, self._tokenizer.model_max_length, places - _ROOM_FOR_SPECIAL))
        self._device = pick_device(settings.device)
        self._model = loaded.model.train(False).to(self._device)
        said = sha256(settings.model_dump_json(exclude={"device", "model", "revision"}).encode()).hexdigest()[:8]
        self.version = f"huggingface-{loaded.digest}-{said}"

    def score(self, passages: Sequence[Passage]) -> list[Reading]:
        """One reading a passage, in order. Raises RejectedError where the model answers with NaN (model_output) or does
        not fit into memory with one passage alone (out_of_memory).
        """
        if not passages:
            return []
        cut = self._longest * CHARACTERS_PER_TOKEN
        texts = [whole(passage.text[:cut]) for passage in passages]
        tokens = self._tokenizer(texts, truncation=True, max_length=self._longest)
        lengths = [len(ids) for ids in tokens["input_ids"]]
        rows: list[list[float]] = [[] for _ in texts]
        for group in groups(lengths, self._settings.tokens_per_batch):
            width = min(group.width, self._longest)
            batch = self._tokenizer.pad(
                {name: [values[at] for at in group.indices] for name, values in tokens.items()},
                padding="max_length",
                max_length=width,
                return_tensors="pt",
            )
            for at, chances in zip(group.indices, self._fitting(batch), strict=True):
                rows[at] = chances
        return [self._reading(chances) for chances in rows]

    def _fitting(self, batch: Mapping[str, torch.Tensor]) -> list[list[float]]:
        """Probabilities of a group; out of memory, of its halves."""
        rows, width = batch["input_ids"].shape
        try:
            return self._chances({name: values.to(self._device) for name, values in batch.items()})
        except torch.OutOfMemoryError as error:
            if rows == 1:
                raise RejectedError("out_of_memory", f"{width} tokens") from error
        middle = rows // 2
        parts = (slice(middle), slice(middle, None))
        left, right = ({name: values[part] for name, values in batch.items()} for part in parts)
        return self._fitting(left) + self._fitting(right)

    @torch.inference_mode()
    def _chances(self, batch: Mapping[str, torch.Tensor]) -> list[list[float]]:
        """Probabilities of negative, neutral and positive."""
        logits = self._model(**batch).logits.to("cpu", torch.float64)
        if not bool(torch.isfinite(logits).all()):
            raise RejectedError("model_output", "the model answered with NaN or infinity")
        chances = torch.zeros(len(logits), len(LABELS), dtype=torch.float64)
        found: list[list[float]] = chances.index_add_(1, self._labels, logits.softmax(-1)).tolist()
        return found

    def _reading(self, chances: Sequence[float]) -> Reading:
        negative, positive = round(chances[0], _DECIMALS), round(chances[2], _DECIMALS)
        best = max(range(3), key=chances.__getitem__)
        return Reading(
            sentiment=Sentiment(
                label=LABELS[best],
                negative=negative,
                neutral=max(0.0, round(1 - negative - positive, _DECIMALS)),
                positive=positive,
                unsure=chances[best] < self._settings.unsure_below,
            )
        )
