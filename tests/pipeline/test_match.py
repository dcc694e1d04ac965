"""A document belongs to a watchlist by a clause that it can name."""

from typing import Any

import pytest

from opinionwatch.pipeline.contracts import Drop, Match
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.fold import fold
from opinionwatch.pipeline.match import MatchedDocument, MatchStage
from opinionwatch.pipeline.read import Read
from opinionwatch.pipeline.watchlists import Watchlist, watchlists
from tests.pipeline.test_read import NOW, document


def matches(text: str, *settings: dict[str, Any], lang: str = "en") -> tuple[Match, ...]:
    return MatchStage(watchlists(settings)).matches(fold(text), lang)


def test_any_of_the_names_is_enough_and_the_clause_is_the_one_that_matched() -> None:
    brand = {"id": "lumora", "names": ["Lumora", "流墨"]}
    assert matches("我的流墨坏了", brand) == (Match(watchlist="lumora", clause="name: 流墨", spans=((2, 4),)),)
    assert matches("流墨 Lumora 流墨", brand)[0].clause == "name: Lumora"
    assert matches("流墨 Lumora 流墨", brand)[0].spans == ((0, 2), (3, 9), (10, 12))
    assert matches("nothing", brand) == ()


def test_all_of_must_and_one_of_any_are_needed_beside_a_name() -> None:
    policy = {"id": "p", "names": ["Corvo"], "must": ["tax", "car"], "any": ["rise", "hike"]}
    assert matches("Corvo car tax hike", policy)[0].clause == "name: Corvo + must: tax + must: car + any: hike"
    for text in ("Corvo car tax", "Corvo car hike", "car tax hike", "Corvo tax rise hike"):
        assert matches(text, policy) == ()


def test_a_watchlist_may_do_without_names() -> None:
    topic = {"id": "t", "any": ["疫苗", "vaccine"], "must": ["副作用"]}
    assert matches("疫苗有副作用", topic)[0].clause == "must: 副作用 + any: 疫苗"
    assert matches("疫苗", topic) == ()
    assert matches("vaccine", {"id": "t", "any": ["vaccine"]})[0].clause == "any: vaccine"
    assert matches("t", {"id": "t", "any": ["vaccine"]}) == ()


def test_what_excludes_wins() -> None:
    assert matches("Lumora giveaway", {"id": "l", "names": ["Lumora"], "exclude": ["giveaway"]}) == ()


def test_an_ambiguous_name_needs_its_context() -> None:
    seat = {"id": "seat", "names": [{"term": "Seat", "context": ["car", "汽车"]}, "Seat Ibiza"]}
    assert matches("my seat was broken", seat) == ()
    assert matches("my Seat is a good car", seat)[0].spans == ((3, 7),)
    assert matches("my seat ibiza", seat)[0].clause == "name: Seat Ibiza"


def test_case_matters_for_a_marked_term_or_a_whole_watchlist() -> None:
    assert matches("a seat", {"id": "s", "names": ["case:SEAT"]}) == ()
    assert matches("a SEAT", {"id": "s", "names": ["case:SEAT"]})[0].clause == "name: case:SEAT"
    assert matches("apple pie", {"id": "s", "names": ["Apple"], "case_sensitive": True}) == ()


def test_a_language_may_be_asked_for() -> None:
    brand = {"id": "l", "names": ["Lumora"], "lang": "zh"}
    assert matches("Lumora", brand, lang="en") == ()
    assert matches("Lumora", brand, lang="zh")


def test_the_name_stands_in_for_names_and_the_id_for_the_name() -> None:
    assert Watchlist(id="lumora").names == ("lumora",)
    assert Watchlist(id="l", name="Lumora").names == ("Lumora",)
    assert Watchlist(id="l", any=("x",)).names == ()


def test_spans_are_places_in_the_shown_text() -> None:
    shown = "ﬁne: Ｌｕｍ\u200bｏｒａ!"
    (match,) = matches(shown, {"id": "l", "names": ["Lumora"]})
    assert [shown[start:end] for start, end in match.spans] == ["Ｌｕｍ\u200bｏｒａ"]


def test_a_match_says_where_the_folded_text_names_what_is_watched_and_not_what_only_stands_beside_it() -> None:
    lists = watchlists(
        (
            {"id": "corvo", "names": ["Corvo", "科沃"], "must": ["car"]},
            {"id": "brava", "names": [{"term": "Brava", "context": ["car"]}]},
            {"id": "topic", "any": ["mileage", "油耗"], "must": ["car"]},
            {"id": "cars", "must": ["car"]},
        )
    )
    text = "ﬁne: 科沃 beats the Ｂｒａｖａ car, mileage and all. Corvo!"
    [found] = MatchStage(lists)(Read()([document(text)], NOW), NOW)
    assert isinstance(found, MatchedDocument)
    folded = fold(text).text
    named = [[folded[start:end] for start, end in places] for places in found.targets]
    assert named == [["科沃", "Corvo"], ["Brava"], ["mileage"], ["car"]]
    assert [match.watchlist for match in found.matches] == ["corvo", "brava", "topic", "cars"]
    assert [text[slice(*span)] for span in found.matches[1].spans] == ["Ｂｒａｖａ"]


def test_a_document_may_belong_to_several_watchlists_in_the_order_of_the_settings() -> None:
    both = matches("Brava and Corvo", {"id": "c", "names": ["Corvo"]}, {"id": "b", "names": ["Brava"]})
    assert [match.watchlist for match in both] == ["c", "b"]


def test_what_nobody_watches_is_dropped_by_name() -> None:
    stage = MatchStage([Watchlist(id="lumora")])
    kept, dropped = stage(Read()([document("Lumora", id="1"), document("other", id="2")], NOW), NOW)
    assert isinstance(kept, MatchedDocument)
    assert dropped == Drop(id="2", source="forum", accepted_at=NOW, rule="no-watchlist")


def test_without_watchlists_everything_is_dropped() -> None:
    assert all(isinstance(one, Drop) for one in MatchStage([])(Read()([document("x")], NOW), NOW))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "x"}, "id"),
        ({"id": "a b"}, "id"),
        ({"id": "x", "names": ["ok", " "]}, "empty"),
        ({"id": "x", "exclude": ["case: "]}, "empty"),
        ({"id": "x", "names": [""]}, "names"),
        ({"id": "x", "nams": ["y"]}, "did you mean 'names'"),
        ({"id": "x", "names": [{"term": "y", "context": []}]}, "context"),
        ({"id": "x", "names": ["\u200b"]}, "empty"),
        ({"id": "x", "aspects": {"ride": [" "]}}, "empty"),
    ],
)
def test_a_watchlist_that_cannot_work_is_refused_by_name(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        watchlists([given])


def test_ids_must_differ() -> None:
    with pytest.raises(SettingsError, match="twice"):
        watchlists([{"id": "x"}, {"id": "x"}])


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Watchlist.model_fields.values())
