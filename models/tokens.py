"""Text to token ids and back to character spans, with what users type kept from becoming control tokens."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import Encoding, Tokenizer

from opinionwatch.models.examples import Span

CHARACTERS_PER_TOKEN = 12
"""Texts are cut to this many characters a token before tokenising: a 50 MB word would stall the tokeniser."""
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def whole(text: str) -> str:
    """The text with U+FFFD for every lone surrogate, which no tokenizer takes; the pipeline writes it so, too."""
    return _SURROGATE.sub("\ufffd", text)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Ids of a text with its start and end tokens, and what the tokeniser knows of them."""

    ids: list[int]
    encoding: Encoding

    @property
    def offsets(self) -> list[Span]:
        """The characters each id covers, (0, 0) for the start and the end; few texts are asked for them."""
        # A lone word-start token claims the first character of the token after it: it gets no characters.
        told = self.encoding.offsets
        following = [start for start, _ in told[1:]] + [-1]
        return [(0, 0) if start == after else (start, end) for (start, end), after in zip(told, following, strict=True)]


class TextTokens:
    """Tokenises batches with `tokenizers` directly; spans are character offsets in the text as given.

    The strings of the special tokens are also Unigram pieces of some vocabularies (`<pad>`, `</s>`), so a user can type
    them, in several Unicode forms. Whatever way they come about inside a text, they are read as the unknown token.
    """

    def __init__(self, tokenizer: Tokenizer, max_tokens: int) -> None:
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_tokens)
        added = tokenizer.get_added_tokens_decoder()
        special = {token.content: number for number, token in added.items() if token.special}
        self.unknown = next((special[name] for name in ("<unk>", "[UNK]") if name in special), 0)
        self.pad = next((special[name] for name in ("<pad>", "[PAD]") if name in special), 0)
        self._special = frozenset(special.values()) - {self.unknown}
        self._added = tokenizer.num_special_tokens_to_add(is_pair=False)

    def encode(self, texts: Sequence[str]) -> list[Tokens]:
        """One entry a text, never longer than `max_tokens`."""
        limit = self.max_tokens * CHARACTERS_PER_TOKEN
        safe = [whole(text[:limit]) for text in texts]
        return [self._tokens(encoding) for encoding in self.tokenizer.encode_batch(safe)]

    def _tokens(self, encoding: Encoding) -> Tokens:
        ids = encoding.ids
        # More control tokens than the tokeniser adds: its own are marked, the others were typed, which is rare.
        if sum(map(self._special.__contains__, ids)) != self._added:
            ids = [
                self.unknown if number in self._special and not added else number
                for number, added in zip(ids, encoding.special_tokens_mask, strict=True)
            ]
        return Tokens(ids, encoding)


def token_span(span: Span, offsets: Sequence[Span]) -> Span | None:
    """First and last token (inclusive) that share characters with a character span; None where all are cut off."""
    touched = [at for at, (start, end) in enumerate(offsets) if start < span[1] and span[0] < end and start < end]
    return (touched[0], touched[-1]) if touched else None


def character_span(first: int, last: int, offsets: Sequence[Span], text: str) -> Span | None:
    """Characters of the tokens `first`…`last` without surrounding blanks; None where nothing is left."""
    start, end = offsets[first][0], offsets[last][1]
    raw = text[start:end]
    start += len(raw) - len(raw.lstrip())
    end = start + len(raw.strip())
    return (start, end) if start < end else None
