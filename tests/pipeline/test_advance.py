"""How far time has come, and when it stood still by our own doing."""

from datetime import timedelta

from opinionwatch.pipeline.advance import BEGINNING, PAUSE, paused
from opinionwatch.pipeline.ticks import Away
from tests.pipeline.rig import BEGIN


def test_a_long_time_without_progress_is_our_own_absence_unless_time_is_replayed_or_begins() -> None:
    until = BEGIN + PAUSE
    assert paused(BEGIN, until, replaying=(), live=True) == [Away(BEGIN, until)]
    assert paused(BEGIN, until - timedelta(minutes=1), replaying=(), live=True) == []
    assert paused(BEGIN, until, replaying=("feed",), live=True) == []
    assert paused(BEGIN, until, replaying=(), live=False) == []
    assert paused(BEGINNING, until, replaying=(), live=True) == []
