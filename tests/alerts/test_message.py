from datetime import timedelta
from typing import get_args

import pytest

from opinionwatch.alerts.message import diverse, render, sample
from opinionwatch.alerts.words import WORDS, Lang, aspect_name
from opinionwatch.pipeline import web_words
from opinionwatch.pipeline.aspects import GENERAL, built_in
from opinionwatch.pipeline.contracts_trend import Alert, AlertEvent, EpisodeKind, Message
from opinionwatch.pipeline.errors import SettingsError
from tests.alerts.sample import EXEMPLARS, OPENED, crisis, exemplar


def said(alert: Alert, lang: Lang = "en", *, name: str = "Lumora", repeat: bool = False, zone: str = "UTC") -> Message:
    return render(alert, lang=lang, public_url="http://127.0.0.1:8765/", watchlist_name=name, repeat=repeat, zone=zone)


def test_the_summary_is_one_plain_english_sentence() -> None:
    assert said(crisis()).summary == (
        "Mood about Lumora has turned negative: 71 % of voices are negative (usual 22 %), mostly about the battery, "
        "in microblog and forum."
    )


def test_the_summary_is_one_plain_chinese_sentence() -> None:
    assert said(crisis(), "zh", name="流墨").summary == (
        "公众对流墨的情绪转为负面：71% 的发声者持负面态度（平时为 22%），主要涉及电池，来自 microblog 和 forum。"
    )


def test_every_question_has_its_answer() -> None:
    message = said(crisis())
    answers = dict(message.facts + message.reasons)
    assert answers["Since"] == "8 March 2026, 14:05, noticed 14:40 (UTC)"
    assert answers["How strong"] == (
        "negative voices 22 % (19–25 %) → 71 % (66–76 %); 3.2 times as many negative voices as expected"
    )
    assert answers["How much"] == (
        "1,512 posts by 430 voices, 301 of them negative (94 expected); 2.3 times the usual number of posts"
    )
    assert answers["How sure"] == "by chance alone, about once in 120 weeks"
    assert answers["Aspects"] == "battery: 140 negative voices, 32 expected (odds × 6.1, 4.2–8.8)"
    assert answers["Sources"].startswith("microblog: 160 negative voices, 50 expected (odds × 4.4, 3.0–12); forum: ")
    assert answers["Words"] == "drain (41), overheats (40), 掉电 (39)"
    assert answers["Reposts"] == "12 % of the negative posts repeat another one"
    assert message.link == f"http://127.0.0.1:8765/episodes/{crisis().episode.id}"
    assert message.alert_id == crisis().id


def test_times_are_told_in_the_readers_zone() -> None:
    assert dict(said(crisis(), "zh", zone="Asia/Shanghai").facts)["开始时间"] == (
        "2026年3月8日 22:05，22:40 发现（Asia/Shanghai, UTC+08:00）"
    )


def test_a_story_over_midnight_names_both_days() -> None:
    assert dict(said(crisis(), zone="Australia/Darwin").facts)["Since"] == (
        "8 March 2026, 23:35, noticed 9 March 2026, 00:10 (Australia/Darwin, UTC+09:30)"
    )


def test_an_unknown_zone_is_a_settings_error() -> None:
    with pytest.raises(SettingsError, match="Middle/Earth"):
        said(crisis(), zone="Middle/Earth")


@pytest.mark.parametrize("lang", get_args(Lang))
@pytest.mark.parametrize("kind", get_args(EpisodeKind))
@pytest.mark.parametrize("event", get_args(AlertEvent))
def test_every_kind_and_event_has_its_own_words_without_gaps(lang: Lang, kind: EpisodeKind, event: AlertEvent) -> None:
    message = said(crisis(event, kind=kind, at=OPENED + timedelta(hours=6)), lang)
    titles = [title for titles in WORDS[lang].titles.values() for title in titles.values()]
    assert len(set(titles)) == len(titles)
    for text in (message.title, message.summary, *(part for fact in message.facts for part in fact)):
        assert text and text == text.strip()
        assert not set("{}") & set(text) and "  " not in text
    assert "Lumora" in message.title and "Lumora" in message.summary


def test_a_resolved_message_sums_up() -> None:
    message = said(crisis("resolved", at=OPENED + timedelta(hours=6)))
    assert message.summary == (
        "The crisis about Lumora is over after 6 h 35 min: 4,200 posts by 1,210 voices, 2,870 of the posts negative, "
        "mostly about the battery."
    )
    assert dict(message.facts)["Lasted"] == "6 h 35 min"


