import io
from pathlib import Path

import pytest
import torch
from rich.console import Console

from opinionwatch.models.artefact import load
from opinionwatch.models.compress import Plan, compress, texts_of
from opinionwatch.models.compress_show import to_table
from opinionwatch.models.encoder import Encoder
from opinionwatch.models.fit import fit
from opinionwatch.models.network import Network
from opinionwatch.models.prune import attentions, importance, keep_heads
from opinionwatch.models.tokens import TextTokens
from opinionwatch.models.trim import trim
from opinionwatch.pipeline.errors import SettingsError

from .conftest import tiny_tokenizer
from .rows import sentiment_rows, write_rows

TEXTS = [f"{word} {rest}" for word in ("the battery", "screen", "味道") for rest in ("is great", "很差", "slow") * 4]


def logits(artefact: Path, texts: list[str]) -> torch.Tensor:
    found = load(artefact)
    network = Network(found.model, found.tokens, torch.device("cpu"), torch.float32)
    return torch.tensor(network.moods(texts))


def test_a_trimmed_vocabulary_reads_the_texts_it_was_trimmed_for_as_before(artefact: Path, tmp_path: Path) -> None:
    done = compress(artefact, tmp_path / "small", Plan(vocabulary=True), TEXTS, [])
    before, after = load(artefact), load(tmp_path / "small")
    assert after.model.vocabulary < before.model.vocabulary
    assert done.bytes_after < done.bytes_before
    assert torch.allclose(logits(artefact, TEXTS), logits(tmp_path / "small", TEXTS), atol=1e-5)
    # Single letters stay, so that a word it never saw is still read.
    assert load(tmp_path / "small").tokens.unknown not in after.tokens.encode(["Q?"])[0].ids


def test_typed_special_tokens_stay_text_after_trimming() -> None:
    tokens = TextTokens(trim(TextTokens(tiny_tokenizer(), 32), TEXTS).tokenizer, 32)
    first, *inner, last = tokens.encode(["<pad> great </s>"])[0].ids
    assert tokens.pad not in inner
    assert {first, last}.isdisjoint(inner)


def test_tokens_that_were_added_beyond_the_vocabulary_come_after_what_is_left_of_it() -> None:
    whole = tiny_tokenizer()
    whole.add_special_tokens(["<user>"])
    trimmed, kept = trim(TextTokens(whole, 32), TEXTS)
    assert trimmed.token_to_id("<user>") == len(kept) - 1 == trimmed.get_vocab_size() - 1
    assert kept[-1] == whole.token_to_id("<user>")
    assert [kept[number] for number in trimmed.encode(TEXTS[0]).ids] == whole.encode(TEXTS[0]).ids


def test_a_head_that_changes_nothing_is_the_first_to_go(model: Encoder) -> None:
    block = attentions(model.body)[0]
    dense = block.get_submodule("output").get_submodule("dense")
    with torch.no_grad():
        dense.get_parameter("weight")[:, :16] = 0  # what head 0 says is not heard
    ids, mask = torch.tensor([[0, 5, 6, 7, 2], [0, 8, 9, 5, 2]]), torch.ones(2, 5, dtype=torch.long)
    before = model(ids, mask).sentiment
    weights = importance(model.body, lambda: iter([model(ids, mask).sentiment]))
    assert weights[0][0] == 0
    assert weights[0][1] > 0
    keep_heads(model.body, [[int(weights[0].argmax())], [0, 1]])
    assert torch.allclose(model(ids, mask).sentiment, before, atol=1e-5)


def test_fewer_heads_and_layers_make_an_artefact_that_loads_and_trains_on(
    artefact: Path, recipe: Path, data: Path, tmp_path: Path
) -> None:
    done = compress(artefact, tmp_path / "small", Plan(layers=1, heads=1), TEXTS, [])
    small = load(tmp_path / "small")
    assert (small.config.body.layers, small.config.body.heads) == (1, 1)
    assert done.bytes_after < done.bytes_before
    assert small.version == done.version
    recovered = fit(recipe, tmp_path / "run", data=data, backbone=str(tmp_path / "small"))
    assert recovered.recipe.body == small.config.body
    assert sum(part.numel() for part in recovered.model.parameters()) == sum(
        p.numel() for p in small.model.parameters()
    )


@pytest.mark.parametrize(
    ("plan", "why"),
    [
        (Plan(layers=2), "it has 2 already"),
        (Plan(heads=2), "a layer has 2 already"),
        (Plan(layers=9), "it has 2 already"),
    ],
)
def test_what_would_not_be_smaller_is_refused(artefact: Path, tmp_path: Path, plan: Plan, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        compress(artefact, tmp_path / "small", plan, TEXTS, [])


def test_an_artefact_is_not_written_over_itself(artefact: Path) -> None:
    before = {file.name: file.read_bytes() for file in artefact.iterdir()}
    with pytest.raises(SettingsError, match="is the artefact itself"):
        compress(artefact, artefact.parent / "." / artefact.name, Plan(layers=1), TEXTS, [])
    assert {file.name: file.read_bytes() for file in artefact.iterdir()} == before


def test_too_few_texts_cannot_say_what_matters(artefact: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="3 texts are too few"):
        compress(artefact, tmp_path / "small", Plan(heads=1), TEXTS[:3], [])


def test_the_cost_is_told_in_size_speed_and_quality(artefact: Path, tmp_path: Path) -> None:
    write_rows(tmp_path / "mood.jsonl.gz", sentiment_rows())
    done = compress(artefact, tmp_path / "small", Plan(layers=1), TEXTS, [tmp_path / "mood.jsonl.gz"])
    assert done.quality is not None
    assert [file.texts for file in done.quality.files] == [12]
    console = Console(width=120, file=io.StringIO())
    console.print(to_table(done))
    said = console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
    assert all(part in said for part in ("size, MB", "CPU seconds", "mood", done.version))


def test_a_speed_that_nothing_was_read_for_is_not_told(artefact: Path, tmp_path: Path) -> None:
    console = Console(width=120, file=io.StringIO())
    console.print(to_table(compress(artefact, tmp_path / "small", Plan(layers=1), [], [])))
    said = console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
    assert "size, MB" in said
    assert "CPU seconds" not in said


def test_texts_are_folded_as_the_pipeline_does_and_unreadable_rows_left_out(tmp_path: Path) -> None:
    write_rows(
        tmp_path / "mood.jsonl.gz", [{"text": "ｇｒｅａｔ　screen"}, "{broken", {"text": "差", "label": "negative"}]
    )
    assert texts_of([tmp_path / "mood.jsonl.gz"], 10) == ["great screen", "差"]
