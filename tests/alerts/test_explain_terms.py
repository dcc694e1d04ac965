"""Which words stand out."""

from opinionwatch.alerts.explain_terms import Terms, count_terms
from opinionwatch.alerts.explain_words import terms_of
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
    top = terms.top(611, 3)
    assert top[0].term == "overheats"
    assert top[0].count == 24
    assert "service" not in {term.term for term in top}


def test_pieces_of_one_word_are_named_once() -> None:
    terms = Terms()
    terms.add(0, {f"字{n}": 2 for n in range(30)})
    terms.add(100, {"充电发": 5, "电发烫": 5, "发烫": 5, "屏幕": 4})
    assert len({term.term for term in terms.top(100, 5)} & {"充电发", "电发烫", "发烫"}) == 1


def test_a_word_said_once_is_no_finding() -> None:
    terms = Terms()
    terms.add(0, {"overheats": 1})
    assert terms.top(0, 3) == []


def test_the_slow_counts_stay_bounded() -> None:
    terms = Terms()
    for tick in range(0, 3000, 30):
        terms.add(tick, {f"t{tick}-{n}": 1.0 for n in range(100)})
    assert len(terms.save()["slow"]) <= 4000


def test_restored_terms_go_on() -> None:
    terms = Terms()
    for tick in range(0, 200, 5):
        terms.add(tick, {"a": 0.1 * tick, "b": 1.0})
    copy = Terms.of(terms.save())
    for both in (terms, copy):
        both.add(210, {"c": 4.0, "a": 1.0})
    assert copy.top(215, 3) == terms.top(215, 3)


def test_a_term_counts_once_a_text() -> None:
    assert count_terms([{"a", "b"}, {"a"}]) == {"a": 2, "b": 1}