@pytest.mark.parametrize("lang", get_args(Lang))
@pytest.mark.parametrize("kind", get_args(EpisodeKind))
def test_what_is_taken_for_the_normal_is_not_said_to_be_over(lang: Lang, kind: EpisodeKind) -> None:
    over = crisis("resolved", kind=kind, at=OPENED + timedelta(days=3))
    lasting = over.model_copy(update={"episode": over.episode.model_copy(update={"accepted": True})})
    before, message = said(over, lang), said(lasting, lang)
    assert message.title != before.title and message.summary != before.summary
    for text in (message.title, message.summary):
        assert "Lumora" in text and not set("{}") & set(text) and "  " not in text
        for false in (
            "is over after",
            "back to normal",
            "coming in again",
            "usual places again",
            "结束",
            "恢复",
            "重新",
        ):
            assert false not in text
    assert ("3 d" if lang == "en" else "3 天") in message.summary


def test_a_mood_that_lasts_and_a_source_that_stays_silent_say_what_becomes_of_them() -> None:
    over = crisis("resolved", at=OPENED + timedelta(days=3))
    episode = over.episode.model_copy(update={"accepted": True})
    assert said(over.model_copy(update={"episode": episode})).summary == (
        "The crisis about Lumora has lasted 3 d 35 min and goes on; this mood is taken as the normal from now on. So "
        "far 4,200 posts by 1,210 voices, 2,870 of the posts negative, mostly about the battery."
    )
    gone = episode.model_copy(update={"kind": "no data"})
    assert said(over.model_copy(update={"episode": gone}), "zh").summary == (
        "microblog 和 forum 上已有 3 天 35 分钟没有关于 Lumora 的新帖子：静默的来源视为已停止，不再等待。"
        "请检查其设置，或将其移除。"
    )


@pytest.mark.parametrize(
    ("weeks", "words"),
    [
        (0.3, "about once a week or more often"),
        (float("nan"), "about once a week or more often"),
        (17.4, "about once in 17 weeks"),
        (1234.0, "about once in 1,200 weeks"),
        (1e9, "less than once in 10,000 weeks"),
        (float("inf"), "less than once in 10,000 weeks"),
    ],
)
def test_how_sure_is_told_in_weeks_and_never_with_false_precision(weeks: float, words: str) -> None:
    assert dict(said(crisis(once_in_weeks=weeks)).facts)["How sure"] == f"by chance alone, {words}"


def test_a_repetition_says_so_and_keeps_the_ids() -> None:
    first, again = said(crisis()), said(crisis(), repeat=True)
    assert (first.alert_id, first.link) == (again.alert_id, again.link)
    assert "Note" not in dict(first.facts)
    assert dict(again.facts)["Note"] == "sent again, since the first attempt may have reached you; it is the same alert"


def test_aspects_nobody_named_are_not_blamed_and_unknown_ones_are_quoted() -> None:
    assert "mostly" not in said(crisis(aspects=["general"])).summary
    assert "mostly about “flux drive”" in said(crisis(aspects=["flux drive"])).summary
    assert said(crisis(aspects=(), sources=())).summary.endswith("negative (usual 22 %).")


def test_examples_differ_in_language_author_and_source() -> None:
    assert [one.lang for one in diverse(EXEMPLARS, 3)] == ["en", "zh", "en"]
    assert len({one.source for one in diverse(EXEMPLARS, 3)}) == 3
    same = [exemplar(f"post {number}") for number in range(5)]
    assert list(diverse(same, 3)) == same[:3]
    assert diverse([], 3) == ()


def test_names_terms_and_sources_from_strangers_are_one_clean_line() -> None:
    evil = "x\r\nBcc: a@b\u202e\x1b[31m\x00"
    message = said(crisis(terms=[evil], aspects=[evil], sources=[evil]), name=evil)
    for text in (message.title, message.summary, *(part for pair in message.facts + message.reasons for part in pair)):
        assert text.isprintable()


def test_every_built_in_aspect_has_a_chinese_name_and_the_page_uses_the_same() -> None:
    for aspect in (*built_in(), GENERAL):
        assert aspect_name(aspect, "zh") == web_words.ASPECTS[aspect] != aspect


def test_the_sample_is_labelled_as_a_test() -> None:
    message = sample(lang="en", public_url="http://127.0.0.1:8765", at=OPENED)
    assert message.event == "test"
    assert message.title.startswith("Test:")
