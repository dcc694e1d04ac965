import pytest
from tokenizers import Tokenizer

from opinionwatch.models.tokens import TextTokens, character_span, token_span


@pytest.fixture
def tokens(tokenizer: Tokenizer) -> TextTokens:
    return TextTokens(tokenizer, 32)


@pytest.mark.parametrize("typed", ["a <pad> b", "a </s> b", "a <s>b", "＜pad＞", "</s></s>"])
def test_a_typed_control_token_is_read_as_unknown(tokens: TextTokens, typed: str) -> None:
    ids = tokens.encode([typed])[0].ids
    assert ids[0] == 0
    assert ids[-1] == 2
    assert not {0, 1, 2} & set(ids[1:-1])


def test_a_lone_surrogate_does_not_stop_the_batch(tokens: TextTokens) -> None:
    assert len(tokens.encode(["the \ud800 screen", "great"])) == 2


def test_empty_and_emoji_texts_have_tokens(tokens: TextTokens) -> None:
    assert [len(one.ids) >= 2 for one in tokens.encode(["", " ", "😀😀", "\u200b"])] == [True] * 4


def test_a_long_text_is_cut_before_it_is_tokenised(tokens: TextTokens) -> None:
    found = tokens.encode(["a" * 5_000_000])[0]
    assert len(found.ids) == 32
    assert max(end for _, end in found.offsets) <= 32 * 12


def test_every_span_of_words_survives_the_way_to_tokens_and_back(tokens: TextTokens) -> None:
    text = "the  battery is great, 味道很好"
    offsets = tokens.encode([text])[0].offsets
    for part in ("battery", "great", "味道", "很好", "battery is great"):
        start = text.index(part)
        span = token_span((start, start + len(part)), offsets)
        assert span is not None
        assert character_span(*span, offsets, text) == (start, start + len(part))


def test_a_span_that_is_cut_off_has_no_tokens(tokens: TextTokens) -> None:
    text = "the " * 40 + "battery"
    assert token_span((len(text) - 7, len(text)), tokens.encode([text])[0].offsets) is None
