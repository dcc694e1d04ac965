"""Whoever is taken out of the settings is forgotten, not missed: nobody is told of a silence that people have made."""

from datetime import timedelta

import pytest

from opinionwatch.alerts.detect_settings import TrendSettings
from opinionwatch.alerts.trend import Trend
from opinionwatch.pipeline.contracts_trend import Alert, Episode
from opinionwatch.pipeline.ticks import Progress, Watched
from tests.alerts.stream import START, Stream

STOP = 96
"""Hours after which all are silent but the news."""


def named(*sources: str, watchlist: str = "lumora") -> Watched:
    """What the settings name."""
    return Watched(frozenset(sources), frozenset({watchlist}))


ALL = named("forum", "microblog", "news")


def running() -> Trend:
    """Nine days, of which nothing is decided yet."""
    stream, trend = Stream(), Trend(TrendSettings(), "default")
    for source, hours, per_hour in (("forum", STOP, 12), ("microblog", STOP, 12), ("news", 216, 4)):
        for at in stream.times(START, hours, per_hour):
            stream.say(at, label="positive", source=source)
    trend([ALL, *stream.mentions], START)
    return trend


def on(trend: Trend, watched: Watched, hours: float) -> tuple[list[Episode], list[Alert]]:
    """Episodes and alerts of silences up to then."""
    found = trend([watched, Progress(START + timedelta(hours=hours))], START)
    return (
        [record for record in found if isinstance(record, Episode) and record.kind == "no data"],
        [record for record in found if isinstance(record, Alert) and record.episode.kind == "no data"],
    )


@pytest.mark.parametrize("then", [named("news"), named("forum", "microblog", "news", watchlist="other")])
def test_a_silence_of_who_is_taken_out_is_never_told(then: Watched) -> None:
    trend = running()
    assert on(trend, ALL, STOP + 2) == ([], [])
    assert on(trend, then, 216) == ([], [])


@pytest.mark.parametrize("then", [named("news"), named("forum", "microblog", "news", watchlist="other")])
def test_a_told_silence_of_who_is_taken_out_ends_at_once_and_nobody_hears_of_its_end(then: Watched) -> None:
    trend = running()
    _, [opened, *_] = on(trend, ALL, STOP + 6)
    [ended], told = on(trend, then, STOP + 6)
    assert (ended.id, ended.state, ended.accepted, told) == (opened.episode.id, "resolved", True, [])
    assert ended.resolved_at == START + timedelta(hours=STOP + 6)
    assert on(trend, then, 216) == ([], [])


def test_the_others_are_as_silent_as_before() -> None:
    trend = running()
    _, [opened, *_] = on(trend, ALL, STOP + 6)
    episodes, told = on(trend, named("microblog", "news"), STOP + 9)
    assert {episode.id for episode in episodes} == {opened.episode.id}
    assert "resolved" not in {episode.state for episode in episodes}
    assert told == []
    assert [source.name for source in episodes[-1].explanation.signal.sources] == ["microblog"]


def test_who_never_stood_in_the_settings_is_missed_as_ever() -> None:
    stream, places = Stream(), Trend(TrendSettings(), "default")
    stream.talk(START, STOP, 30)
    assert on(places, named("reddit"), 1) == ([], [])
    places(stream.mentions, START)
    on(places, named("reddit"), STOP)
    assert len(on(places, named("reddit", "rss"), STOP + 24)[1]) == 1


def test_it_is_forgotten_in_a_later_life_too_if_that_begins_from_before() -> None:
    trend = running()
    on(trend, ALL, STOP + 6)
    saved = trend.snapshot()
    on(trend, named("news"), STOP + 6)
    again = Trend(TrendSettings(), "default")
    again.restore(saved)
    again([Progress(START + timedelta(hours=STOP + 7))], START)
    [ended], told = on(again, named("news"), STOP + 7)
    assert (ended.state, told) == ("resolved", [])
    assert on(again, named("news"), 216) == ([], [])


def test_who_comes_back_into_the_settings_is_a_newcomer() -> None:
    trend, again = running(), Stream(2)
    on(trend, ALL, STOP + 6)
    on(trend, named("news"), STOP + 7)
    on(trend, ALL, STOP + 8)
    for at in again.times(START + timedelta(hours=STOP + 8), 12, 12):
        again.say(at, label="positive", source="forum")
    trend(again.mentions, START)
    assert on(trend, ALL, 216) == ([], [])
