"""A backbone of a few thousand weights and a folder of hand-written rows: training takes seconds."""

from pathlib import Path

import pytest
import torch
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel

from opinionwatch.models.artefact import Config, save
from opinionwatch.models.calibrate import Calibration
from opinionwatch.models.encoder import Encoder
from opinionwatch.models.recipe import Body

from .rows import sentiment_rows, triplet_rows, write_rows

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,!?'<>/味道很好差屏幕电池快慢服务态度一般😀"
WORDS = ("the", "battery", "screen", "is", "great", "awful", "and", "service", "slow", "fast", "味道", "屏幕", "电池")
BODY = Body(layers=2, max_tokens=32, span_size=8)


def tiny_tokenizer() -> Tokenizer:
    """A Unigram tokenizer like the backbone's: `<pad>` and `</s>` are pieces as well as special tokens."""
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = [*dict.fromkeys([*(f"▁{word}" for word in WORDS), *WORDS])]
    vocabulary = [(name, 0.0) for name in special]
    vocabulary += [(piece, -4.0) for piece in pieces] + [("▁", -5.0)]
    vocabulary += [(letter, -8.0) for letter in dict.fromkeys(LETTERS)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=3, byte_fallback=False))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in special])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return tiny_tokenizer()


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backbone")
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=tiny_tokenizer().get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        pad_token_id=1,
    )
    BertModel(config).save_pretrained(folder)
    tiny_tokenizer().save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture
def model(backbone: Path) -> Encoder:
    torch.manual_seed(5)
    return Encoder.from_backbone(str(backbone), BODY).eval()


@pytest.fixture
def seeing(backbone: Path) -> Encoder:
    """A model that reads the sentiment towards a name as well."""
    torch.manual_seed(5)
    return Encoder.from_backbone(str(backbone), BODY.model_copy(update={"targets": True})).eval()


@pytest.fixture
def artefact(model: Encoder, tmp_path: Path) -> Path:
    folder = tmp_path / "artefact"
    config = Config(
        name="tiny",
        body=BODY,
        backbone=model.shape(),
        calibration={"en": Calibration(temperature=2.0, unsure_below=0.9), "other": Calibration()},
    )
    save(folder, config, tiny_tokenizer(), model, "# a card\n")
    return folder


RECIPE = """
name: tiny
body: {layers: 2, max_tokens: 32, span_size: 8, dropout: 0.0}
schedule: {epochs: 4, tokens_per_batch: 64, train_tokens: 32, learning_rate: 0.01, head_learning_rate: 0.01, threads: 1}
sentiment:
  - {name: mood, terms: ours}
opinions:
  - {name: triplets, terms: ours, repeat: 2}
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for part in ("train", "dev"):
        write_rows(tmp_path / "data" / part / "mood.jsonl.gz", sentiment_rows())
        write_rows(tmp_path / "data" / part / "triplets.jsonl.gz", triplet_rows())
    return tmp_path / "data"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(RECIPE)
    return path
