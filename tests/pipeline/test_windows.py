"""Windows are sums over event time."""

import random
from datetime import UTC, datetime, timedelta

from opinionwatch.pipeline.contracts_trend import Window
from opinionwatch.pipeline.ticks import tick_of
from opinionwatch.pipeline.windows import Windows, belongs
from tests.alerts.stream import Stream

NOON = datetime(2024, 3, 4, 12, tzinfo=UTC)


def test_counts_keep_posts_voices_and_the_unsure_apart() -> None:
    stream, windows = Stream(), Windows()
    windows.add(stream.say(NOON, label="negative"), voice=True)
    windows.add(stream.say(NOON, label="negative"), voice=False)
    windows.add(stream.say(NOON, label="negative", unsure=True), voice=True)
    windows.add(stream.say(NOON, label="positive"), voice=True)
    (window,) = windows.take()
    assert window.start == NOON
    assert (window.posts, window.voices, window.sure_voices) == (4, 3, 2)
    assert (window.negative, window.negative_voices, window.positive, window.unsure) == (2, 1, 1, 1)


def test_a_late_mention_rewrites_its_own_bucket_with_absolute_counts() -> None:
    stream, windows = Stream(), Windows()
    windows.add(stream.say(NOON, label="neutral"), voice=True)
    windows.take()
    windows.add(stream.say(NOON + timedelta(hours=2), label="neutral"), voice=True)
    windows.add(stream.say(NOON, label="neutral", late=timedelta(hours=2)), voice=True)
    assert [(window.start, window.posts) for window in windows.take()] == [(NOON, 2), (NOON + timedelta(hours=2), 1)]
    assert windows.take() == []


def test_order_does_not_matter() -> None:
    stream = Stream()
    stream.talk(NOON, 5, 40)
    shuffled = random.Random(1).sample(stream.mentions, len(stream.mentions))
    results: list[list[Window]] = []
    for mentions in (stream.mentions, shuffled):
        windows = Windows()
        for mention in mentions:
            windows.add(mention, voice=True)
        results.append(windows.take())
    assert results[0] == results[1]


def test_forgotten_buckets_are_exactly_those_nobody_can_change() -> None:
    stream, windows = Stream(), Windows(memory_h=26)
    windows.add(stream.say(NOON, label="neutral"), voice=True)
    windows.take()
    last = stream.say(NOON, label="neutral", late=timedelta(hours=26))
    windows.forget(tick_of(last.accepted_at))
    assert belongs(last, 26)
    windows.add(last, voice=True)
    assert [window.posts for window in windows.take()] == [2]
    too_late = stream.say(NOON, label="neutral", late=timedelta(hours=27))
    assert not belongs(too_late, 26)
    windows.add(too_late, voice=True)
    assert windows.take() == []


def test_restored_counts_go_on() -> None:
    stream, windows, copy = Stream(), Windows(), Windows()
    windows.add(stream.say(NOON, label="negative"), voice=True)
    windows.take()
    copy.load(*windows.save())
    copy.add(stream.say(NOON, label="negative"), voice=False)
    (window,) = copy.take()
    assert (window.posts, window.voices, window.negative) == (2, 1, 2)
