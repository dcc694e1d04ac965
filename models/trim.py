"""A smaller vocabulary: the pieces that texts really use, and the rows of the input table that go with them."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tokenizers import Tokenizer
from torch import Tensor

from opinionwatch.models.tokens import TextTokens
from opinionwatch.pipeline.errors import SettingsError

CHUNK = 4096


class _Part(BaseModel):
    """A part of `tokenizer.json` (huggingface/tokenizers); keys that are not named here stay as they are."""

    model_config = ConfigDict(extra="allow")


class _Unigram(_Part):
    type: Literal["Unigram"]
    vocab: list[tuple[str, float]]
    unk_id: int | None

    def pieces(self) -> list[str]:
        return [piece for piece, _ in self.vocab]

    def renumber(self, number_of: Mapping[int, int]) -> None:
        # Tokens that somebody added may lie beyond it.
        self.vocab = [self.vocab[old] for old in number_of if old < len(self.vocab)]
        self.unk_id = None if self.unk_id is None else number_of[self.unk_id]


class _WordPiece(_Part):
    type: Literal["WordPiece"]
    vocab: dict[str, int]

    def pieces(self) -> list[str]:
        return sorted(self.vocab, key=self.vocab.__getitem__)

    def renumber(self, number_of: Mapping[int, int]) -> None:
        self.vocab = {piece: number_of[old] for piece, old in self.vocab.items() if old in number_of}


class _Added(_Part):
    id: int


class _Special(_Part):
    ids: list[int]


class _Template(_Part):
    type: Literal["TemplateProcessing"]
    special_tokens: dict[str, _Special]

    def renumber(self, number_of: Mapping[int, int]) -> None:
        for special in self.special_tokens.values():
            special.ids = [number_of[old] for old in special.ids]


class _Ends(_Part):
    type: Literal["BertProcessing", "RobertaProcessing"]
    sep: tuple[str, int]
    cls: tuple[str, int]

    def renumber(self, number_of: Mapping[int, int]) -> None:
        self.sep = (self.sep[0], number_of[self.sep[1]])
        self.cls = (self.cls[0], number_of[self.cls[1]])


class _File(_Part):
    model: Annotated[_Unigram | _WordPiece, Field(discriminator="type")]
    added_tokens: list[_Added]
    post_processor: Annotated[_Template | _Ends, Field(discriminator="type")] | None


class Trimmed(NamedTuple):
    """A tokenizer with fewer pieces, and the old number of each of its pieces, ascending."""

    tokenizer: Tokenizer
    kept: list[int]


def trim(tokens: TextTokens, texts: Sequence[str]) -> Trimmed:
    """Keep special tokens, single characters, and every piece that the texts use; all keep their order.

    A text that is made of kept pieces is read as before. Raises SettingsError for a vocabulary whose pieces depend on
    one another (BPE): only Unigram and WordPiece can be trimmed.
    """
    try:
        whole = _File.model_validate_json(tokens.tokenizer.to_str())
    except ValidationError as error:
        raise SettingsError(f"this tokenizer cannot be trimmed: {error.errors()[0]['msg']}") from error
    used = {at for at, piece in enumerate(whole.model.pieces()) if len(piece.removeprefix("▁").removeprefix("##")) <= 1}
    used |= {token.id for token in whole.added_tokens} | {tokens.unknown}
    for at in range(0, len(texts), CHUNK):
        for row in tokens.encode(texts[at : at + CHUNK]):
            used.update(row.ids)
    kept = sorted(used)
    number_of = {old: new for new, old in enumerate(kept)}
    whole.model.renumber(number_of)
    for token in whole.added_tokens:
        token.id = number_of[token.id]
    if whole.post_processor is not None:
        whole.post_processor.renumber(number_of)
    return Trimmed(Tokenizer.from_str(whole.model_dump_json()), kept)


def rows_of(table: Tensor, kept: Sequence[int]) -> Tensor:
    """The rows (K, H) of an input table (V, H) that are kept."""
    return table[torch.tensor(kept)].clone()
