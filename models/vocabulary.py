"""Which pieces a model reads: the backbone's tokenizer, or one that is trained on the rows of the recipe."""

from collections.abc import Sequence
from pathlib import Path

import transformers
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from opinionwatch.models.examples import Example
from opinionwatch.models.recipe import Recipe
from opinionwatch.pipeline.errors import SettingsError

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
"""In the order of their ids, which are those of the shipped backbone."""


def make_tokenizer(recipe: Recipe, backbone: str, rows: Sequence[Example]) -> Tokenizer:
    """The tokenizer that a recipe asks for. SettingsError if a pretrained body is to read pieces it never saw."""
    size = recipe.body.vocabulary
    if size is None:
        return load_tokenizer(backbone)
    if recipe.body.architecture == "encoder" or recipe.body.inputs == "frozen":
        raise SettingsError("body.vocabulary: a pretrained encoder reads its own pieces; leave it null")
    return train_tokenizer([row.text for row in dict.fromkeys(rows)], size)


def load_tokenizer(backbone: str) -> Tokenizer:
    """The fast tokenizer of a folder or of a hub id. SettingsError if there is none that can be read."""
    path = Path(backbone) / "tokenizer.json"
    if path.exists():
        try:
            return Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises nothing more precise
            raise SettingsError(f"backbone '{backbone}': tokenizer.json: {error}") from error
    try:
        found = transformers.AutoTokenizer.from_pretrained(backbone, use_fast=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise SettingsError(f"backbone '{backbone}': {error}") from error
    inner: Tokenizer | None = getattr(found, "backend_tokenizer", None)
    if inner is None:
        raise SettingsError(f"backbone '{backbone}' has no fast tokenizer")
    return inner


def train_tokenizer(texts: Sequence[str], size: int) -> Tokenizer:
    """A Unigram vocabulary (Kudo, Subword Regularization, ACL 2018) of about `size` pieces, for texts in any script."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=size,
        special_tokens=[*SPECIAL],
        unk_token=SPECIAL[3],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIAL])
    ends = [(name, tokenizer.token_to_id(name)) for name in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    return tokenizer
