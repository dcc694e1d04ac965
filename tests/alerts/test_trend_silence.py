"""The story of those who have stopped to speak, as the trend hop tells it."""

from datetime import timedelta

from opinionwatch.alerts.detect_settings import TrendSettings
from opinionwatch.alerts.trend import Trend
from opinionwatch.pipeline.contracts_trend import Alert
from opinionwatch.pipeline.ticks import Progress
from tests.alerts.stream import START, Stream

DAY = timedelta(days=1)
STOP = START + 4 * DAY


def told(stream: Stream, until: timedelta) -> list[Alert]:
    """All alerts of the first days."""
    found = Trend(TrendSettings(), "default")([*stream.mentions, Progress(START + until)], START)
    return [record for record in found if isinstance(record, Alert)]


def test_who_stays_silent_for_three_days_is_told_as_gone_and_not_as_back() -> None:
    stream = Stream()
    stream.talk(START, 24 * 4, 9)
    opened, *more, ended = told(stream, timedelta(days=8, hours=12))
    assert {alert.event for alert in more} <= {"escalated"}
    assert (opened.event, opened.episode.kind, opened.episode.accepted) == ("opened", "no data", False)
    assert (ended.event, ended.episode.id, ended.episode.accepted) == ("resolved", opened.episode.id, True)
    assert timedelta(hours=72) <= ended.at - opened.at < timedelta(hours=73)


def test_who_is_back_just_before_the_three_days_are_over_is_told_as_back() -> None:
    stream = Stream()
    stream.talk(START, 24 * 4, 9)
    opened = told(stream, timedelta(days=6))[0]
    stream.talk(opened.at + timedelta(hours=71, minutes=30), 3, 30)
    ended = told(stream, opened.at - START + timedelta(hours=75))[-1]
    assert (ended.event, ended.episode.id, ended.episode.accepted) == ("resolved", opened.episode.id, False)
