"""What the page says: in both languages, all of it, with the same gaps."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest

from opinionwatch.pipeline import web_words
from opinionwatch.pipeline.aspects import built_in
from opinionwatch.pipeline.contracts_trend import AlertEvent, DeliveryState, EpisodeKind, EpisodeState, Severity
from opinionwatch.pipeline.web_tongue import Tongue
from opinionwatch.pipeline.web_words import ASPECTS, WORDS
from opinionwatch.pipeline.web_words_answers import ANSWERS
from opinionwatch.pipeline.web_words_one import ONE
from opinionwatch.pipeline.web_words_posts import POSTS

PAGE = Path(web_words.__file__).with_name("page")
TEMPLATES = "".join(path.read_text(encoding="utf-8") for path in PAGE.glob("*.html"))


def gaps(words: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(words) if name}


@pytest.mark.parametrize("key", WORDS)
def test_both_languages_say_something_with_the_same_gaps(key: str) -> None:
    english, chinese = WORDS[key]
    assert english and chinese
    assert gaps(english) == gaps(chinese)


@pytest.mark.parametrize("key", ONE)
def test_one_of_a_thing_is_said_in_the_singular(key: str) -> None:
    assert gaps(ONE[key]) == gaps(WORDS[key][0])
    assert "n" in gaps(ONE[key])
    told: dict[str, object] = dict.fromkeys(gaps(ONE[key]), "7")
    one, two = (Tongue("en")(key, **told | {"n": count}) for count in ("1", "2"))
    assert len(one.split()[1]) < len(two.split()[1]), "a plural is longer"


def test_no_key_stands_in_two_of_the_lists() -> None:
    assert {key: WORDS[key] for key in (*ANSWERS, *POSTS)} == {**ANSWERS, **POSTS}
    assert not ANSWERS.keys() & POSTS.keys()


def test_what_is_counted_has_a_singular() -> None:
    units = {"hours_n", "days_n", "minutes_n", "seconds_n"}
    counted = {key for key, (english, _) in WORDS.items() if re.search(r"\{n\} [a-z]", english)}
    assert counted - units == set(ONE)


def test_every_key_that_a_template_names_is_there() -> None:
    named = set(re.findall(r'\bt\(["\']([^"\']+?)["\']\s*[,)]', TEMPLATES))
    assert len(named) > 100
    assert named <= set(WORDS)


def test_whatever_an_episode_may_be_has_words() -> None:
    for kind in get_args(EpisodeKind):
        assert {kind, f"title {kind}"} <= set(WORDS)
    for names in (EpisodeState, Severity, DeliveryState, AlertEvent):
        assert set(get_args(names)) <= set(WORDS)


def test_every_built_in_aspect_has_a_chinese_name() -> None:
    assert {*built_in(), "general"} <= set(ASPECTS)
    assert Tongue("zh").aspect("battery") == "电池"
    assert Tongue("zh").aspect("铰链") == "铰链" and Tongue("en").aspect("battery") == "battery"


def test_lengths_of_time_are_said_in_one_or_two_units() -> None:
    tongue = Tongue("en")
    for minutes, said in (
        (0, "0 min"),
        (59, "59 min"),
        (60, "1 h"),
        (61, "1 h 1 min"),
        (1500, "1 d 1 h"),
        (20000, "13 d"),
    ):
        assert tongue.span(timedelta(minutes=minutes)) == said
    assert Tongue("zh").span(timedelta(minutes=61)) == "1小时1分钟"


def test_moments_are_said_in_utc_and_beside_now() -> None:
    now = datetime(2026, 3, 8, 12, tzinfo=UTC)
    eastern = datetime.fromisoformat("2026-03-08T19:30:00+08:00")
    assert Tongue("en").moment(eastern) == "8 Mar 11:30"
    assert Tongue("zh").moment(eastern) == "3月8日 11:30"
    assert Tongue("en").ago(eastern, now) == "30 min ago" and Tongue("en").ago(now, now) == "just now"
    assert Tongue("zh").ago(eastern, None) == "3月8日 11:30"


def test_templates_hold_no_script_style_or_handler_of_their_own() -> None:
    assert not re.findall(
        r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:|\|\s*safe|autoescape", TEMPLATES
    )
    assert not re.findall(r"(?:src|href)=(?:\"|')(?:https?:)?//", TEMPLATES)
