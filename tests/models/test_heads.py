import torch

from opinionwatch.models.batches import bio, span_batch
from opinionwatch.models.decode import Decoding, spans_of, triplets
from opinionwatch.models.encoder import Encoded, Encoder
from opinionwatch.models.heads import NEAR_TOKENS, OpinionsHead, SentimentHead

PAIRS = 4


def test_padding_changes_nothing_in_the_pooled_text() -> None:
    head = SentimentHead(6, 0.0).eval()
    hidden = torch.randn(1, 3, 6)
    padded = torch.cat([hidden, torch.full((1, 2, 6), 9.0)], 1)
    short = head(hidden, torch.tensor([[1, 1, 1]]))
    torch.testing.assert_close(short, head(padded, torch.tensor([[1, 1, 1, 0, 0]])))


def test_tags_and_spans_are_inverse() -> None:
    spans = [(1, 2), (3, 3), (6, 8)]
    assert spans_of(bio(spans, 10)) == spans


def test_the_implied_aspect_has_a_vector_of_its_own() -> None:
    head = OpinionsHead(6, 4, 0.0).eval()
    hidden = torch.randn(1, 5, 6)
    aspects, opinions = span_batch([(0, 1, 2)]), span_batch([(0, 3, 4)])
    before = head.pairs(hidden, aspects, opinions, torch.tensor([[-1, 0], [0, 0]]))
    with torch.no_grad():
        head.implied += 1
    after = head.pairs(hidden, aspects, opinions, torch.tensor([[-1, 0], [0, 0]]))
    assert before.shape == (2, PAIRS)
    assert not torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1])


def test_spans_far_apart_are_all_alike_to_the_distance() -> None:
    head = OpinionsHead(6, 4, 0.0).eval()
    with torch.no_grad():
        head.distance.weight.normal_()
    hidden = torch.zeros(1, 80, 6)
    opinions = span_batch([(0, NEAR_TOKENS + 5, NEAR_TOKENS + 5), (0, 70, 70)])
    near, far = head.pairs(hidden, span_batch([(0, 1, 1)]), opinions, torch.tensor([[0, 0], [0, 1]]))
    assert torch.equal(near, far)


class Fixed(Encoder):
    """Gives the pair logits it is told, so that only the decoding is tested."""

    def __init__(self, logits: list[list[float]]) -> None:
        torch.nn.Module.__init__(self)
        self.logits = torch.tensor(logits)

    def pairs(self, *_: object) -> torch.Tensor:
        return self.logits


def encoded(aspects: list[tuple[int, int]], opinions: list[tuple[int, int]], size: int) -> Encoded:
    def one_hot(spans: list[tuple[int, int]]) -> torch.Tensor:
        return torch.nn.functional.one_hot(torch.tensor([bio(spans, size)]), 3).float()

    return Encoded(torch.zeros(1, 3), one_hot(aspects), one_hot(opinions), torch.zeros(1, size, 2))


NONE, NEGATIVE, POSITIVE = [9.0, 0, 0, 0], [0, 9.0, 0, 0], [0, 0, 0, 9.0]


def test_an_opinion_goes_to_every_linked_aspect_and_not_to_the_implied_one() -> None:
    found = triplets(Fixed([POSITIVE, NEGATIVE, NONE]), encoded([(1, 1), (5, 5)], [(3, 3)], 8), [8])
    assert [(t.aspect, t.opinion, t.polarity) for t in found[0]] == [((1, 1), (3, 3), 0)]


def test_an_opinion_without_an_aspect_is_about_the_implied_one() -> None:
    found = triplets(Fixed([POSITIVE, NONE]), encoded([(1, 1)], [(3, 4)], 8), [8])
    assert [(t.aspect, t.opinion, t.polarity) for t in found[0]] == [(None, (3, 4), 2)]


def test_a_term_that_links_to_nothing_is_no_opinion() -> None:
    assert triplets(Fixed([NONE, NONE]), encoded([(1, 1)], [(3, 4)], 8), [8]) == [[]]


def test_the_start_and_end_tokens_are_never_terms() -> None:
    assert triplets(Fixed([]), encoded([(0, 0)], [(7, 7)], 8), [8]) == [[]]


def test_a_bias_tells_terms_and_links_more_readily_and_leaves_the_confidence_honest() -> None:
    doubtful = encoded([], [], 6)._replace(opinion_tags=torch.tensor([[[1.0, 0.5, 0.0]] * 6]))
    model = Fixed([[1.0, 0.0, 0.0, 0.5]] * 4)
    assert triplets(model, doubtful, [6]) == [[]]
    found = triplets(model, doubtful, [6], Decoding(term_bias=1, link_bias=1))[0]
    assert [(t.aspect, t.opinion, t.polarity) for t in found] == [(None, (at, at), 2) for at in range(1, 5)]
    assert all(t.confidence < 0.5 for t in found)


def test_a_bias_against_links_tells_fewer_and_never_one_of_no_polarity() -> None:
    text, model = encoded([(1, 1)], [(3, 3)], 6), Fixed([[1.0, 0.0, 0.0, 1.5]] * 2)
    assert [(t.aspect, t.polarity) for t in triplets(model, text, [6])[0]] == [((1, 1), 2)]
    assert triplets(model, text, [6], Decoding(link_bias=-1)) == [[]]
