"""What watchlists make of texts: clauses, warnings."""

from datetime import UTC, datetime

import orjson

from opinionwatch.pipeline.ports import Item
from opinionwatch.pipeline.settings import load
from opinionwatch.pipeline.study import Study, study
from opinionwatch.pipeline.trial import Trials
from opinionwatch.pipeline.watchlists import watchlists
from tests.pipeline.rig import Feed

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def studied(texts: list[str], *lists: dict[str, object]) -> list[Study]:
    settings = load(None, {"watchlists": list(lists)})
    items = [Item(orjson.dumps({"native_id": str(n), "text": text})) for n, text in enumerate(texts)]
    return study(watchlists(settings.watchlists), Trials(settings).of(Feed(), items, NOW))


def test_each_clause_says_where_it_stands_and_what_it_does() -> None:
    texts = ["Lumora fridge is loud", "Lumora fridge recall", "Lumora show", "Lumora fridge cartoon", "流墨 fridge", ""]
    [one] = studied(texts, {"id": "l", "names": ["Lumora", "流墨", "LX1"], "must": ["fridge"], "exclude": ["cartoon"]})
    told = {(clause.role, clause.text): (clause.stands, clause.matched) for clause in one.clauses}
    assert told == {
        ("name", "Lumora"): (4, 2),
        ("name", "流墨"): (1, 1),
        ("name", "LX1"): (0, 0),
        ("must", "fridge"): (4, 3),
        ("exclude", "cartoon"): (1, 1),
    }
    assert (one.texts, one.matched) == (5, 3), "a text without a word would be a dead letter"
    assert one.clauses[0].example == "Lumora fridge is loud"
    assert one.warnings == ["name 'LX1' stands in none of these texts"]


def test_a_name_that_is_also_a_word_is_warned_of_and_a_handle_is_no_word() -> None:
    texts = [*("take a seat please",) * 5, *("my Seat broke",) * 5]
    [one] = studied(texts, {"id": "s", "names": ["Seat"]})
    assert one.warnings == [
        "name 'Seat' is also a word: 5 of 10 times it is written 'seat'; write 'case:Seat', or give it context: "
        "{term: Seat, context: [...]}"
    ]
    for cure in ("case:Seat", {"term": "Seat", "context": ["broke"]}):
        assert studied(texts, {"id": "s", "names": [cure]})[0].warnings == []
    assert studied(["@seat and #seat"] * 9, {"id": "s", "names": ["Seat"]})[0].warnings == []


def test_a_chinese_name_inside_another_word_is_warned_of() -> None:
    texts = [*("小米粥很好喝",) * 6, *("买了小米。",) * 4]
    [one] = studied(texts, {"id": "m", "names": ["小米"]})
    assert [warning.partition(":")[0] for warning in one.warnings] == ["name '小米' stands in '小米粥' 6 of 10 times"]
    assert studied(["小米的小米,小米。"] * 5, {"id": "m", "names": ["小米"]})[0].warnings == []


def test_short_names_shared_texts_and_names_kept_out_are_warned_of() -> None:
    texts = ["Lumora UA one", "Lumora UA two", "Lumora UA three"]
    short, other, out = studied(
        texts,
        {"id": "short", "names": ["UA"]},
        {"id": "other", "names": ["Lumora"]},
        {"id": "out", "names": ["Lumora"], "must": ["four"]},
    )
    assert short.warnings[0].startswith("name 'UA' is very short")
    assert other.warnings == ["3 of its 3 texts belong to 'short', too: an alert will come twice"]
    assert out.warnings == ["name 'Lumora' stands in 3 texts, and other clauses keep all of them out"]
