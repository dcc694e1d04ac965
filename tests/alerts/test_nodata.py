"""Who has stopped to speak."""

import pytest

from opinionwatch.alerts.nodata import GONE_H, LEARN_H, TOLD_AT, NoData
from opinionwatch.pipeline.ticks import TICKS_PER_HOUR, Watched

FIRST = 480_072
"""Midnight of a Monday."""
KEY = (3, "forum")


def talk(nodata: NoData, hours: range, posts: int = 10, *, daytime: bool = False) -> None:
    """So many posts an hour, all around the clock or from 8 to 20."""
    for hour in hours:
        if not daytime or 8 <= hour % 24 < 20:
            nodata.hear({KEY: posts}, (FIRST + hour) * TICKS_PER_HOUR)


def look(nodata: NoData, hour: int) -> bool:
    """Whether a silence is told at the start of an hour in which nobody speaks."""
    nodata.hear({}, (FIRST + hour) * TICKS_PER_HOUR)
    return KEY[1] in nodata.silent.get(KEY[0], {})


def test_a_silence_is_told_once_what_is_missed_is_more_than_chance() -> None:
    nodata = NoData()
    talk(nodata, range(72))
    told = next(hour for hour in range(72, 90) if look(nodata, hour))
    assert told == 72 + int(TOLD_AT / 10) + 1
    assert nodata.silent[3]["forum"] == pytest.approx(10 * (told - 72))
    assert nodata.since(3) == (FIRST + 72) * TICKS_PER_HOUR
    assert nodata.rows() == {3}


@pytest.mark.parametrize("posts", [20, 2000])
def test_nights_and_weekends_are_no_silence_for_who_never_speaks_then(posts: int) -> None:
    nodata = NoData()
    for hour in range(24 * 21):
        if 8 <= hour % 24 < 20 and hour // 24 % 7 < 5:
            nodata.hear({KEY: posts}, (FIRST + hour) * TICKS_PER_HOUR)
        else:
            assert not look(nodata, hour) or hour < 24 * 7
    assert any(look(nodata, hour) for hour in range(24 * 21, 24 * 22))


def test_who_speaks_again_is_silent_no_more_and_the_outage_is_not_the_normal() -> None:
    nodata, calm = NoData(), NoData()
    talk(nodata, range(72))
    assert look(nodata, 80)
    talk(nodata, range(84, 96))
    talk(calm, range(96))
    assert not nodata.rows()
    first, second = (next(hour for hour in range(96, 116) if look(one, hour)) for one in (nodata, calm))
    assert first == second


def test_a_newcomer_is_not_missed() -> None:
    nodata = NoData()
    talk(nodata, range(LEARN_H))
    assert not any(look(nodata, hour) for hour in range(LEARN_H, LEARN_H + 24))


def test_after_a_week_who_is_silent_has_gone_and_nobody_looks_any_more() -> None:
    nodata = NoData()
    talk(nodata, range(0, 72, 24), posts=1)
    last = 48
    assert nodata.next_look((FIRST + 72) * TICKS_PER_HOUR + 5) == (FIRST + 73) * TICKS_PER_HOUR
    assert not any(look(nodata, hour) for hour in range(49, last + 2 + GONE_H))
    assert nodata.next_look((FIRST + last + 2 + GONE_H) * TICKS_PER_HOUR) is None


def test_who_is_told_as_silent_stays_so_until_given_up_however_long_that_is() -> None:
    nodata = NoData()
    talk(nodata, range(72))
    assert all(look(nodata, hour) for hour in range(80, 72 + 3 * GONE_H))
    nodata.give_up(3)
    assert not look(nodata, 73 + 3 * GONE_H)


def test_who_is_given_up_is_not_told_again() -> None:
    nodata = NoData()
    talk(nodata, range(72))
    assert look(nodata, 80)
    nodata.give_up(3)
    assert not look(nodata, 90)


def test_the_state_comes_back_as_it_was() -> None:
    nodata, again = NoData(), NoData()
    talk(nodata, range(72))
    look(nodata, 80)
    again.load(nodata.save())
    assert again.save() == nodata.save()
    assert look(again, 81) is look(nodata, 81) is True
    assert again.silent == nodata.silent


def away(nodata: NoData, since: int, until: int) -> None:
    """Nobody of ours listened between these hours."""
    nodata.pass_over((FIRST + since) * TICKS_PER_HOUR, (FIRST + until) * TICKS_PER_HOUR)


def test_our_own_absence_is_nobodys_silence_and_a_silence_after_it_is_told_as_late_as_any() -> None:
    nodata = NoData()
    talk(nodata, range(72))
    away(nodata, 72, 90)
    assert not any(look(nodata, hour) for hour in range(73, 92))
    told = next(hour for hour in range(92, 110) if look(nodata, hour))
    assert told == 91 + int(TOLD_AT / 10) + 1


def test_our_own_absence_teaches_nothing() -> None:
    nodata, calm = NoData(), NoData()
    for one in (nodata, calm):
        talk(one, range(72))
    away(nodata, 72, 90)
    talk(nodata, range(91, 96))
    talk(calm, range(72, 96))
    first, second = (next(hour for hour in range(96, 116) if look(one, hour)) for one in (nodata, calm))
    assert first == second


def test_who_was_silent_before_our_own_absence_is_silent_after_it() -> None:
    nodata = NoData()
    talk(nodata, range(72))
    assert look(nodata, 80)
    away(nodata, 80, 90)
    assert all(look(nodata, hour) for hour in range(81, 95))


def test_two_absences_that_touch_are_one_and_survive_a_restart_and_a_state_of_before_has_none() -> None:
    nodata, again, before = NoData(), NoData(), NoData()
    talk(nodata, range(72))
    away(nodata, 72, 80)
    away(nodata, 80, 90)
    saved = nodata.save()
    again.load(saved)
    before.load({name: value for name, value in nodata.save().items() if name != "away"})
    assert not any(look(again, hour) for hour in range(73, 92))
    assert look(before, 90)


def test_of_two_absences_that_are_still_to_be_passed_neither_is_forgotten() -> None:
    nodata = NoData()
    talk(nodata, range(72))
    away(nodata, 72, 80)
    away(nodata, 82, 92)
    assert not any(look(nodata, hour) for hour in range(73, 94))
    assert any(look(nodata, hour) for hour in range(94, 104))


def test_who_the_settings_named_survives_a_restart_and_a_state_of_before_knows_of_nobody() -> None:
    nodata, again, before = NoData(), NoData(), NoData()
    talk(nodata, range(72))
    nodata.keep(Watched(frozenset({"forum"})), {})
    again.load(nodata.save())
    before.load({name: value for name, value in nodata.save().items() if name != "watched"})
    for one in (again, before):
        one.keep(Watched(frozenset({"news"})), {})
    assert not look(again, 80)
    assert look(before, 80)
    assert again.next_look((FIRST + 72) * TICKS_PER_HOUR) is None
