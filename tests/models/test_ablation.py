"""The ablation table: a training for every row and seed, none done twice, and a run that was cut off goes on."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench.ablation import Ablation
from tests.bench.ablation_data import Budget
from tests.bench.ablation_rows import BASE, Trial
from tests.bench.ablation_table import table

from .conftest import tiny_tokenizer
from .rows import sentiment_rows, triplet_rows, write_rows

SMALL = Budget(rows=6, opinions=4, dev=4, validation=4, tokens=32, steps=3)
CHOSEN = ["focal", "lstm × vectors", "distilled", "no terms"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """So many rows that a share of them can be kept from training; some labels are wrong, so that no model is sure."""
    ends = ("", "!", " fast", " slow", "，", "。", " the", " is")
    labels = ("positive", "negative", "neutral", *[None] * 5)
    rows = []
    for row in sentiment_rows():
        assert isinstance(row, dict)
        rows += [
            row | {"text": row["text"] + end, "label": label or row["label"]}
            for end, label in zip(ends, labels, strict=True)
        ]
    for part in ("train", "dev"):
        write_rows(tmp_path / "data" / part / "mood.jsonl.gz", rows)
        write_rows(tmp_path / "data" / part / "triplets.jsonl.gz", triplet_rows())
    return tmp_path / "data"


def ablation(data: Path, backbone: Path, out: Path, recipe: Path, budget: Budget = SMALL) -> Ablation:
    return Ablation(data, backbone, out, recipe, budget)


def shown(ready: Ablation, seeds: list[int], minutes: float = float("inf")) -> list[str]:
    chosen = ready.chosen(CHOSEN)
    return [*table(ready.truth, [each.name for each in chosen], seeds, ready.run(chosen, seeds, minutes))]


def test_every_row_is_made_once_a_seed_and_stands_when_it_is_asked_for_again(
    data: Path, backbone: Path, recipe: Path, tmp_path: Path
) -> None:
    first = ablation(data, backbone, tmp_path / "out", recipe)
    names = [each.name for each in first.chosen(CHOSEN)]
    assert {BASE, "another seed, nothing else", "distilled from the ensemble"} < set(names)
    lines = shown(first, [1, 2])
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines[2 : 2 + len(names)]] == names
    made = tmp_path / "out" / "rows.jsonl"
    before = made.read_text()
    told = [(each.name, each.seed) for each in first.made.values()]
    # Seed by seed: what is cut off is a whole table of fewer seeds.
    assert told == [(name, seed) for seed in (1, 2) for name in names]
    # Killed while it wrote the last training: that one is done again, and no other.
    made.write_text(before[:-20])
    again = ablation(data, backbone, tmp_path / "out", recipe)
    last = again.chosen(CHOSEN)[-1]
    assert shown(again, [1, 2], minutes=0)[-1] == f"With fewer seeds so far: {last.name} (1)."
    assert len(shown(again, [1, 2])) == len(lines)
    assert made.read_text().splitlines()[:-1] == before.splitlines()[:-1]


def test_what_is_made_of_other_rows_or_with_another_budget_does_not_stand(
    data: Path, backbone: Path, recipe: Path, tmp_path: Path
) -> None:
    first = ablation(data, backbone, tmp_path / "out", recipe)
    base = first.chosen([BASE])
    first.run(base, [1])
    longer = ablation(data, backbone, tmp_path / "out", recipe, replace(SMALL, steps=4))
    assert first.stands(base[0], 1)
    assert not first.stands(base[0], 2)
    assert not longer.stands(base[0], 1)


def test_rows_are_few_and_short_and_of_dev_rows_every_class_has_as_many(
    data: Path, backbone: Path, recipe: Path, tmp_path: Path
) -> None:
    recipe.write_text(recipe.read_text().replace("{name: mood, ", "{name: mood, lexicon: true, "))
    short = replace(SMALL, tokens=9)
    drawn = ablation(data, backbone, tmp_path / "out", recipe, short).drawn
    assert Counter(row.label for row in drawn.moods) == dict.fromkeys((0, 1, 2), short.dev)
    labelled = [row for row in drawn.rows.train if row.source == "mood"]
    assert (len(labelled), len(drawn.pool), {row.label for row in drawn.pool}) == (short.rows, short.rows, {None})
    assert {row.text for row in labelled}.isdisjoint(row.text for row in (*drawn.pool, *drawn.rows.validation))
    # What the lexicon finds is in the rows, and not in those of the trial without it.
    assert any(row.opinions for row in labelled)
    assert [row.text for row in drawn.plain] == [row.text for row in drawn.rows.train]
    assert not any(row.opinions for row in drawn.plain if row.source == "mood")
    pieces = tiny_tokenizer()
    assert max(len(pieces.encode(text).ids) for text in drawn.texts()) <= short.tokens


def test_a_training_that_goes_astray_is_missing_and_the_others_are_not(
    data: Path, backbone: Path, recipe: Path, tmp_path: Path
) -> None:
    ready = ablation(data, backbone, tmp_path / "out", recipe)
    wild = Trial("wild", schedule={"optimiser": "sgd", "learning_rate": 1e30, "decay": "constant", "clip_norm": 1e30})
    made = ready.run([ready.trials[0], wild, ready.trials[3]], [1])
    assert [each.name for each in made] == [BASE, ready.trials[3].name]


def test_a_companion_stands_beside_the_base_of_the_same_seed(
    data: Path, backbone: Path, recipe: Path, tmp_path: Path
) -> None:
    ready = ablation(data, backbone, tmp_path / "out", recipe, replace(SMALL, steps=40, validation=40))
    chosen = ready.chosen(["companion"])
    assert [each.name for each in chosen] == [BASE, "linear companion beside the base"]
    base, beside = ready.run(chosen, [2])
    assert beside.terms == []
    assert len(beside.moods) == len(base.moods) == len(ready.truth.labels)
    network = ready.accompanied(2)
    assert network.companion is not None
    texts = [row.text for row in ready.drawn.moods]
    assert beside.moods == ready.told(chosen[1], 2, network.moods(texts)).moods
    network.companion = None
    assert network.moods(texts) != ready.accompanied(2).moods(texts)


def test_a_backbone_of_fewer_pieces_reads_the_rows_as_the_whole_one_does(
    data: Path, backbone: Path, recipe: Path, tmp_path: Path
) -> None:
    ready = ablation(data, backbone, tmp_path / "out", recipe)
    done = ready.train(ready.trials[0], 1, 1)
    assert done.model.vocabulary == ready.tokens.tokenizer.get_vocab_size()
    texts = ready.drawn.texts()
    pieces = [ready.tokens.tokenizer.encode(text).tokens for text in texts]
    whole = ablation(data, ready.backbone, tmp_path / "again", recipe)
    assert [whole.tokens.tokenizer.encode(text).tokens for text in texts] == pieces
    assert "<unk>" not in pieces[0]
