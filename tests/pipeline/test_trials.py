"""A document on which processes die is found and buried; whoever is only killed beside one is not."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from opinionwatch.pipeline.contracts import DeadLetter, Reading
from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.log_memory import MemoryLog
from opinionwatch.pipeline.log_records import decode
from opinionwatch.pipeline.ports import Page, Passage
from opinionwatch.pipeline.trials import TRIES, Trials
from tests.pipeline.fleet import Fleet
from tests.pipeline.rig import BEGIN, TABLES, Words, post, rows


class Death(BaseException):
    """What a dead process leaves: nothing that its code could catch."""


class Deadly(Words):
    """Dies of a word."""

    def score(self, passages: Sequence[Passage]) -> list[Reading]:
        """Score, or die."""
        if any("deadly" in passage.text for passage in passages):
            raise Death
        return super().score(passages)


def test_the_document_that_kills_is_buried_after_its_process_has_died_often_enough(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, random.Random(1))
    items = [
        post(number, "Lumora: deadly" if number == 17 else f"Lumora is slow {number}", BEGIN) for number in range(40)
    ]
    fleet.intake.submit(fleet.feed, Page(items, "1"))
    deaths = 0
    while True:
        work = fleet.scorer(Deadly())  # every life is a new process
        try:
            while fleet.step(work, range(3), 1000):
                pass
            break
        except Death:
            deaths += 1
            assert deaths < 10
    assert deaths == 4
    states = [str(row[3]) for row in rows(fleet.settings.store_path, TABLES["ledger"])]
    assert sorted(states) == ["dead"] + ["indexed"] * 39
    letters = [record for entry in fleet.log.stretch("deadletters", 0) for record in decode(entry.value or b"")]
    [letter] = [record for record in letters if isinstance(record, DeadLetter)]
    assert (letter.reason, letter.native_id) == ("crash_loop", "post-17")


class Busy(Words):
    """Its device is not ready for a while."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def score(self, passages: Sequence[Passage]) -> list[Reading]:
        """Score, or ask to come again."""
        self.times -= 1
        if self.times >= 0:
            raise RetryableError("the device is busy")
        return super().score(passages)


def test_a_batch_that_one_life_tries_again_and_again_has_killed_nobody(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, random.Random(1))
    fleet.intake.submit(fleet.feed, Page([post(number, f"Lumora is slow {number}", BEGIN) for number in range(9)], "1"))
    scorer = Busy(20)
    work = fleet.scorer(scorer)
    while scorer.times > 0:
        with pytest.raises(RetryableError):
            fleet.step(work, range(3), 1000)
    while fleet.step(work, range(3), 1000):
        pass
    assert {str(row[3]) for row in rows(fleet.settings.store_path, TABLES["ledger"])} == {"indexed"}


def test_who_is_tried_again_by_the_same_life_is_not_counted_and_by_the_next_one_is() -> None:
    log = MemoryLog()
    first = Trials(log, log)
    for _ in range(9):
        assert first.begin({0: 7}) == set()
    for _ in range(TRIES - 1):
        assert Trials(log, log).begin({0: 7}) == set()
    careful = Trials(log, log)
    for _ in range(9):
        assert careful.begin({0: 7}) == {0}
        assert not careful.condemned(0, "a")
        careful.alone(0, "a")
    assert first.begin({0: 7}) == {0}, "others have tried it since"


def test_a_life_that_goes_on_writes_nothing_down_after_its_first_batch() -> None:
    log = MemoryLog()
    trials = Trials(log, log)
    assert trials.begin({0: 5}) == set()
    trials.done({0: 9})
    written = len(list(log.stretch("cursors", 0)))
    assert trials.begin({0: 9}) == set()
    trials.done({0: 12})
    assert len(list(log.stretch("cursors", 0))) == written


def test_kills_at_different_places_make_nobody_a_suspect() -> None:
    log = MemoryLog()
    for offset in range(20):
        assert Trials(log, log).begin({0: offset}) == set()


@pytest.mark.parametrize("times", [1, 2])
def test_a_document_beside_which_somebody_was_killed_once_is_not_condemned(times: int) -> None:
    log = MemoryLog()
    for _ in range(2):
        Trials(log, log).begin({0: 7})
    for _ in range(times):
        life = Trials(log, log)
        assert life.begin({0: 7}) == {0}
        assert not life.condemned(0, "innocent")
        life.alone(0, "innocent")
    last = Trials(log, log)
    last.begin({0: 7})
    assert last.condemned(0, "innocent") == (times == 2)
    assert not last.condemned(0, "another")


def test_what_cannot_be_read_is_forgotten() -> None:
    log = MemoryLog()
    Trials(log, log).begin({0: 7})
    [entry] = log.stretch("cursors", 0)
    from opinionwatch.pipeline.log import Entry

    log.append([Entry("cursors", 0, b"{}", entry.key)])
    assert Trials(log, log).begin({0: 7}) == set()
