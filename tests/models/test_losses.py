import pytest
import torch
from tokenizers import Tokenizer

from opinionwatch.models.batches import IGNORED, Row, collate, encode, epoch, pair_targets
from opinionwatch.models.encoder import Encoder
from opinionwatch.models.examples import Example
from opinionwatch.models.losses import losses, sentiment_loss
from opinionwatch.models.recipe import Schedule
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
