"""Wishes and their progress in the cursors topic."""

from datetime import UTC, datetime, timedelta

import pytest

from opinionwatch.connectors.backfill import Progress, Wish, stored_as
from opinionwatch.pipeline.backfill_log import BackfillLog
from opinionwatch.pipeline.cursors import Cursors, Position
from opinionwatch.pipeline.errors import FatalError
from opinionwatch.pipeline.log import Entry
from opinionwatch.pipeline.log_memory import MemoryLog

NOW = datetime(2026, 11, 26, tzinfo=UTC)
WISH = Wish(since=NOW - timedelta(days=1), asked_at=NOW)


def test_a_wish_is_found_and_its_progress_is_that_of_the_latest_one() -> None:
    log = MemoryLog()
    cursors = Cursors("ingest", log.owned("ingest"), log)
    asked = BackfillLog(log)
    asked.look()
    assert (asked.wishes(), asked.progress("blog")) == ({}, None)
    BackfillLog.ask(log, "blog", WISH)
    asked.look()
    assert asked.wishes() == {"blog": WISH}
    assert asked.progress("blog") is None, "nobody has taken it up"
    progress = Progress(since=WISH.since, asked_at=WISH.asked_at, items=7, share=0.5)
    cursors.save(stored_as("blog"), Position(cursor=progress.model_dump_json()))
    asked.look()
    assert asked.progress("blog") == progress
    later = WISH.model_copy(update={"asked_at": NOW + timedelta(seconds=1)})
    BackfillLog.ask(log, "blog", later)
    asked.look()
    assert asked.wishes() == {"blog": later}
    assert asked.progress("blog") is None, "what there is belongs to the wish before"


def test_after_the_first_look_only_what_was_added_is_read() -> None:
    log, read = MemoryLog(), list[int | None]()

    class Watched(MemoryLog):
        def stretch(self, topic, partition, start=None, end=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - as the base
            read.append(start)
            return log.stretch(topic, partition, start, end)

    asked = BackfillLog(Watched())
    for number in range(3):
        BackfillLog.ask(log, f"source {number}", WISH)
        asked.look()
    asked.look()
    assert read == [None, 1, 2, 3]
    assert len(asked.wishes()) == 3


def test_the_daemon_keeps_a_cursor_of_its_own_under_another_name() -> None:
    log = MemoryLog()
    cursors = Cursors("ingest", log.owned("ingest"), log)
    cursors.save("blog", Position(cursor="live"))
    cursors.save(stored_as("blog"), Position(cursor="history"))
    BackfillLog.ask(log, "blog", WISH)
    again = Cursors("ingest", log.owned("ingest"), log)
    assert {name: position.cursor for name, position in again.positions.items()} == {
        "blog": "live",
        "backfill:blog": "history",
    }


def test_a_wish_that_nobody_can_read_stops_whoever_reads_it() -> None:
    log = MemoryLog()
    log.append([Entry("cursors", 0, b"soon", b"wish/backfill:blog")])
    asked = BackfillLog(log)
    asked.look()
    with pytest.raises(FatalError, match="stored as a wish"):
        asked.wishes()
