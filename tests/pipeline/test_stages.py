"""Stages in a row: what ends leaves at once, what is refused is buried."""

from collections.abc import Sequence
from datetime import datetime

from opinionwatch.pipeline.contracts import DeadLetter, Document, Drop
from opinionwatch.pipeline.errors import RejectedError
from opinionwatch.pipeline.stages import bury_document, chain, each
from tests.pipeline.test_read import NOW, document


def drop(name: str) -> Drop:
    return Drop(id=name, source="s", accepted_at=NOW, rule="no-watchlist")


def upper(batch: Sequence[str], now: datetime) -> list[str]:
    return [text.upper() for text in batch]


def drop_short(batch: Sequence[str], now: datetime) -> list[str | Drop]:
    return [text if len(text) > 2 else drop(text) for text in batch]


def test_records_run_through_all_stages_in_their_order() -> None:
    assert chain(upper, drop_short)(["abc", "def"], NOW) == ["ABC", "DEF"]
    assert chain()(["a"], NOW) == ["a"]


def test_terminal_records_leave_at_once_and_come_out_at_the_end() -> None:
    assert chain(drop_short, upper)(["ab", "cde", "f", "ghi"], NOW) == ["CDE", "GHI", drop("ab"), drop("f")]


def test_the_chain_stops_when_the_batch_runs_dry() -> None:
    calls: list[int] = []

    def count(batch: Sequence[object], now: datetime) -> Sequence[object]:
        calls.append(len(batch))
        return batch

    assert chain(drop_short, count)(["a"], NOW) == [drop("a")]
    assert chain(count)([], NOW) == []
    assert calls == []


def test_a_record_that_is_rejected_is_buried_and_its_neighbours_go_on() -> None:
    def careful(given: Document, now: datetime) -> str:
        if given.text == "bad":
            raise RejectedError("stage_failed", "no")
        return given.text

    stage = each(careful, lambda record, error, _: bury_document(record, "careful", error))
    good, bad, last = stage([document("good"), document("bad"), document("last")], NOW)
    assert (good, last) == ("good", "last")
    assert isinstance(bad, DeadLetter)
    assert (bad.stage, bad.reason, bad.detail, bad.id) == ("careful", "stage_failed", "no", "1")


def test_a_buried_document_can_be_read_again() -> None:
    given = document("电池 [phone]", flags=("masked",))
    letter = bury_document(given, "score", RejectedError("model_output", "NaN"))
    assert Document.model_validate_json(letter.raw) == given
