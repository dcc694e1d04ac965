"""The score hop on the log: every record gets exactly one end, and marks leave last."""

import random
from datetime import timedelta
from pathlib import Path

import pytest

from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.contracts import DeadLetter, Mention
from opinionwatch.pipeline.deadletters import again
from opinionwatch.pipeline.errors import FatalError
from opinionwatch.pipeline.log import Entry
from opinionwatch.pipeline.log_records import Mark, Unreadable, decode, encode
from opinionwatch.pipeline.ports import Missed, Page
from opinionwatch.pipeline.topics import TopicName
from opinionwatch.pipeline.work_score import PART
from tests.pipeline.fleet import Fleet
from tests.pipeline.rig import BEGIN, TABLES, TODAY, post, rows


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    """Logs and a store."""
    return Fleet(tmp_path, random.Random(1))


def lines(fleet: Fleet, topic: TopicName, partitions: int) -> list[object]:
    return [
        record
        for number in range(partitions)
        for entry in fleet.log.stretch(topic, number)
        for record in decode(entry.value or b"")
    ]


def score(fleet: Fleet) -> None:
    work = fleet.scorer()
    while fleet.step(work, range(3), 1000):
        pass


def test_marks_leave_after_the_mentions_of_what_was_before_them_and_reach_every_partition(fleet: Fleet) -> None:
    for number in range(30):
        fleet.intake.submit(fleet.feed, Page([post(number, "Lumora is slow", BEGIN)], str(number)))
    fleet.intake.beat()
    score(fleet)
    for number in range(2):
        found = [record for entry in fleet.log.stretch("mentions", number) for record in decode(entry.value or b"")]
        marks = [record.lane for record in found if isinstance(record, Mark)]
        assert sorted(marks) == [("ingest", 0), ("ingest", 1), ("ingest", 2)]
        assert all(isinstance(record, Mention) for record in found[: len(found) - len(marks)])
    assert sum(isinstance(record, Mention) for record in lines(fleet, "mentions", 2)) == 30


def test_of_many_marks_of_a_lane_the_last_leaves_and_those_around_an_absence(fleet: Fleet) -> None:
    given = [(1, False), (2, False), (90, True), (91, False), (92, False)]
    marks = [
        Mark(ingest="one", partition=0, up_to=BEGIN + timedelta(minutes=minutes), assumed=assumed)
        for minutes, assumed in given
    ]
    fleet.log.append([Entry("documents", 0, encode(mark)) for mark in marks])
    score(fleet)
    assert lines(fleet, "mentions", 1) == [marks[1], marks[2], marks[4]]


def test_a_line_that_is_no_record_is_buried_and_counted_and_its_neighbours_go_on(fleet: Fleet) -> None:
    fleet.log.append([Entry("documents", 0, b"what is this?")])
    fleet.intake.submit(fleet.feed, Page([post(1, "Lumora is slow", BEGIN)], "1"))
    score(fleet)
    [letter] = lines(fleet, "deadletters", 1)
    assert isinstance(letter, DeadLetter)
    assert (letter.reason, letter.stage) == ("malformed_json", "log")
    states = [row[3] for row in rows(fleet.settings.store_path, TABLES["ledger"])]
    assert sorted(map(str, states)) == ["dead", "indexed"]


def test_a_line_that_kept_no_bytes_is_not_read_by_trying_it_again_and_ends_nobody(fleet: Fleet) -> None:
    fleet.log.append([Entry("documents", 0, b"what is this?")])
    score(fleet)
    [letter] = lines(fleet, "deadletters", 1)
    assert isinstance(letter, DeadLetter)
    fleet.intake.retry(letter, again)
    score(fleet)
    [kept] = SqliteArchive(fleet.settings.store_path).deadletters()
    assert kept == letter.model_copy(update={"attempts": 2})


def test_more_dead_letters_than_the_limit_stop_the_worker_before_any_is_written(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, random.Random(1))
    limits = fleet.settings.limits.model_copy(update={"deadletters_per_hour": 5})
    fleet.settings = fleet.settings.model_copy(update={"limits": limits})
    fleet.intake.submit(fleet.feed, Page([post(number, "", BEGIN) for number in range(6)], "1"))
    work = fleet.scorer()
    with pytest.raises(FatalError, match="deadletters_per_hour"):
        fleet.step(work, range(3), 1000)
    assert rows(fleet.settings.store_path, TABLES["deadletters"]) == []
    assert lines(fleet, "deadletters", 1) == []
    assert fleet.committed == {}


