from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from opinionwatch.models.examples import Example
from opinionwatch.models.inputs import HashedPieces, load_vectors, pieces_of
from opinionwatch.models.recipe import Body, Recipe, SentimentSource
from opinionwatch.models.scratch import MOST_PARTS
from opinionwatch.models.textcnn import TextCnn
from opinionwatch.models.tokens import TextTokens
from opinionwatch.models.vocabulary import make_tokenizer, train_tokenizer
from opinionwatch.pipeline.errors import SettingsError

PIECES = ["<s>", "▁battery", "battery", "▁", "味道", "▁screen"]


def vectors(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_words_of_a_file_start_the_pieces_that_are_those_words(tmp_path: Path) -> None:
    table = torch.zeros(len(PIECES), 2)
    file = vectors(tmp_path / "w.vec", "3 2\nBattery 1 2\n味道 3 4\nunknown 5 6\n")
    assert load_vectors(file, table, PIECES) == 2
    # `battery` without a word start is the inside of a word; Chinese writes no word starts.
    assert table.tolist() == [[0, 0], [1, 2], [0, 0], [0, 0], [3, 4], [0, 0]]


def test_words_with_blanks_in_them_are_passed_over(tmp_path: Path) -> None:
    table = torch.zeros(len(PIECES), 2)
    file = vectors(
        tmp_path / "glove.txt", "the 1 2\nbattery . . 3 4\nscreen 5 6\nbattery at x@y.com 7 8\nbattery 9 1\n"
    )
    assert load_vectors(file, table, PIECES) == 2
    assert (table[1].tolist(), table[5].tolist()) == ([9, 1], [5, 6])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("battery 1\n", "none of its words"),
        ("x 1 2\nbattery 1 2 3\n", ":2: expected 2 finite numbers"),
        ("x 1 2\nbattery 1 nan\n", ":2: expected 2 finite numbers"),
        ("x 1 2\nbattery 1 two\n", ":2: could not convert"),
        ("x 1 2\n", "none of its words"),
        ("", "none of its words"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_the_line(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        load_vectors(vectors(tmp_path / "w.vec", text), torch.zeros(len(PIECES), 2), PIECES)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nowhere"):
        load_vectors(tmp_path / "nowhere.vec", torch.zeros(1, 2), ["▁x"])


def test_pieces_that_share_their_letters_share_their_vector_and_parts_are_kept_exactly() -> None:
    inputs = HashedPieces(4, 8, MOST_PARTS)
    inputs.learn_pieces(["great", "greatest", "GREAT", "味道"])
    ids, mask = torch.arange(4).unsqueeze(0), torch.ones(1, 4)
    found = inputs(ids, mask)[0]
    assert torch.equal(found[0], found[2])
    like = torch.cosine_similarity(found[0], found[1:4], dim=-1)
    assert like[0] > 0.5
    assert inputs.parts.max() == 1 << 16


def test_a_vocabulary_is_trained_on_texts_of_any_script() -> None:
    texts = ["the battery is great", "味道很好，服务差", "the screen is slow"] * 20
    tokenizer = train_tokenizer(texts, 120)
    tokens = TextTokens(tokenizer, 32)
    ids = tokens.encode(["the battery 味道"])[0].ids
    assert (ids[0], ids[-1]) == (tokenizer.token_to_id("<s>"), tokenizer.token_to_id("</s>"))
    assert tokens.unknown not in ids
    assert tokenizer.get_vocab_size() <= 124
    assert [tokenizer.token_to_id(name) for name in ("<s>", "<pad>", "</s>", "<unk>")] == [0, 1, 2, 3]
    assert pieces_of(tokenizer)[1] == "<pad>"


def recipe(**body: object) -> Recipe:
    return Recipe(name="x", body=Body.model_validate(body), sentiment=(SentimentSource(name="a", terms="ours"),))


def test_a_pretrained_encoder_keeps_its_own_pieces() -> None:
    for body in ({"vocabulary": 200}, {"architecture": "lstm", "inputs": "frozen", "vocabulary": 200}):
        with pytest.raises(SettingsError, match="reads its own pieces"):
            make_tokenizer(recipe(**body), "", [])
    rows = [Example("the battery is great", "s", "en", label=2)] * 9
    assert make_tokenizer(recipe(architecture="textcnn", vocabulary=100), "", rows).get_vocab_size() <= 104


def test_vectors_without_a_file_are_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(SettingsError, match="needs `vectors`"):
        TextCnn.from_backbone("", Body(architecture="textcnn", inputs="vectors"), tokenizer)
