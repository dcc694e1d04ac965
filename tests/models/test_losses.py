from dataclasses import replace
from math import log

import pytest
import torch
from tokenizers import Tokenizer

from opinionwatch.models.batches import IGNORED, Row, collate, encode, epoch, pair_targets, span_batch
from opinionwatch.models.encoder import Encoder
from opinionwatch.models.examples import Example
from opinionwatch.models.losses import losses, sentiment_loss
from opinionwatch.models.priors import priors
from opinionwatch.models.recipe import Distillation, Schedule
from opinionwatch.models.tokens import TextTokens

TEXT = "the battery is great"


def rows_of(tokenizer: Tokenizer, *examples: Example) -> list[Row]:
    return encode(examples, TextTokens(tokenizer, 32))


def gradient(logits: list[float], label: int, classes: int, weight: float) -> torch.Tensor:
    leaf = torch.tensor([logits], requires_grad=True)
    torch.autograd.backward(sentiment_loss(leaf, torch.tensor([label]), torch.tensor([classes]), weight))
    assert leaf.grad is not None
    return leaf.grad[0]


def test_a_two_class_row_moves_neutral_not_at_all() -> None:
    grad = gradient([0.3, 2.0, -0.5], 2, 2, 0.0)
    assert grad[1] == 0
    assert grad[2] < 0 < grad[0]


def test_at_full_weight_a_two_class_row_is_a_three_class_row() -> None:
    torch.testing.assert_close(gradient([0.3, 2.0, -0.5], 0, 2, 1.0), gradient([0.3, 2.0, -0.5], 0, 3, 0.0))


def test_rows_without_a_label_train_no_sentiment() -> None:
    logits = torch.randn(2, 3, requires_grad=True)
    loss = sentiment_loss(logits, torch.tensor([IGNORED, IGNORED]), torch.tensor([3, 3]), 0.5)
    torch.autograd.backward(loss)
    assert logits.grad is not None
    assert not logits.grad.any()


@pytest.mark.parametrize(
    ("example", "trained"),
    [
        (Example(TEXT, "s", "en", label=2), {"sentiment"}),
        (Example(TEXT, "s", "en", aspects=((4, 11),)), {"opinions.tag_aspects"}),
        (
            Example(TEXT, "s", "en", aspects=((4, 11),), opinions=((15, 20),), links=(((4, 11), (15, 20), 2),)),
            {"opinions.tag_aspects", "opinions.tag_opinions", "opinions.biaffine", "opinions.linear"},
        ),
    ],
)
def test_a_row_trains_only_the_heads_it_knows_about(
    model: Encoder, tokenizer: Tokenizer, example: Example, trained: set[str]
) -> None:
    batch = collate(rows_of(tokenizer, example), 1)
    total = losses(model, model(batch.ids, batch.mask), batch, Schedule()).total(Schedule())
    torch.autograd.backward(total)
    heads = {"sentiment", "opinions.tag_aspects", "opinions.tag_opinions", "opinions.biaffine", "opinions.linear"}
    moved = {
        head
        for head in heads
        for name, weight in model.named_parameters()
        if name.startswith(head) and weight.grad is not None and bool(weight.grad.any())
    }
    assert moved == trained


def test_pairs_hold_every_aspect_and_the_implied_one(tokenizer: Tokenizer) -> None:
    link = ((4, 11), (15, 20), 2)
    (row,) = rows_of(tokenizer, Example(TEXT, "s", "en", aspects=(link[0],), opinions=(link[1],), links=(link,)))
    assert row.aspects is not None
    assert row.opinions is not None
    _, _, pairs, classes = pair_targets([row], [row.aspects], [row.opinions])
    assert pairs.tolist() == [[-1, 0], [0, 0]]
    assert classes.tolist() == [0, 3]


def test_a_span_beyond_the_cut_is_dropped_with_its_link(tokenizer: Tokenizer) -> None:
    text = "the " * 40 + "battery"
    span = (len(text) - 7, len(text))
    example = Example(text, "s", "en", aspects=(), opinions=(span,), links=((None, span, 2),))
    (row,) = rows_of(tokenizer, example)
    assert (row.opinions, row.links) == ((), ())


