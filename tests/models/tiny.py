"""Artefacts of a few thousand weights that always say the same, for tests of what is done with models."""

from pathlib import Path

import torch
from transformers import BertConfig, BertModel

from opinionwatch.models.artefact import Config, save
from opinionwatch.models.calibrate import Calibration
from opinionwatch.models.encoder import Encoder
from opinionwatch.models.examples import LABELS
from opinionwatch.pipeline.contracts import Confusion, Label
from tests.models.conftest import BODY, tiny_tokenizer


def tiny_artefact(folder: Path, says: Label, name: str = "tiny") -> Path:
    """Write one; returns its folder."""
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
    model = Encoder(BertModel(config, add_pooling_layer=False), BODY.model_copy(update={"layers": None})).eval()
    [last] = [
        layer
        for layer in model.sentiment.modules()
        if isinstance(layer, torch.nn.Linear) and layer.out_features == len(LABELS)
    ]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.tensor([4.0 if label == says else 0.0 for label in LABELS]))
    calibration = Calibration(confusion=Confusion(hits=9, negatives=10, false_hits=1, others=10))
    about = Config(name=name, body=BODY, backbone=model.shape(), calibration={"other": calibration})
    save(folder, about, tiny_tokenizer(), model, "# a card\n")
    return folder
