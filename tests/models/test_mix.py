import torch
from tokenizers import Tokenizer

from opinionwatch.models.batches import IGNORED, collate, encode
from opinionwatch.models.encoder import Encoder
from opinionwatch.models.examples import Example
from opinionwatch.models.losses import losses
from opinionwatch.models.mix import mixed, partners
from opinionwatch.models.recipe import Schedule
from opinionwatch.models.tokens import TextTokens


def test_partners_know_the_same_classes_and_a_row_without_label_has_none() -> None:
    labels = torch.tensor([0, 1, 2, 0, 2, IGNORED, 1, 0])
    classes = torch.tensor([3, 3, 3, 2, 2, 3, 3, 2])
    seen = set()
    for seed in range(20):
        torch.manual_seed(seed)
        found = partners(labels, classes)
        assert found[5] == 5
        assert torch.equal(classes[found], classes)
        assert not bool((labels[found] == IGNORED)[labels != IGNORED].any())
        assert sorted(found.tolist()) == [*range(8)]
        seen.add(tuple(found.tolist()))
    assert len(seen) > 10


def test_mixed_logits_lie_between_those_of_a_row_and_its_partner() -> None:
    torch.manual_seed(2)
    logits, other = torch.randn(4, 3), torch.tensor([1, 0, 3, 2])
    between, share = mixed(logits, other, 0.4)
    assert 0 <= share <= 1
    assert torch.allclose(between, logits + (1 - share) * (logits[other] - logits))


def test_a_recipe_that_mixes_has_the_loss_of_both_answers(model: Encoder, tokenizer: Tokenizer) -> None:
    rows = [Example("the battery is great", "s", "en", 2), Example("slow screen", "s", "en", 0)]
    batch = collate(encode(rows, TextTokens(tokenizer, 32)), pad=1)
    encoded = model(batch.ids, batch.mask)
    found = set()
    for seed in range(12):
        torch.manual_seed(seed)
        given = losses(model, encoded, batch, Schedule(mix=1.0)).sentiment
        torch.manual_seed(seed)
        other = partners(batch.labels, batch.classes)
        between, share = mixed(encoded.sentiment, other, 1.0)
        told = -between.log_softmax(-1)
        own, theirs = (told[torch.arange(2), labels].mean() for labels in (batch.labels, batch.labels[other]))
        assert torch.allclose(given, share * own + (1 - share) * theirs)
        found.add(round(float(given.detach()), 6))
    assert len(found) > 3
