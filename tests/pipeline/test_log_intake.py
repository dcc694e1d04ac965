"""The ingest hop on a log: documents, then the cursor, then the promise; and marks that promise only what is true."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import pytest
from structlog.testing import capture_logs

from opinionwatch.pipeline import wiring
from opinionwatch.pipeline.contracts import DeadLetter, Document
from opinionwatch.pipeline.cursors import Cursors
from opinionwatch.pipeline.deadletters import again
from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.log import Entry, FencedError
from opinionwatch.pipeline.log_intake import LogIntake
from opinionwatch.pipeline.log_memory import MemoryLog
from opinionwatch.pipeline.log_records import Again, LogRecord, Mark, Unreadable, decode
from opinionwatch.pipeline.ports import ManualClock, Missed, Page
from opinionwatch.pipeline.settings_kafka import Kafka
from tests.pipeline.rig import BEGIN, TODAY, Feed, post, settings

KAFKA = Kafka(documents_partitions=3)


class Broken(MemoryLog):
    """A log whose broker is away, or slow, when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.slow: Event | None = None
        self.asked = Event()

    def append(self, entries: Sequence[Entry]) -> None:
        """Store all, if the broker is there."""
        self.asked.set()
        if self.slow is not None and any(b'"document"' in (entry.value or b"") for entry in entries):
            self.slow.wait(30)
        if self.away:
            raise RetryableError("the broker is away", after_s=7)
        super().append(entries)


@pytest.fixture
def log() -> Broken:
    """An empty log."""
    return Broken()


def intake(log: MemoryLog, folder: Path, clock: ManualClock | None = None, *, live: bool = True) -> LogIntake:
    """One life of the ingest hop."""
    chosen = settings(folder)
    cursors = Cursors("ingest", log.owned("ingest"), log)
    clock = clock or ManualClock(TODAY)
    replaying = [] if live else ["feed"]
    return LogIntake(KAFKA, log, cursors, wiring.ingest_hop(chosen), clock, replaying=lambda: replaying, live=live)


def records(log: MemoryLog) -> list[LogRecord | Unreadable]:
    """Everything in the documents log."""
    stored = [entry for number in range(3) for entry in log.stretch("documents", number)]
    return [record for entry in stored for record in decode(entry.value or b"")]


def marks(log: MemoryLog) -> dict[int, list[datetime]]:
    """Marks by partition."""
    found: dict[int, list[datetime]] = {number: [] for number in range(3)}
    for record in records(log):
        if isinstance(record, Mark):
            found[record.partition].append(record.up_to)
    return found


def test_a_promise_is_kept_only_after_documents_and_cursor_are_stored(log: Broken, tmp_path: Path) -> None:
    hop, feed = intake(log, tmp_path), Feed(replays=False)
    assert hop.submit(feed, Page([post(1, "Lumora is slow")], "1")).result(timeout=0) is None
    assert [type(record) for record in records(log)] == [Document]
    assert hop.cursor(feed) == "1"
    log.away = True
    with pytest.raises(RetryableError) as refused:
        hop.submit(feed, Page([post(2, "Lumora is slow")], "2"))
    assert refused.value.after_s == 7
    assert hop.cursor(feed) == "1"
    assert intake_cursor(log, tmp_path) == "1"


def intake_cursor(log: Broken, folder: Path) -> str | None:
    """Where the next life goes on."""
    log.away = False
    return intake(log, folder).cursor(Feed(replays=False))


def test_what_is_personal_is_masked_before_it_is_written_anywhere(log: Broken, tmp_path: Path) -> None:
    feed = Feed(replays=False)
    page = Page([post(1, "Lumora: write to jane.doe@example.com"), post(2, "", author="jane.doe@example.com")], "1")
    intake(log, tmp_path).submit(feed, page)
    kinds = {type(record).__name__ for record in records(log)}
    assert kinds == {"Document", "DeadLetter"}
    written = b"".join(entry.value or b"" for number in range(3) for entry in log.stretch("documents", number))
    assert b"jane" not in written


def test_a_mark_goes_into_every_partition_and_never_back(log: Broken, tmp_path: Path) -> None:
    clock = ManualClock(TODAY)
    hop = intake(log, tmp_path, clock)
    hop.beat()
    clock.now = TODAY - timedelta(hours=1)
    hop.beat()
    clock.now = TODAY + timedelta(minutes=1)
    hop.beat()
    assert marks(log) == {number: [TODAY, TODAY, TODAY + timedelta(minutes=1)] for number in range(3)}


def test_no_mark_passes_a_page_that_is_still_on_its_way(log: Broken, tmp_path: Path) -> None:
    clock, feed = ManualClock(TODAY), Feed(replays=False)
    hop = intake(log, tmp_path, clock)
    log.slow = Event()
    sender = Thread(target=hop.submit, args=(feed, Page([post(1, "Lumora is slow")], "1")))
    sender.start()
    assert log.asked.wait(30)
    clock.now = TODAY + timedelta(minutes=30)
    assert hop.beat() == TODAY
    assert hop.oldest() == 1, "whoever watches sees that this page does not arrive"
    log.slow.set()
    sender.join()
    assert hop.oldest() is None
    assert hop.beat() == clock.now
    [document] = [record for record in records(log) if isinstance(record, Document)]
    assert document.accepted_at == TODAY


