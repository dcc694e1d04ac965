"""The most useful documents first: unsure ones, and no two alike."""

import tracemalloc

from opinionwatch.pipeline.contracts import ScoredDocument, Sentiment
from opinionwatch.pipeline.label_queue import CHUNK, most_useful, uncertainty
from tests.pipeline.sample import document, scored


def doubtful(number: int, text: str, negative: float, neutral: float) -> ScoredDocument:
    mood = Sentiment(
        label="negative", negative=negative, neutral=neutral, positive=round(1 - negative - neutral, 4), unsure=True
    )
    whole = scored(document(number, text))
    return whole.model_copy(update={"reading": whole.reading.model_copy(update={"sentiment": mood})})


TEXTS = ("The battery drains overnight", "客服一直不回复我的消息", "Delivery took three weeks", "屏幕有一条绿线")


def test_the_unsure_ones_come_first() -> None:
    given = [doubtful(1, TEXTS[0], 0.98, 0.01), doubtful(2, TEXTS[1], 0.4, 0.3), doubtful(3, TEXTS[2], 0.7, 0.2)]
    found = most_useful(given, (), 3)
    assert [each.document.text for each in found] == [TEXTS[1], TEXTS[2], TEXTS[0]]


def test_copies_of_one_text_are_asked_for_once_before_anything_else_is() -> None:
    copies = [doubtful(number, f"{TEXTS[0]} again {number}", 0.34, 0.33) for number in range(20)]
    others = [doubtful(20 + number, text, 0.6, 0.2) for number, text in enumerate(TEXTS[1:])]
    found = most_useful([*copies, *others], (), 4)
    assert sum(each.document.text.startswith(TEXTS[0]) for each in found) == 1
    assert {each.document.text for each in found} >= {*TEXTS[1:]}


def test_what_people_have_labelled_makes_its_like_less_useful() -> None:
    given = [doubtful(1, f"{TEXTS[0]}!", 0.34, 0.33), doubtful(2, TEXTS[1], 0.6, 0.2)]
    assert most_useful(given, (), 1)[0].document.text == f"{TEXTS[0]}!"
    assert most_useful(given, [TEXTS[0]], 1)[0].document.text == TEXTS[1]


def test_however_many_are_labelled_they_are_compared_in_little_memory() -> None:
    given = [doubtful(1, f"{TEXTS[0]}!", 0.34, 0.33), doubtful(2, TEXTS[1], 0.6, 0.2)]
    known = [f"other {number}" for number in range(10 * CHUNK)]
    tracemalloc.start()
    try:
        found = most_useful(given, [*known, TEXTS[0]], 1)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found[0].document.text == TEXTS[1]
    assert most < 16_000_000


def test_of_nothing_comes_nothing_and_of_little_all() -> None:
    assert most_useful((), ["x"], 5) == []
    assert len(most_useful([scored(document(1))], (), 5)) == 1
    assert most_useful([scored(document(1))], (), 0) == []


def test_uncertainty_runs_from_sure_to_no_idea() -> None:
    third = Sentiment(label="neutral", negative=1 / 3, neutral=1 / 3, positive=1 / 3, unsure=True)
    assert uncertainty(third) > 0.999
    assert 0 < uncertainty(Sentiment(label="negative", negative=0.9, neutral=0.05, positive=0.05, unsure=False)) < 0.5
