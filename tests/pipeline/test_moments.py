"""Times as sources write them."""

from datetime import UTC, datetime

import pytest

from opinionwatch.pipeline.moments import EARLIEST, LATEST, moment

NOON = datetime(2026, 3, 8, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "given",
    [
        "2026-03-08T12:00:00Z",
        "2026-03-08T12:00:00.000Z",
        "2026-03-08 12:00:00",
        " 2026-03-08T12:00 ",
        "2026-03-08T20:00:00+08:00",
        "2026-03-08 04:00:00 -0800",
        "2026/03/08 12:00:00",
        "2026-03-08 12:00:00 UTC",
        "20260308T120000Z",
        "Sun, 08 Mar 2026 12:00:00 GMT",
        "Sun, 08 Mar 2026 20:00:00 +0800",
        1772971200,
        1772971200.0,
        1772971200000,
        1772971200000000,
        1772971200000000000,
        "1772971200",
        "1772971200000",
        NOON,
    ],
)
def test_one_moment_has_many_spellings(given: object) -> None:
    assert moment(given) == NOON


def test_a_leap_second_is_the_second_before() -> None:
    assert moment("2016-12-31T23:59:60Z") == datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize("given", [2**70, 1e300, float("inf"), "9999-12-31T23:00:00-14:00"])
def test_what_comes_after_the_calendar_is_its_last_moment(given: object) -> None:
    assert moment(given) == LATEST


@pytest.mark.parametrize("given", [-(2**70), -1e300, "0001-01-01T00:00:00+14:00"])
def test_what_comes_before_the_calendar_is_its_first_moment(given: object) -> None:
    assert moment(given) == EARLIEST


@pytest.mark.parametrize("given", ["", "  "])
def test_an_empty_time_is_none(given: str) -> None:
    assert moment(given) is None


@pytest.mark.parametrize(
    "given", ["soon", "2026", "31/12/2026", "2026-13-01", "12:00", True, None, [1], {}, float("nan"), "9" * 9999]
)
def test_what_is_no_time_is_refused(given: object) -> None:
    with pytest.raises(ValueError, match=r"time|number|string"):
        moment(given)
