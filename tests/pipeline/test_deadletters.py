"""From a dead letter back to what the plan can take."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opinionwatch.pipeline.accept import Accept, Arrival
from opinionwatch.pipeline.contracts import DeadLetter, Document
from opinionwatch.pipeline.deadletters import again, tried
from opinionwatch.pipeline.errors import RejectedError
from opinionwatch.pipeline.log_records import Unreadable
from opinionwatch.pipeline.ports import Item
from opinionwatch.pipeline.settings import Limits
from opinionwatch.pipeline.stages import bury_document
from tests.pipeline.sample import NOON, dead, document

LATER = NOON + timedelta(hours=3)


@given(st.text(min_size=1), st.none() | st.text(max_size=20))
def test_a_document_that_a_later_stage_refused_comes_back_as_it_was(text: str, author: str | None) -> None:
    origin = document(1, text, author=author)
    for stage in ("score", "read"):
        letter = bury_document(origin, stage, RejectedError("stage_failed", "a defect, since mended"))
        assert letter.id == origin.id
        assert again(letter, LATER) == origin.model_copy(update={"accepted_at": LATER})


def test_a_long_document_comes_back_whole() -> None:
    origin = document(1, "流" * Limits().text_chars)
    letter = bury_document(origin, "score", RejectedError("out_of_memory", "no room"))
    returned = again(DeadLetter.model_validate_json(letter.model_dump_json()), LATER)
    assert isinstance(returned, Document)
    assert returned.text == origin.text


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b'{"native_id": "1", "text": "Lumora 13812345678", "published_at": "never"}', ()),
        (b'{"id": 7, "said": ["Lumora"]}', (("native_id", "id"), ("text", "said.0"))),
        ('{"native_id": "流墨", "text": "a\\u0000b", "author": "Mei"}'.encode(), ()),
    ],
)
def test_a_record_that_was_not_accepted_comes_back_masked_and_is_read_in_the_same_way(
    body: bytes, fields: tuple[tuple[str, str], ...]
) -> None:
    accept = Accept(Limits(), "default", b"k" * 32)
    headers = (("trace", b"7f"), ("mail", b"a@b.com \xff"), ("token", b"hunter2"))
    arrival = Arrival("feed", "jsonl", "a.jsonl", Item(body, NOON, fields, headers=headers))
    letter = accept.bury(arrival, RejectedError("stage_failed", "a defect, since mended"), NOON)
    returned = again(letter, LATER)
    assert isinstance(returned, Arrival)
    assert (returned.source, returned.kind, returned.instance) == ("feed", "jsonl", "a.jsonl")
    assert returned.item.fields == fields
    assert returned.item.arrived_at == LATER
    assert b"13812345678" not in returned.item.body
    [second] = accept([returned], LATER)
    assert second.id == letter.id
    dead_again = accept.bury(returned, RejectedError("stage_failed", "still not"), LATER)
    assert dead_again.headers == letter.headers == (("trace", "7f"), ("mail", "[email] \\xff"), ("token", "[hidden]"))


def test_a_line_of_a_log_that_kept_no_bytes_comes_back_as_the_letter_it_is() -> None:
    letter = Unreadable(b"what is this?", RejectedError("malformed_json", "no line of this log")).letter(
        "log/0/7", NOON
    )
    assert again(letter, LATER) is letter
    old = bury_document(document(1), "score", RejectedError("stage_failed", "x")).model_copy(
        update={"raw": '{"id": 1}'}
    )
    assert again(old, LATER) is old


def test_a_letter_that_dies_again_is_as_old_as_it_was_and_has_one_attempt_more() -> None:
    first, other = dead(1), dead(2)
    second = first.model_copy(update={"accepted_at": LATER, "detail": "still not"})
    found = tried(second, {first.id: first.model_copy(update={"attempts": 4})})
    assert (found.attempts, found.accepted_at, found.detail) == (5, NOON, "still not")
    assert tried(other, {first.id: first}) == other