def test_a_dead_letter_that_is_tried_again_with_success_is_history(fleet: Fleet) -> None:
    fleet.intake.submit(fleet.feed, Page([post(1, "Lumora is slow", BEGIN)], "1"))
    score(fleet)
    [(document_id, _)] = rows(fleet.settings.store_path, TABLES["documents"])
    scored = fleet.settings.store_path
    [(body,)] = rows(scored, "SELECT json_extract(CAST(body AS TEXT), '$.document') FROM documents")
    letter = DeadLetter(
        id=str(document_id), tenant="default", source="feed", source_kind="test", instance="feed-instance",
        native_id="post-1", stage="score", reason="stage_failed", detail="", raw=str(body), accepted_at=BEGIN,
    )  # fmt: skip
    with fleet.store.transaction():
        fleet.store.write([letter])
        fleet.store._db.execute("DELETE FROM documents")
    fleet.intake.retry(letter, again)
    score(fleet)
    assert [row[0] for row in rows(scored, TABLES["documents"])] == [document_id]
    assert rows(scored, TABLES["deadletters"]) == []
    assert [row[3] for row in rows(scored, TABLES["ledger"])] == ["indexed"]


def test_a_dead_letter_that_is_refused_again_stays_the_same_letter_with_one_attempt_more(fleet: Fleet) -> None:
    fleet.intake.submit(fleet.feed, Page([post(1, "", BEGIN)], "1"))
    score(fleet)
    [letter] = lines(fleet, "deadletters", 1)
    assert isinstance(letter, DeadLetter)
    fleet.intake.retry(letter, again)
    score(fleet)
    [renewed] = lines(fleet, "deadletters", 1)[1:]
    assert isinstance(renewed, DeadLetter)
    assert (renewed.id, renewed.attempts, renewed.accepted_at) == (letter.id, 2, letter.accepted_at)
    assert len(rows(fleet.settings.store_path, TABLES["deadletters"])) == 1


def test_a_duplicate_is_counted_and_told_to_nobody(fleet: Fleet) -> None:
    for number in range(3):
        fleet.intake.submit(
            fleet.feed, Page([post(1, "Lumora is slow", BEGIN), post(1, "Lumora!", BEGIN)], str(number))
        )
    score(fleet)
    assert len(lines(fleet, "mentions", 2)) == 1
    assert rows(fleet.settings.store_path, "SELECT state, duplicates FROM ledger") == [("indexed", 3)], (
        "the very same record again may be a replay, and counts as nothing"
    )
    assert not any(isinstance(record, Unreadable) for record in lines(fleet, "documents", 3))


def test_a_batch_of_many_parts_ends_as_if_it_were_one(fleet: Fleet) -> None:
    count = 2 * PART + 1
    posts = [post(number, "Lumora is slow" if number % 2 else "", BEGIN) for number in range(count)]
    fleet.settings = fleet.settings.model_copy(
        update={"limits": fleet.settings.limits.model_copy(update={"deadletters_per_hour": count})}
    )
    fleet.intake.submit(fleet.feed, Page(posts, "1"))
    work = fleet.scorer()
    while fleet.step(work, range(3), 1000):
        pass
    said = [record.document_id for record in lines(fleet, "mentions", 2) if isinstance(record, Mention)]
    dead = [record.id for record in lines(fleet, "deadletters", 1) if isinstance(record, DeadLetter)]
    indexed = [str(row[0]) for row in rows(fleet.settings.store_path, TABLES["documents"])]
    assert (len(said), len(dead)) == (PART, PART + 1)
    assert sorted(said) == sorted(indexed)
    assert len(set(said) | set(dead)) == count


def test_a_gap_that_a_source_noticed_reaches_the_index_once_however_often_it_is_told(fleet: Fleet) -> None:
    missed = (Missed(BEGIN, TODAY, "the feed had turned over", 7),)
    for _ in range(2):
        fleet.intake.submit(fleet.feed, Page([post(1, "Lumora is slow", BEGIN)], "1", missed))
    score(fleet)
    [gap] = SqliteArchive(fleet.settings.store_path).gaps()
    assert (gap.source, gap.since, gap.until, gap.missed) == ("feed", BEGIN, TODAY, 7)
