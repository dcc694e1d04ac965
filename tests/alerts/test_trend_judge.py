"""What a tick's scores mean for the stories: the figures that are told."""

from datetime import timedelta

from opinionwatch.alerts.detect_settings import TrendSettings
from opinionwatch.alerts.trend import Trend
from opinionwatch.pipeline.contracts_trend import Alert
from opinionwatch.pipeline.ticks import Progress
from tests.alerts.stream import START, Stream

CRISIS = START + timedelta(days=7, hours=10)


def test_the_end_counts_negative_posts_from_the_beginning_on_and_not_only_their_voices() -> None:
    stream = Stream()
    stream.talk(START, 24 * 9, 9)
    stream.crisis(CRISIS, 6, 12)
    for at in stream.times(CRISIS, 3, 50):
        stream.say(at, label="negative", author="repeater")
    found = Trend(TrendSettings(), "default")([*stream.mentions, Progress(START + timedelta(days=9))], START)
    ended = next(one.episode for one in found if isinstance(one, Alert) and one.event == "resolved")
    assert ended.resolved_at is not None
    said = [one for one in stream.mentions if ended.began_at <= one.accepted_at < ended.resolved_at]
    assert ended.posts == len(said)
    assert ended.negative == sum(one.reading.sentiment.label == "negative" for one in said)