def test_nothing_is_stamped_before_what_an_earlier_life_has_promised(log: Broken, tmp_path: Path) -> None:
    feed = Feed(replays=False)
    intake(log, tmp_path, ManualClock(TODAY)).beat()
    later = intake(log, tmp_path, ManualClock(TODAY - timedelta(hours=2)))
    later.submit(feed, Page([post(1, "Lumora is slow")], "1"))
    [document] = [record for record in records(log) if isinstance(record, Document)]
    assert document.accepted_at == TODAY


def test_a_replay_carries_its_own_time_through_a_restart(log: Broken, tmp_path: Path) -> None:
    feed = Feed()
    first = intake(log, tmp_path, live=False)
    assert first.beat() < BEGIN
    first.submit(feed, Page([post(1, "Lumora is slow", BEGIN)], "1"))
    assert first.beat() == BEGIN
    second = intake(log, tmp_path, live=False)
    assert second.beat() == BEGIN
    assert second.cursor(feed) == "1"


def test_two_ingest_daemons_of_one_name_cannot_both_go_on(log: Broken, tmp_path: Path) -> None:
    feed = Feed(replays=False)
    first = intake(log, tmp_path)
    second = intake(log, tmp_path)
    with pytest.raises(FencedError):
        first.submit(feed, Page([post(1, "Lumora is slow")], "1"))
    with pytest.raises(FencedError):
        first.beat()
    second.submit(feed, Page([post(1, "Lumora is slow")], "1"))
    assert not any(marks(log).values())


def test_a_dead_letter_goes_round_again_with_the_time_of_the_new_attempt(log: Broken, tmp_path: Path) -> None:
    clock = ManualClock(TODAY)
    hop = intake(log, tmp_path, clock)
    hop.submit(Feed(replays=False), Page([post(1, "Lumora is slow")], "1"))
    [document] = [record for record in records(log) if isinstance(record, Document)]
    letter = DeadLetter(
        id=document.id, tenant="default", source="feed", source_kind="test", instance="feed-instance",
        native_id="post-1", stage="score", reason="stage_failed", detail="", raw=document.model_dump_json(),
        accepted_at=document.accepted_at, attempts=2,
    )  # fmt: skip
    clock.now = TODAY + timedelta(hours=3)
    hop.retry(letter, again)
    [tried] = [record for record in records(log) if isinstance(record, Again)]
    later = document.model_copy(update={"accepted_at": clock.now})
    assert tried == Again(record=later, attempts=2, first_at=TODAY)


def assumed(log: MemoryLog) -> list[tuple[datetime, bool]]:
    """The marks of one partition, and whether somebody listened before them."""
    found = [record for record in records(log) if isinstance(record, Mark) and record.partition == 0]
    return [(record.up_to, record.assumed) for record in found]


def test_the_first_mark_of_a_life_says_that_nobody_knows_who_listened_before_and_the_next_ones_that_we_did(
    log: Broken, tmp_path: Path
) -> None:
    clock = ManualClock(TODAY)
    for _ in range(2):
        hop = intake(log, tmp_path, clock)
        hop.beat()
        clock.now += timedelta(minutes=1)
        hop.beat()
        clock.now += timedelta(hours=9)
    assert [was for _, was in assumed(log)] == [True, False, True, False]


def test_who_could_not_reach_the_broker_for_hours_has_not_listened(log: Broken, tmp_path: Path) -> None:
    clock = ManualClock(TODAY)
    hop = intake(log, tmp_path, clock)
    hop.beat()
    log.away = True
    for _ in range(5):
        clock.now += timedelta(minutes=20)
        with pytest.raises(RetryableError):
            hop.beat()
    log.away = False
    hop.beat()
    clock.now += timedelta(minutes=59)
    hop.beat()
    assert [was for _, was in assumed(log)] == [True, True, False]


def test_a_replays_time_is_never_assumed(log: Broken, tmp_path: Path) -> None:
    hop = intake(log, tmp_path, live=False)
    for number, at in enumerate((BEGIN, BEGIN + timedelta(hours=9))):
        hop.submit(Feed(), Page([post(number, "Lumora is slow", at)], str(number)))
        hop.beat()
    assert assumed(log) == [(BEGIN, False), (BEGIN + timedelta(hours=9), False)]


def test_a_gap_upstream_is_not_passed_over_in_silence(log: Broken, tmp_path: Path) -> None:
    missed = Missed(BEGIN, TODAY, "the window turned over")
    with capture_logs() as said:
        intake(log, tmp_path).submit(Feed(), Page([post(1, "Lumora is great")], "1", [missed]))
    [gap] = [line for line in said if line["event"] == "source.gap"]
    assert (gap["source"], gap["since"], gap["until"]) == ("feed", BEGIN, TODAY)
