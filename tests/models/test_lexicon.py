import time
from collections import Counter
from importlib.resources import files

import pytest

from opinionwatch.models.lexicon import LexiconScorer
from opinionwatch.pipeline.contracts import OpinionTerm, Reading
from opinionwatch.pipeline.ports import Passage

SCORER = LexiconScorer(LexiconScorer.Settings())


def read(text: str) -> Reading:
    return SCORER.score([Passage(text, "und")])[0]


def label(text: str) -> str:
    return read(text).sentiment.label


def terms(text: str) -> list[tuple[str | None, str, str]]:
    def told(term: OpinionTerm) -> tuple[str | None, str, str]:
        return term.aspect, term.opinion, term.polarity

    return [told(term) for term in read(text).opinions]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("The soup was delicious", "positive"),
        ("An utterly useless gadget", "negative"),
        ("The shop opens at nine", "neutral"),
        ("这碗汤真好喝", "positive"),
        ("完全没用的东西", "negative"),
        ("门店九点开门", "neutral"),
        ("😡😡😡", "negative"),
        ("[爱你][爱你]", "positive"),
        ("", "neutral"),
        ("客服的 attitude 太 terrible 了", "negative"),
    ],
)
def test_the_mood_of_plain_sentences(text: str, wanted: str) -> None:
    assert label(text) == wanted


@pytest.mark.parametrize(
    "text",
    ["The food is not good", "I don't recommend this", "never helpful", "这个不好吃", "一点都不方便", "没有那么好用"],
)
def test_a_negation_turns_a_good_word(text: str) -> None:
    assert read(text).sentiment.negative > read(text).sentiment.positive


@pytest.mark.parametrize("text", ["not terrible", "no problems so far", "没有异味", "不卡顿"])
def test_a_negation_softens_a_bad_word(text: str) -> None:
    assert read(text).sentiment.positive > read(text).sentiment.negative


def test_a_negation_ends_with_its_clause() -> None:
    assert label("Not this time, excellent work") == "positive"
    assert label("不，真的很好看") == "positive"


@pytest.mark.parametrize(
    ("plain", "stressed"),
    [("good", "very good"), ("slow", "extremely slow"), ("慢", "太慢"), ("好吃", "好吃极了"), ("bad", "BAD it was")],
)
def test_degree_and_capitals_strengthen(plain: str, stressed: str) -> None:
    weak, strong = read(plain).sentiment, read(stressed).sentiment
    assert max(strong.negative, strong.positive) > max(weak.negative, weak.positive)


def test_a_word_of_degree_has_no_mood_of_its_own_beside_another() -> None:
    assert terms("damn good") == [(None, "good", "positive")]
    assert terms("好难吃") == [(None, "难吃", "negative")]


@pytest.mark.parametrize(
    "text", ["The screen is good but the hinge is bad", "味道不错，但是太慢", "Although it looks great, it broke"]
)
def test_what_follows_a_contrast_weighs_more(text: str) -> None:
    assert label(text) == "negative"


def test_irony_marks_spoil_praise() -> None:
    assert read("Great service /s").sentiment.positive < read("Great service").sentiment.positive
    assert read("服务真好[呵呵]").sentiment.positive < read("服务真好").sentiment.positive


def test_stretched_words_are_the_words() -> None:
    assert label("sooooo goooood") == "positive"


def test_a_word_inside_another_is_not_read() -> None:
    assert terms("goodness badminton") == []
    assert terms("美国银行的信用卡") == []


def test_mentions_and_addresses_are_not_read() -> None:
    assert terms("@goodfood https://example.org/terrible/awful") == []


@pytest.mark.parametrize("text", ["味道好吃", "好吃", "真好", "屏幕差", "nice :)"])
def test_the_last_opinion_ends_where_its_text_ends(text: str) -> None:
    assert [term.opinion_span[1] for term in read(text).opinions if term.opinion_span] == [
        len(text.removesuffix(" :)"))
    ]


def test_an_opinion_is_about_the_nearest_aspect() -> None:
    assert terms("The battery is awful but I got a great screen") == [
        ("battery", "awful", "negative"),
        ("screen", "great", "positive"),
    ]
    assert terms("客服态度差，屏幕很清晰") == [("态度", "差", "negative"), ("屏幕", "清晰", "positive")]
    assert terms("awful") == [(None, "awful", "negative")]


def test_an_opinion_holds_its_negation() -> None:
    assert terms("the camera is not very good") == [("camera", "not very good", "negative")]
    assert terms("味道一点都不好") == [("味道", "一点都不好", "negative")]


def test_traditional_characters_are_read_and_shown_as_written() -> None:
    assert terms("服務態度惡劣") == [("服務態度", "惡劣", "negative")]


def test_only_the_strongest_opinions_are_kept_in_their_order() -> None:
    scorer = LexiconScorer(LexiconScorer.Settings(max_opinions=2))
    [reading] = scorer.score([Passage("fine, horrible, okay, terrible", "en")])
    assert [term.opinion for term in reading.opinions] == ["horrible", "terrible"]


def test_the_unsure_band_is_a_setting() -> None:
    [reading] = LexiconScorer(LexiconScorer.Settings(unsure_below=1)).score([Passage("horrible", "en")])
    assert reading.sentiment.unsure
    assert not read("horrible, disgusting, the worst").sentiment.unsure


def test_the_version_changes_with_what_changes_answers() -> None:
    assert SCORER.version == LexiconScorer(LexiconScorer.Settings()).version
    assert SCORER.version != LexiconScorer(LexiconScorer.Settings(unsure_below=0.1)).version


@pytest.mark.parametrize("name", ["lexicon_en.tsv", "lexicon_zh.tsv"])
def test_a_list_has_700_entries_and_none_twice_in_one_role(name: str) -> None:
    moods: list[str] = []
    for line in files("opinionwatch.models").joinpath(name).read_text(encoding="utf-8").splitlines():
        role, _, listed = line.partition("\t")
        if role[:1] in "+-":
            moods += listed.split(", ")
    twice = [entry for entry, count in Counter(moods).items() if count > 1]
    assert (len(moods) >= 700, twice) == (True, [])


def test_reading_is_linear_in_the_length() -> None:
    def seconds(text: str) -> float:
        spent = []
        for _ in range(3):  # the least of them: on a busy machine caches are cold now and then
            start = time.process_time()
            read(text)
            spent.append(time.process_time() - start)
        return min(spent)

    text = "good but not bad, 好但不是差 "
    read(text)
    assert seconds(text * 4000) < 40 * max(seconds(text * 400), 0.002)
