"""Which words stand out."""

from opinionwatch.alerts.explain_terms import Terms, count_terms
from opinionwatch.alerts.explain_words import choose, terms_of
from opinionwatch.pipeline.contracts_trend import Term
from tests.alerts.stream import HOT, START, Stream


def words(text: str) -> set[str]:
    """The terms of a text no scorer has marked."""
    mention = Stream().say(START, label="neutral", texts={"en": text, "zh": text})
    return terms_of(mention)


def test_english_words_come_without_stopwords_and_possessives() -> None:
    assert words("The phone's battery isn't what I'd call GREAT, it's overheating") == {
        "phone",
        "battery",
        "call",
        "great",
        "overheating",
    }


def test_chinese_runs_give_two_and_three_grams_without_function_characters() -> None:
    assert words("充电发烫的手机") == {"充电", "电发", "发烫", "充电发", "电发烫", "手机"}


def test_marked_terms_are_taken_whole_and_give_no_pieces() -> None:
    stream = Stream(seed=5)
    found = {term for _ in range(20) for term in terms_of(stream.say(START, label="negative", texts=HOT))}
    assert {"overheats", "发烫"} <= found
    assert "就发烫" not in found
    assert "电就发" not in found


def test_a_new_word_outranks_a_frequent_one() -> None:
    terms = Terms()
    for tick in range(600):
        terms.add(tick, {"service": 3, "slow": 2, f"rare{tick % 40}": 1})
    for tick in range(600, 612):
        terms.add(tick, {"service": 3, "slow": 2, "overheats": 2})
    top = terms.since(600)
    assert top[0].term == "overheats"
    assert top[0].count == 24
    assert "service" not in {term.term for term in top}


def test_terms_are_those_since_the_onset() -> None:
    terms = Terms()
    terms.add(0, {f"word{n}": 2 for n in range(30)})
    terms.add(30, {"earlier": 9})
    terms.add(60, {"later": 9})
    assert [term.term for term in terms.since(60)] == ["later"]


def test_pieces_of_one_word_are_named_once() -> None:
    found = [Term(term=term, z=3.0, count=5) for term in ("充电", "电发", "发烫", "充电发", "overheats", "overheat")]
    chosen = [term.term for term in choose(found, (), 9)]
    assert chosen == ["充电", "发烫", "overheats"]


def test_a_gram_that_always_follows_the_same_character_is_a_piece_of_a_word() -> None:
    texts = [("这件垃圾衣服", ()), ("真是垃圾啊", ()), ("垃圾质量", ()), ("垃圾质地", ())]
    found = [Term(term=term, z=3.0, count=3) for term in ("圾质", "垃圾")]
    assert [term.term for term in choose(found, texts, 9)] == ["垃圾"]
    pieces = [("手机发烫", ()), ("电池发烫", ())]
    assert [term.term for term in choose([Term(term="发烫", z=3, count=2)], pieces, 9)] == ["发烫"]


def test_what_the_scorer_marked_comes_first_when_about_as_strong() -> None:
    mention = Stream(seed=5).say(START, label="negative", texts={"en": HOT["en"], "zh": HOT["en"]})
    found = [Term(term="charging", z=3.2, count=5), Term(term="overheats", z=3.0, count=5)]
    assert choose(found, [(mention.text, mention.reading.opinions)], 9)[0].term == "overheats"


def test_a_word_said_once_is_no_finding() -> None:
    terms = Terms()
    terms.add(0, {"overheats": 1})
    assert terms.since(0) == []


def test_the_slow_counts_stay_bounded() -> None:
    terms = Terms()
    for tick in range(0, 6000, 60):
        terms.add(tick, {f"t{tick}-{n}": 1.0 for n in range(100)})
    assert len(terms.save()["slow"]) <= 4000


def test_restored_terms_go_on() -> None:
    terms = Terms()
    for tick in range(0, 600, 5):
        terms.add(tick, {"a": 0.1 * tick, "b": 1.0})
    copy = Terms.of(terms.save())
    for both in (terms, copy):
        both.add(610, {"c": 4.0, "a": 1.0})
    assert copy.since(600) == terms.since(600) != []


def test_a_term_counts_once_a_text() -> None:
    assert count_terms([{"a", "b"}, {"a"}]) == {"a": 2, "b": 1}
