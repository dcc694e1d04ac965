"""Explanations of a network whose reasons are known, because it was taught them."""

from pathlib import Path
from typing import Literal

import pytest
import torch
from rich.console import Console
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel

from opinionwatch.models.artefact import load
from opinionwatch.models.calibrate import Calibration
from opinionwatch.models.companion import Companion, Mixing
from opinionwatch.models.encoder import input_layer
from opinionwatch.models.explain import Explanation, Weighed, explain
from opinionwatch.models.explain_show import coloured, to_text
from opinionwatch.models.network import Network
from opinionwatch.models.ngrams import Ngrams, features
from opinionwatch.models.recipe import Body
from opinionwatch.models.rnn import Gru
from opinionwatch.models.tokens import TextTokens
from opinionwatch.models.train import train
from tests.models.tiny import Taught, partisan_artefact

TEXT = "the screen is great and the battery"


@pytest.fixture
def network(recipe: Path, data: Path, backbone: Path, tmp_path: Path) -> Network:
    recipe.write_text(recipe.read_text().replace("epochs: 4", "epochs: 60"))
    stored = load(train(recipe, tmp_path / "run", data=data, backbone=str(backbone)).artefact)
    return Network(stored.model, stored.tokens, torch.device("cpu"), torch.float32)


def heaviest(text: str, found: Explanation) -> str:
    return text[slice(*max(found.words, key=lambda word: word.weight).span)]


def test_the_word_that_carries_the_mood_weighs_most_and_its_loss_is_felt(network: Network) -> None:
    found = explain(network, TEXT, Calibration())
    assert found.label == "positive"
    assert heaviest(TEXT, found) == "great"
    assert found.curve[0] == pytest.approx(found.probability)
    assert found.curve[-1] < found.probability - 0.2
    assert found.faithfulness > 0.1


def test_gradients_are_taken_without_cudnn_which_has_none_of_recurrent_layers_here(artefact: Path) -> None:
    stored = load(artefact)
    network = Network(stored.model, stored.tokens, torch.device("cpu"), torch.float32)
    seen: list[tuple[bool, bool]] = []
    network.model.body.register_forward_hook(
        lambda *_: seen.append((torch.is_grad_enabled(), torch.backends.cudnn.enabled))
    )
    explain(network, TEXT, Calibration())
    assert {cudnn for learns, cudnn in seen if learns} == {False}


@pytest.mark.parametrize("inputs", ["ngrams", "frozen"])
def test_whatever_a_body_reads_its_words_add_up_to_the_logit(
    inputs: Literal["ngrams", "frozen"], backbone: Path, tokenizer: Tokenizer
) -> None:
    torch.manual_seed(2)
    body = Body(architecture="rnn", inputs=inputs, layers=2, width=8, hidden=8, max_tokens=32)
    model = Gru.from_backbone(str(backbone), body, tokenizer)
    network = Network(model, TextTokens(tokenizer, 32), torch.device("cpu"), torch.float32)
    words = explain(network, TEXT, Calibration()).words
    [encoded] = network.tokens.encode([TEXT])
    empty = [encoded.ids[0], *[network.tokens.pad] * (len(encoded.ids) - 2), encoded.ids[-1]]
    with torch.no_grad():
        ids = torch.tensor([encoded.ids, empty])
        told = model(ids, torch.ones_like(ids)).sentiment
    target = int(told[0].argmax())
    assert sum(word.weight for word in words) == pytest.approx(float(told[0, target] - told[1, target]), abs=0.02)


def test_words_are_explained_and_not_their_places_of_which_there_may_be_more() -> None:
    shape = BertConfig(vocab_size=40, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64)
    body = BertModel(shape)
    assert shape.max_position_embeddings > shape.vocab_size
    assert input_layer(body) is body.get_input_embeddings()


def test_words_cover_the_text_in_order_without_overlap(network: Network) -> None:
    for text in (TEXT, "味道很好，服务差", "don't 很好!!"):
        words = explain(network, text, Calibration()).words
        places = [place for word in words for place in range(*word.span)]
        assert places == sorted(set(places))
        assert {at for at, sign in enumerate(text) if not sign.isspace()} <= set(places)


def test_a_text_without_words_explains_nothing_and_does_not_fail(network: Network) -> None:
    for text in ("", "   "):
        found = explain(network, text, Calibration())
        assert found.words == ()
        assert found.faithfulness == pytest.approx(0)


