"""When a digest is due: nothing twice, nothing left out, by the clock of where its readers live."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from opinionwatch.alerts.attempt import MOST_ATTEMPTS
from opinionwatch.alerts.channel import ReachedError, UncertainError
from opinionwatch.alerts.digest_settings import DigestSettings
from opinionwatch.alerts.digest_times import LENGTH, LONGEST, after, begun, due, last_time, since, trigger
from opinionwatch.pipeline.contracts_digest import Told
from opinionwatch.pipeline.errors import RejectedError, RetryableError

DAILY = DigestSettings(name="morning", channel="mail", at="02:30", zone="Europe/Berlin")
WEEKLY = DigestSettings(name="week", channel="mail", every="week", weekday="wed", at="09:00", zone="Asia/Shanghai")
NIGHT = datetime(2026, 3, 8, 1, 30, tzinfo=UTC)
"""02:30 in Berlin, in winter."""


def at(chosen: DigestSettings, told: Told, now: datetime) -> Told | None:
    return due(told, trigger(chosen, "UTC"), now, LENGTH[chosen.every])


def lived(chosen: DigestSettings, begin: datetime, looks: Iterator[datetime]) -> list[tuple[datetime, datetime]]:
    """The periods that are told when somebody looks at these moments."""
    told, periods = begun(trigger(chosen, "UTC"), begin, LENGTH[chosen.every]), []
    for now in looks:
        if (trying := at(chosen, told, now)) is not None:
            assert trying.until is not None
            periods.append((since(trying), trying.until))
            told = after(trying, "id", None, now)
    return periods


def every(step: timedelta, begin: datetime, end: datetime) -> Iterator[datetime]:
    while begin < end:
        yield begin
        begin += step


@pytest.mark.parametrize("month", [3, 10])
def test_over_a_change_of_the_clocks_every_day_is_told_once_and_the_periods_join(month: int) -> None:
    begin = datetime(2026, month, 20, 12, tzinfo=UTC)
    periods = lived(DAILY, begin, every(timedelta(minutes=7), begin, begin + timedelta(days=14)))
    assert len(periods) == 14
    assert all(first[1] == second[0] for first, second in pairwise(periods))


def test_a_weekly_one_comes_on_its_day_by_its_own_clock() -> None:
    begin = datetime(2026, 3, 2, tzinfo=UTC)
    periods = lived(WEEKLY, begin, every(timedelta(hours=1), begin, begin + timedelta(days=21)))
    assert [end for _, end in periods] == [datetime(2026, 3, day, 1, tzinfo=UTC) for day in (4, 11, 18)]


def test_a_machine_that_was_off_tells_the_whole_time_in_one_digest() -> None:
    looks = iter([NIGHT + timedelta(hours=1), NIGHT + timedelta(days=5, hours=3), NIGHT + timedelta(days=5, hours=4)])
    begin = NIGHT - timedelta(hours=1)
    assert lived(DAILY, begin, looks) == [
        (NIGHT - timedelta(days=1), NIGHT),
        (NIGHT, NIGHT + timedelta(days=5)),
    ]


def test_after_months_of_silence_it_looks_back_five_weeks() -> None:
    looks = iter([NIGHT + timedelta(days=400)])
    [(begin, end)] = lived(DAILY, NIGHT + timedelta(hours=1), looks)
    assert end - begin == LONGEST


def test_a_clock_that_is_put_back_tells_nothing_again() -> None:
    looks = iter([NIGHT + timedelta(days=3), NIGHT + timedelta(days=1), NIGHT + timedelta(hours=1)])
    assert len(lived(DAILY, NIGHT + timedelta(hours=1), looks)) == 1


def test_what_a_crash_left_in_sending_is_tried_again_with_the_same_period_and_says_so() -> None:
    told = begun(trigger(DAILY, "UTC"), NIGHT - timedelta(hours=1), LENGTH["day"])
    first = at(DAILY, told, NIGHT)
    assert first is not None
    again = at(DAILY, first, NIGHT + timedelta(days=1))
    assert again is not None
    assert (again.until, again.attempts, first.uncertain, again.uncertain) == (NIGHT, 2, False, True)
    refused_for_now = after(again, "id", RetryableError("450 busy"), NIGHT + timedelta(days=1))
    third = at(DAILY, refused_for_now, NIGHT + timedelta(days=2))
    assert third is not None
    assert third.uncertain, "the first attempt may still have got through"
    assert not after(third, "id", None, NIGHT).uncertain


def test_what_may_pass_is_tried_again_later_and_what_is_refused_is_told_by_the_next_one() -> None:
    told = begun(trigger(DAILY, "UTC"), NIGHT - timedelta(hours=1), LENGTH["day"])
    trying = at(DAILY, told, NIGHT)
    assert trying is not None
    later = after(trying, "id", RetryableError("450 busy", after_s=600), NIGHT)
    assert (later.state, later.due_at) == ("pending", NIGHT + timedelta(seconds=600))
    assert at(DAILY, later, NIGHT + timedelta(minutes=9)) is None
    uncertain = after(trying, "id", UncertainError("no answer"), NIGHT)
    assert (uncertain.state, at(DAILY, uncertain, NIGHT)) == ("sending", None)
    refused = after(trying, "id", RejectedError("channel_refused", "550 who?"), NIGHT)
    assert refused.state == "waiting"
    assert "550 who?; the next digest tells it, too" in refused.detail
    assert at(DAILY, refused, NIGHT + timedelta(hours=23)) is None
    following = at(DAILY, refused, NIGHT + timedelta(days=1))
    assert following is not None
    assert (since(following), following.until) == (NIGHT - timedelta(days=1), NIGHT + timedelta(days=1))


def test_one_mailbox_that_is_busy_for_ever_does_not_have_everybody_told_the_same_again() -> None:
    told = begun(trigger(DAILY, "UTC"), NIGHT - timedelta(hours=1), LENGTH["day"])
    trying = at(DAILY, told, NIGHT)
    assert trying is not None
    busy = ReachedError("1 of 2 recipients refused for now: 452 full")
    assert after(trying, "id", busy, NIGHT).state == "pending"
    given_up = after(trying.model_copy(update={"attempts": MOST_ATTEMPTS}), "id", busy, NIGHT)
    assert (given_up.state, given_up.told_until) == ("waiting", NIGHT)
    assert given_up.detail == "not told to all: 1 of 2 recipients refused for now: 452 full"


def test_a_defect_in_the_channel_is_no_end_and_its_words_are_not_kept() -> None:
    trying = at(DAILY, begun(trigger(DAILY, "UTC"), NIGHT - timedelta(hours=1), LENGTH["day"]), NIGHT)
    assert trying is not None
    found = after(trying, "id", ValueError("s3cr3t"), NIGHT)
    assert (found.state, "s3cr3t" in found.detail) == ("sending", False)
    last = after(trying.model_copy(update={"attempts": 40}), "id", ValueError("s3cr3t"), NIGHT)
    assert (last.state, last.told_until, last.tried_until) == ("waiting", NIGHT - timedelta(days=1), NIGHT)


def test_the_last_time_is_the_one_at_this_very_moment() -> None:
    assert last_time(trigger(DAILY, "UTC"), NIGHT, LENGTH["day"]) == NIGHT
    assert last_time(trigger(DAILY, "UTC"), NIGHT - timedelta(seconds=1), LENGTH["day"]) == NIGHT - timedelta(days=1)
