"""History that comes through the log teaches the trend worker, and raises no alarm."""

import random
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from tests.pipeline.fleet import Fleet
from tests.pipeline.rig import BEGIN, pages, story

TURN = BEGIN + timedelta(days=2)


@pytest.mark.parametrize("history", [False, True])
def test_what_a_backfill_brings_is_counted_where_it_belongs_and_told_to_nobody(tmp_path: Path, history: bool) -> None:
    fleet = Fleet(tmp_path, random.Random(1))
    items = [
        replace(item, history=history and item.arrived_at is not None and item.arrived_at >= TURN) for item in story()
    ]
    for page in pages(items, [23] * 100):
        fleet.intake.submit(fleet.feed, page).result(timeout=0)
    fleet.replaying = []
    fleet.intake.beat()
    fleet.drain()
    assert bool(fleet.alerts()) is not history, "the same two hours, said as they happened, are a crisis"
    archive = SqliteArchive(fleet.settings.store_path)
    windows = archive.windows("lumora", TURN, TURN + timedelta(hours=2))
    assert sum(window.posts for window in windows) > 100, "people see them in the chart"