def test_what_the_encoder_attributes_adds_up_to_its_logit(network: Network) -> None:
    # Completeness: the sum is the logit of the text less that of the text of padding.
    found = explain(network, TEXT, Calibration())
    [encoded] = network.tokens.encode([TEXT])
    ids = torch.tensor([encoded.ids])
    empty = torch.full_like(ids, network.tokens.pad)
    empty[0, 0], empty[0, -1] = ids[0, 0], ids[0, -1]
    with torch.inference_mode():
        full, none = (network.model(each, torch.ones_like(ids)).sentiment[0, 2] for each in (ids, empty))
    total = sum(word.weight for word in found.words)
    assert total == pytest.approx(float(full - none), abs=0.05 * abs(float(full - none)) + 0.05)


def test_the_companion_is_explained_by_what_it_would_lose(network: Network) -> None:
    ngrams = Ngrams(bits=14, characters=1, pieces=1)
    [slow] = (row.ids for row in network.tokens.encode(["slow"]))
    numbers = features(["slow"], [slow], ngrams).numbers
    network.companion = Companion(Mixing(ngrams=ngrams, encoder=0.0, table=5.0)).eval()
    with torch.no_grad():
        network.companion.table[torch.from_numpy(numbers), 0] = 1.0
    text = "it is slow"
    found = explain(network, text, Calibration())
    assert found.label == "negative"
    assert heaviest(text, found) == "slow"


def test_what_is_said_of_a_name_is_explained_by_what_moves_it(tmp_path: Path) -> None:
    text = "Corvo beats Brava"
    taught: tuple[Taught, ...] = ((text, "Corvo", "positive"), (text, "Brava", "negative"))
    stored = load(partisan_artefact(tmp_path / "partisan", "positive", taught))
    network = Network(stored.model, stored.tokens, torch.device("cpu"), torch.float32)
    whole = explain(network, text, Calibration())
    assert [weighed.weight for weighed in whole.words] == pytest.approx([0.0] * 3, abs=1e-5)
    found = explain(network, text, Calibration(), [(12, 17)])
    assert (whole.label, found.label) == ("positive", "negative")
    [raw] = network.read([text], [[[(12, 17)]]])
    logits = [own + more for own, more in zip(raw.logits, raw.added[0], strict=True)]
    assert found.probability == pytest.approx(float(torch.tensor(logits).softmax(0)[0]), abs=1e-5)
    assert found.curve[0] == pytest.approx(found.probability)
    # Without the name there is nothing to be said of it but what the text says.
    gone = explain(network, "Corvo beats ", Calibration(), [(12, 17)])
    assert gone.label == "positive"
    assert max(abs(weighed.weight) for weighed in found.words) > 0.1


def test_beside_a_companion_a_name_weighs_as_much_as_it_counts(tmp_path: Path) -> None:
    text = "Corvo beats Brava"
    taught: tuple[Taught, ...] = ((text, "Corvo", "positive"), (text, "Brava", "negative"))
    stored = load(partisan_artefact(tmp_path / "partisan", "neutral", taught))
    network = Network(stored.model, stored.tokens, torch.device("cpu"), torch.float32)
    alone = explain(network, text, Calibration(), [(12, 17)])
    network.companion = Companion(Mixing(ngrams=Ngrams(bits=14, characters=1, pieces=1), encoder=0.5)).eval()
    beside = explain(network, text, Calibration(), [(12, 17)])
    assert (alone.label, beside.label) == ("negative", "negative")
    assert max(abs(word.weight) for word in alone.words) > 0.1
    assert [word.weight for word in beside.words] == pytest.approx(
        [0.75 * word.weight for word in alone.words], abs=1e-4
    )


def test_colours_tell_for_from_against_and_no_text_steers_the_terminal() -> None:
    text = "good bad \x1b[31m so"
    found = Explanation(
        "positive", 0.9, (Weighed((0, 4), 2.0), Weighed((5, 8), -0.5), Weighed((15, 17), 0.1)),
        (0.0, 0.5), (0.9, 0.2), (0.9, 0.6),
    )  # fmt: skip
    shown = coloured(text, found)
    assert {(span.start, span.end): str(span.style) for span in shown.spans} == {
        (0, 4): "black on green", (5, 8): "red",
    }  # fmt: skip
    assert "\x1b" not in shown.plain
    console = Console(width=100)
    with console.capture() as written:
        console.print(to_text(text, found))
    assert "positive 90%" in written.get()
    assert "faithfulness +0.40" in written.get()