def test_batches_hold_every_row_once_and_stay_within_the_budget(tokenizer: Tokenizer) -> None:
    rows = rows_of(tokenizer, *(Example("great " * n, "s", "en", label=0) for n in [1] * 9 + list(range(1, 28))))
    batches = epoch(rows, 64, 5, seed=1)
    assert sorted(len(row.ids) for batch in batches for row in batch) == sorted(len(row.ids) for row in rows)
    assert max(map(len, batches)) == 5
    assert all(len(batch) * max(len(row.ids) for row in batch) <= 64 for batch in batches)
    assert batches == epoch(rows, 64, 5, seed=1)
    assert batches != epoch(rows, 64, 5, seed=2)


def test_a_source_of_mostly_one_class_teaches_no_preference_for_it(model: Encoder, tokenizer: Tokenizer) -> None:
    examples = [Example(f"{TEXT} {number}", "chat", "en", label=0 if number < 8 else 2) for number in range(100)]
    told = {}
    for strength in (0.0, 1.0):
        batch = collate(encode(examples, TextTokens(tokenizer, 32), priors(examples, strength)), 1)
        same = torch.zeros(len(examples), 3, requires_grad=True)
        encoded = model(batch.ids, batch.mask)._replace(sentiment=same)
        torch.autograd.backward(losses(model, encoded, batch, Schedule()).sentiment)
        assert same.grad is not None
        told[strength] = same.grad.sum(0)
    assert told[0.0][2] < -0.5 < 0.2 < told[0.0][0], "what is commoner is to be said more often"
    assert told[1.0].abs().max() < 0.05, "said as often as it occurs there, it is to be said no more"


def test_a_row_that_no_teacher_was_asked_about_learns_all_of_its_label(model: Encoder, tokenizer: Tokenizer) -> None:
    [row] = rows_of(tokenizer, Example(TEXT, "s", "en", label=2))
    alike = (-log(3), -log(3), -log(3))
    batch = collate([replace(row, soft=alike), row], 1)
    same = torch.zeros(2, 3, requires_grad=True)
    encoded = model(batch.ids, batch.mask)._replace(sentiment=same)
    plan = Distillation(recipes=("teacher",), weight=0.75)
    torch.autograd.backward(losses(model, encoded, batch, Schedule(), plan).sentiment)
    assert same.grad is not None
    asked, alone = same.grad
    assert alone.abs().min() > 0.1
    torch.testing.assert_close(asked, alone / 4)


def test_the_place_of_a_name_is_learnt_and_the_text_keeps_its_own_sentiment(
    tokenizer: Tokenizer, seeing: Encoder
) -> None:
    text = "the battery is great the screen is awful"
    example = Example(text, "s", "en", targets=(((4, 11), 2), ((25, 31), 0)))
    batch = collate(rows_of(tokenizer, example), 1)
    [row] = batch.rows
    assert row.targets is not None
    spans = span_batch([(0, *span) for span, _ in row.targets])
    before = seeing(batch.ids, batch.mask)
    assert not seeing.toward(before, spans).any(), "it begins with no difference"
    optimiser = torch.optim.Adam(seeing.parameters(), lr=3e-3)
    for _ in range(40):
        loss = losses(seeing, seeing(batch.ids, batch.mask), batch, Schedule()).targets
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        assert seeing.sentiment.classify.weight.grad is None
        optimiser.step()
    after = seeing(batch.ids, batch.mask)
    told = after.sentiment[spans.row] + seeing.toward(after, spans)
    assert told.argmax(-1).tolist() == [2, 0]


def test_without_the_head_no_name_changes_anything(model: Encoder, tokenizer: Tokenizer) -> None:
    batch = collate(rows_of(tokenizer, Example(TEXT, "s", "en", targets=(((4, 11), 0),))), 1)
    encoded = model(batch.ids, batch.mask)
    assert float(losses(model, encoded, batch, Schedule()).targets.detach()) == 0
    assert not model.toward(encoded, span_batch([(0, 2, 2)])).any()
