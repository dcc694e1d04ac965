"""What a body that is trained from scratch reads: token ids to vectors, in four ways.

* `subwords`: a vector a piece, learnt with everything else.
* `vectors`: the same, started from a file of word2vec, GloVe or fastText vectors in text form. A piece that begins a
  word takes the vector of that word; other pieces, and words the file lacks, start at random.
* `ngrams`: the sum of the vectors of a piece's hashed character n-grams (Bojanowski et al., Enriching Word Vectors with
  Subword Information, TACL 2017): pieces that were never trained on are read by their parts.
* `frozen`: the last hidden states of a pretrained encoder that is not trained itself.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from opinionwatch.models.ngrams import Ngrams, features
from opinionwatch.pipeline.errors import SettingsError

Kind = Literal["subwords", "vectors", "ngrams", "frozen"]
HASH_BITS, LONGEST_NGRAM = 16, 4
WORD_START = "▁"
LONGEST_LINE = 1 << 20
SPREAD = 0.1
"""Standard deviation of vectors that start at random."""


class Subwords(nn.Module):
    """A learnt vector a piece: ids (B, L) → (B, L, width)."""

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.table = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.table.weight, std=SPREAD)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:  # noqa: ARG002, all inputs are called alike
        """Vectors of the ids."""
        vectors: Tensor = self.table(ids)
        return vectors


class HashedPieces(nn.Module):
    """The sum of the vectors of each piece's character n-grams, over the root of how many there are."""

    def __init__(self, vocabulary: int, width: int, most: int) -> None:
        super().__init__()
        self.width = width
        self.table = nn.Embedding((1 << HASH_BITS) + 1, width, padding_idx=1 << HASH_BITS)
        nn.init.normal_(self.table.weight[: 1 << HASH_BITS], std=SPREAD)
        # Written with the weights, so that an artefact needs no tokenizer to be rebuilt.
        self.parts: Tensor
        self.register_buffer("parts", torch.full((vocabulary, most), 1 << HASH_BITS, dtype=torch.int32))

    def learn_pieces(self, pieces: Sequence[str]) -> None:
        """Set the n-grams of every piece of a vocabulary."""
        wanted = Ngrams(bits=HASH_BITS, characters=LONGEST_NGRAM, pieces=0, longest=32)
        found = features(pieces, [[] for _ in pieces], wanted)
        for at in range(len(pieces)):
            own = torch.from_numpy(found.numbers[found.starts[at] : found.starts[at + 1]])[: self.parts.shape[1]]
            self.parts[at, : len(own)] = own.to(self.parts.dtype)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:  # noqa: ARG002, all inputs are called alike
        """Vectors of the ids."""
        parts = self.parts[ids]
        known = (parts != 1 << HASH_BITS).sum(-1, keepdim=True).clamp(min=1)
        sums: Tensor = self.table(parts).sum(-2)
        return sums / known.sqrt().to(sums.dtype)


def pieces_of(tokenizer: Tokenizer) -> list[str]:
    """The vocabulary in the order of its ids; gaps are empty."""
    pieces = [""] * tokenizer.get_vocab_size()
    for piece, number in tokenizer.get_vocab().items():
        if number < len(pieces):
            pieces[number] = piece
    return pieces


def load_vectors(path: Path, table: Tensor, pieces: Sequence[str]) -> int:
    """Copy the vectors of a text file into the rows of the pieces that are words; returns how many there were.

    A line is `word number number …`; a first line of two numbers (word2vec, fastText) is a header. GloVe's largest file
    has words with blanks in them, which are passed over: no piece is one. Raises SettingsError for a file that cannot
    be read, vectors of another width, or numbers that are none or not finite.
    """
    rows: dict[str, list[int]] = {}
    for at, piece in enumerate(pieces):
        word = piece.removeprefix(WORD_START).lower()
        # A piece inside a word is no word, except in scripts that write none.
        if word and (piece.startswith(WORD_START) or not word.isascii()):
            rows.setdefault(word, []).append(at)
    taken = 0
    width = table.shape[1]
    for number, word, values in _lines(path):
        if len(values) > width and not all(map(_is_number, values[:-width])):
            continue
        for row in rows.pop(word.lower(), []):
            try:
                vector = torch.tensor(np.array(values, dtype=np.float32))
            except ValueError as error:
                raise SettingsError(f"{path}:{number}: {error}") from error
            if vector.shape != table[row].shape or not bool(torch.isfinite(vector).all()):
                raise SettingsError(f"{path}:{number}: expected {width} finite numbers, as `width` says")
            table[row] = vector
            taken += 1
    if not taken:
        raise SettingsError(f"{path}: none of its words is in the vocabulary")
    return taken


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _lines(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            number = 0
            while line := file.readline(LONGEST_LINE):
                number += 1
                word, *values = line.rstrip().split(" ")
                if number > 1 or len(values) > 1:
                    yield number, word, values
    except OSError as error:
        raise SettingsError(f"cannot read the vectors: {error}") from error
