"""Many terms in one pass, each where it really stands."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opinionwatch.pipeline.fold import fold
from opinionwatch.pipeline.terms import Term, Terms


def found(term: str, text: str, *, case_sensitive: bool = False) -> list[str]:
    """What one term finds, as folded text."""
    folded = fold(text).text
    places = Terms([Term(term, case_sensitive)]).find(folded).get(0, [])
    return [folded[start:end] for start, end in places]


@pytest.mark.parametrize(
    ("term", "text"),
    [
        ("Lumora", "lumora is LUMORA"),
        ("Lumora", "Lumora's battery"),
        ("Lumora", "Lumora’s battery"),
        ("Lumora", "(lumora), “Lumora”."),
        ("Lumora", "#lumora @Lumora"),
        ("Lumora", "lumora_care and lumora-fans"),
        ("Lumora", "我的lumora手机"),
        ("Lumora", "Ｌｕｍｏｒａ"),
        ("Lumora", "Lumоrа"),
        ("Lumora", "#LumoraFail"),
        ("Lumora", "@LumoraCare2"),
        ("Lumora", "https://lumora.example/x"),
        ("Nestlé", "NESTLE and nestlé"),
        ("Nestle", "Nestlé"),
        ("Air Force", "air  force"),
        ("Air Force", "air\nforce, air-force, AIR_FORCE"),
        ("Air Force", "#AirForce #airforce"),
        ("air-force", "air force"),
        ("流墨", "流墨太差了,再也不买流墨"),
        ("流墨", "#流墨# 新品"),
        ("iPhone16手机", "iphone16手机 IPHONE16 手机"),
        ("小米 手机", "小米手机 小米 手机"),
        ("手机X1", "这个手机X1不行"),
        ("$TSLA", "buy $tsla now"),
        ("C++", "c++ and C++11"),
        (".NET", "ASP.NET, .net"),
        ("AT&T", "at&t sucks"),
        ("McDonald's", "mcdonald’s"),
        ("👎", "so bad 👎👎"),
        ("ありがとう", "どうもありがとうございます"),
        ("삼성", "삼성은 별로"),
        ("5G", "5g is slow"),
    ],
)
def test_a_term_is_found(term: str, text: str) -> None:
    assert found(term, text)


@pytest.mark.parametrize(
    ("term", "text"),
    [
        ("Lumora", "Lumoras and lumoran"),
        ("Lumora", "xlumora lumora1"),
        ("Lumora", "#lumorafail"),
        ("Lumora", "#xLumorafail"),
        ("seat", "seated, the seats"),
        ("Air Force", "airforce"),
        ("Air Force", "air of force"),
        ("Air Force", "fair force, air forces"),
        ("$TSLA", "TSLA"),
        ("C++", "abc++"),
        ("X", "X1 iPhoneX"),
        ("手机X1", "手机X12"),
        ("流墨", "流 的 墨"),
        ("5G", "15g 5gb"),
    ],
)
def test_a_term_is_not_found_in_what_only_looks_like_it(term: str, text: str) -> None:
    assert not found(term, text)


def test_case_matters_where_asked_for() -> None:
    assert found("SEAT", "a SEAT and a seat", case_sensitive=True) == ["SEAT"]
    assert found("Air Force", "air force Air Force AIR FORCE", case_sensitive=True) == ["Air Force"]
    assert found("手机X1", "手机x1 手机X1", case_sensitive=True) == ["手机X1"]
    assert found("SEAT", "#SEATFail #SeatFail", case_sensitive=True) == ["SEAT"]


def test_every_place_is_told_once() -> None:
    assert Terms([Term("lumora")]).find("lumora #LumoraFail #lumora") == {0: [(0, 6), (20, 26), (8, 14)]}
    assert Terms([Term("a b"), Term("a")]).find("#aB a b") == {0: [(4, 7), (1, 3)], 1: [(4, 5), (1, 2)]}


def test_an_empty_term_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        Terms([Term(" \u200b ")])


def test_no_terms_find_nothing() -> None:
    assert Terms([]).find("anything") == {}


WORDS = st.sampled_from(["a", "ab", "b", "电", "池", "电池", "#", "@", " ", "-", "A", "B1", "'s", "C++", "$", "é"])


@settings(max_examples=300, deadline=None)
@given(st.lists(WORDS, max_size=12).map("".join), st.lists(WORDS, min_size=1, max_size=4).map("".join))
def test_what_is_found_is_the_term(text: str, term: str) -> None:
    if not term.strip():
        return
    squashed = fold(term).text.lower().replace(" ", "").replace("-", "").replace("é", "e")
    for piece in found(term, text):
        assert piece.lower().replace(" ", "").replace("-", "").replace("é", "e") == squashed


def test_one_index_of_many_terms_finds_what_each_alone_finds() -> None:
    dice = Random(3)
    alphabet = ["lumora", "air", "force", "流墨", "电池", "手机", "x1", "太差", "$tsla", "5g"]
    terms = [Term(dice.choice(["", " "]).join(dice.choices(alphabet, k=dice.randint(1, 3)))) for _ in range(60)]
    index = Terms(terms)
    for _ in range(100):
        text = dice.choice(["", " ", "，"]).join(dice.choices(alphabet, k=12))
        together = index.find(text)
        for number, term in enumerate(terms):
            assert together.get(number, []) == Terms([term]).find(text).get(0, [])
