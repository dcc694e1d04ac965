"""What people complain about has one name in both languages."""

from collections import Counter

import pytest

from opinionwatch.pipeline.aspects import GENERAL, Aspects, Cell, built_in, cell
from opinionwatch.pipeline.contracts import Label, OpinionTerm, Reading, Sentiment

BUILT_IN = Aspects()


def reading(label: Label, *opinions: tuple[str | None, Label, float], at: int = 0, word: str = "o") -> Reading:
    chances = {"negative": 0.1, "neutral": 0.1, "positive": 0.1, label: 0.8}
    terms = tuple(
        OpinionTerm(
            aspect=aspect,
            opinion=word,
            polarity=polarity,
            aspect_span=(0, 1) if aspect else None,
            opinion_span=(at, at + 1),
            confidence=confidence,
        )
        for aspect, polarity, confidence in opinions
    )
    return Reading(sentiment=Sentiment(label=label, unsure=False, **chances), opinions=terms)


def test_the_taxonomy_is_bilingual_and_no_term_has_two_aspects() -> None:
    taxonomy = built_in()
    assert len(taxonomy) >= 28
    assert GENERAL not in taxonomy
    terms = Counter(term.lower() for name in taxonomy for term in taxonomy[name])
    assert [term for term, count in terms.items() if count > 1] == []
    for name, own in taxonomy.items():
        english = [term for term in own if term.isascii()]
        assert 8 <= len(english) <= 25, name
        assert 7 <= len(own) - len(english) <= 25, name


@pytest.mark.parametrize(
    ("term", "aspect"),
    [
        ("battery", "battery"),
        ("Batteries", "battery"),
        ("battery life", "battery"),
        ("the battery of my phone", "battery"),
        ("续航", "battery"),
        ("手机续航能力", "battery"),
        ("customer service", "support"),
        ("service", "service"),
        ("客服态度", "staff"),
        ("flight attendants", "staff"),
        ("queues", "punctuality"),
        ("外卖员", "delivery"),
        ("性价比", "price"),
        ("Ｗｉ－Ｆｉ", "network"),
        ("刹车", "safety"),
        ("股价", "earnings"),
        ("vibes", None),
        ("东西", None),
        ("", None),
    ],
)
def test_terms_of_both_languages_mean_an_aspect(term: str, aspect: str | None) -> None:
    assert BUILT_IN.canonical(term) == aspect


def test_the_longest_of_overlapping_terms_wins() -> None:
    assert [aspect.name for aspect in BUILT_IN.find("customer service and service, 客服电话")] == [
        "support",
        "service",
        "support",
    ]


def test_a_watchlists_own_terms_win_and_its_empty_aspects_are_left_out() -> None:
    own = Aspects({"cabin": ("seat", "legroom"), "battery": ("range",), "price": ()})
    assert own.canonical("seats") == "cabin"
    assert own.canonical("cabin") == "cabin"
    assert own.canonical("range") == own.canonical("电池") == "battery"
    assert own.canonical("price") is None
    assert own.canonical("seat belt") == "cabin"
    assert BUILT_IN.canonical("seats") == "seat"


def test_a_mention_is_counted_where_its_strongest_opinion_of_its_own_label_is() -> None:
    read = reading("negative", ("screen", "positive", 0.99), ("续航", "negative", 0.6), ("price", "negative", 0.9))
    assert cell(read, "…", BUILT_IN) == Cell("price", ("price", "battery", "screen"))
    read = reading("positive", ("screen", "positive", 0.5), ("price", "negative", 0.9))
    assert cell(read, "…", BUILT_IN) == Cell("screen", ("screen", "price"))


def test_unknown_aspects_give_way_to_known_ones_and_to_the_text() -> None:
    read = reading("negative", ("vibes", "negative", 0.9), ("price", "negative", 0.5))
    assert cell(read, "…", BUILT_IN).aspect == "price"
    read = reading("negative", ("vibes", "negative", 0.9))
    assert cell(read, "bad vibes, 物流太慢", BUILT_IN).aspect == "delivery"
    assert cell(read, "bad vibes", BUILT_IN) == Cell(GENERAL, ())


def test_an_opinion_term_may_say_what_it_is_about() -> None:
    assert cell(reading("negative", (None, "negative", 0.9), word="overpriced"), "…", BUILT_IN).aspect == "price"
    assert cell(reading("negative", ("vibes", "negative", 0.9), word="太卡"), "…", BUILT_IN).aspect == "performance"
    assert cell(reading("negative", ("battery", "negative", 0.9), word="slow"), "…", BUILT_IN).aspect == "battery"


def test_of_several_terms_in_the_text_the_one_nearest_to_the_opinion_counts() -> None:
    text = "the screen is fine but oh the battery drains"
    assert cell(reading("negative", (None, "negative", 0.9), at=38), text, BUILT_IN).aspect == "battery"
    assert cell(reading("negative", (None, "negative", 0.9), at=0), text, BUILT_IN).aspect == "screen"
    assert cell(reading("neutral"), text, BUILT_IN) == Cell("screen", ("screen", "battery"))


def test_remembered_answers_stay_bounded() -> None:
    aspects = Aspects()
    for number in range(12_000):
        aspects.canonical(f"thing {number}")
    assert len(aspects._known) <= 10_001
