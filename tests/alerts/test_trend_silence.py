"""The story of those who have stopped to speak, as the trend hop tells it."""

from datetime import timedelta

from opinionwatch.alerts.detect_settings import EpisodeSettings, TrendSettings
from opinionwatch.alerts.trend import Trend
from opinionwatch.pipeline.contracts_trend import Alert
from opinionwatch.pipeline.ticks import Progress
from tests.alerts.stream import START, Stream

DAY = timedelta(days=1)
STOP = START + 4 * DAY


def told(stream: Stream, until: timedelta, settings: TrendSettings | None = None) -> list[Alert]:
    """All alerts of the first days."""
    found = Trend(settings or TrendSettings(), "default")([*stream.mentions, Progress(START + until)], START)
    return [record for record in found if isinstance(record, Alert)]


def test_who_stays_silent_for_three_days_is_told_as_gone_and_not_as_back() -> None:
    stream = Stream()
    stream.talk(START, 24 * 4, 9)
    opened, *more, ended = told(stream, timedelta(days=8, hours=12))
    assert {alert.event for alert in more} <= {"escalated"}
    assert (opened.event, opened.episode.kind, opened.episode.accepted) == ("opened", "no data", False)
    assert (ended.event, ended.episode.id, ended.episode.accepted) == ("resolved", opened.episode.id, True)
    assert timedelta(hours=72) <= ended.at - opened.at < timedelta(hours=73)


def test_who_is_silent_for_longer_than_a_week_is_told_as_gone_when_the_settings_say_so_and_never_as_back() -> None:
    stream = Stream()
    stream.talk(START, 24 * 4, 9)
    settings = TrendSettings(episodes=EpisodeSettings(max_h=240))
    opened, *more, ended = told(stream, timedelta(days=16), settings)
    assert {alert.event for alert in more} <= {"escalated"}
    assert (ended.event, ended.episode.id, ended.episode.accepted) == ("resolved", opened.episode.id, True)
    assert timedelta(hours=240) <= ended.at - opened.at < timedelta(hours=241)


def test_who_is_back_just_before_the_three_days_are_over_is_told_as_back() -> None:
    stream = Stream()
    stream.talk(START, 24 * 4, 9)
    opened = told(stream, timedelta(days=6))[0]
    stream.talk(opened.at + timedelta(hours=71, minutes=30), 3, 30)
    ended = told(stream, opened.at - START + timedelta(hours=75))[-1]
    assert (ended.event, ended.episode.id, ended.episode.accepted) == ("resolved", opened.episode.id, False)
