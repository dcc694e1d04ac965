"""Calibrations on disk: found by a command, taken up by a start, never removed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from opinionwatch.alerts.calibration import Curve
from opinionwatch.pipeline import curves
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.contracts_trend import Verb, Window
from opinionwatch.pipeline.errors import FatalError
from opinionwatch.pipeline.store_sqlite import SqliteStore
from opinionwatch.pipeline.ticks import start_of, tick_of
from tests.alerts.sample import crisis
from tests.pipeline.sample import feedback

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


@pytest.mark.parametrize(
    ("verbs", "days"), [((), 14), (("not_crisis",), 28), (("not_crisis", "real"), 14), (("acknowledge",), 14)]
)
def test_days_of_an_alarm_that_people_call_none_are_quiet_days_like_any_other(
    tmp_path: Path, verbs: tuple[Verb, ...], days: int
) -> None:
    begin = NOON.replace(hour=0, minute=0)
    store = SqliteStore(tmp_path / "opinionwatch.db")
    with store.transaction():
        for watchlist in ("calm", "loud"):
            store.write(quiet(watchlist, begin + timedelta(hours=hour)) for hour in range(15 * 24))
        alarm = crisis(watchlist="loud").episode
        until = begin + timedelta(days=15)
        store.write([alarm.model_copy(update={"opened_at": begin, "began_at": begin, "resolved_at": until})])
    store.close()
    archive = SqliteArchive(tmp_path / "opinionwatch.db")
    for number, verb in enumerate(verbs):
        archive.add_feedback(feedback(number, episode_id=alarm.id, at=NOON + timedelta(days=number), verb=verb))
    found = curves.found(archive, ["calm", "loud"], 1)
    assert found is not None
    assert found.days == days


def quiet(watchlist: str, start: datetime) -> Window:
    return Window(
        watchlist=watchlist, source="news", aspect="price", start=start, posts=4, voices=4, negative=1, positive=0,
        unsure=0, negative_voices=1, sure_voices=4,
    )  # fmt: skip
