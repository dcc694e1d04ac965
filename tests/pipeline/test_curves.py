"""Calibrations on disk: found by a command, taken up by a start, never removed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from opinionwatch.alerts.calibration import Curve
from opinionwatch.pipeline import curves
from opinionwatch.pipeline.errors import FatalError
from opinionwatch.pipeline.ticks import start_of, tick_of

NOON = datetime(2024, 3, 4, 12, 1, tzinfo=UTC)
CURVE = Curve(rates=(0.0,) * 181, watchlists=3, days=42, replayed_weeks=12)


def test_a_start_takes_up_what_waits_from_the_tick_after_all_that_is_decided(tmp_path: Path) -> None:
    curves.add(tmp_path, CURVE)
    assert [curve.applies_from for curve in curves.load(tmp_path)] == [None]
    curves.adopt(tmp_path, NOON)
    curves.adopt(tmp_path, NOON + timedelta(days=3))
    [adopted] = curves.load(tmp_path)
    assert adopted.applies_from == start_of(tick_of(NOON) + 1)


def test_one_that_nobody_took_up_is_replaced_and_one_in_use_stays(tmp_path: Path) -> None:
    curves.add(tmp_path, CURVE)
    curves.adopt(tmp_path, None)
    curves.add(tmp_path, CURVE.model_copy(update={"days": 50}))
    curves.add(tmp_path, CURVE.model_copy(update={"days": 60}))
    assert [curve.days for curve in curves.load(tmp_path)] == [42, 60]


def test_without_a_file_there_is_none_and_a_damaged_one_stops_the_start(tmp_path: Path) -> None:
    assert curves.load(tmp_path) == ()
    (tmp_path / curves.NAME).write_text("not json\n")
    with pytest.raises(FatalError, match="damaged"):
        curves.adopt(tmp_path, NOON)
