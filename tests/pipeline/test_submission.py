"""Foreign bytes become a submission or a reason."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opinionwatch.pipeline.contracts import Submission
from opinionwatch.pipeline.errors import DEAD_REASONS, RejectedError
from opinionwatch.pipeline.ports import Item
from opinionwatch.pipeline.settings import Limits
from opinionwatch.pipeline.submission import MAX_DEPTH, parse

LIMITS = Limits(record_bytes=100_000)
Fields = tuple[tuple[str, str], ...]


def parsed(record: object, fields: Fields = ()) -> Submission:
    body = record if isinstance(record, bytes) else json.dumps(record).encode()
    return parse(Item(body, fields=fields), LIMITS)


def refusal(record: object, fields: Fields = ()) -> RejectedError:
    with pytest.raises(RejectedError) as caught:
        parsed(record, fields)
    return caught.value


def test_a_submission_is_read_as_it_is() -> None:
    given_time = "2026-03-08T12:00:00+08:00"
    read = parsed(
        {"native_id": "7", "text": "好", "author": "a", "published_at": given_time, "lang": "zh", "html": False}
    )
    assert (read.native_id, read.text, read.author, read.lang, read.html) == ("7", "好", "a", "zh", False)
    assert read.published_at == datetime(2026, 3, 8, 4, tzinfo=UTC)


def test_fields_are_renamed_by_dotted_paths_through_objects_and_lists() -> None:
    record = {"data": {"id": 12, "bodies": [{"full.text": "hi"}]}, "user": {"name": "ann"}, "ts": "1772971200"}
    fields = (
        ("native_id", "data.id"),
        ("author", "user.name"),
        ("published_at", "ts"),
        ("text", "data.bodies.0.full.text"),
    )
    assert refusal(record, fields).reason == "missing_field"
    record["full.text"] = "hi"
    read = parsed(record, (*fields[:3], ("text", "full.text")))
    assert (read.native_id, read.author, read.text) == ("12", "ann", "hi")
    assert read.published_at == datetime(2026, 3, 8, 12, tzinfo=UTC)


def test_fields_that_are_not_renamed_keep_our_names() -> None:
    read = parsed({"id": "1", "text": "hi", "published_at": "2026-03-08"}, (("native_id", "id"),))
    assert (read.text, read.published_at) == ("hi", datetime(2026, 3, 8, tzinfo=UTC))


def test_a_foreign_field_that_only_bears_our_name_is_ignored() -> None:
    record = {"id": "1", "text": "hi", "author": {"name": "ann"}, "source": 7, "html": "maybe", "published_at": "soon"}
    assert parsed(record, (("native_id", "id"),)).author is None
    assert refusal(record, (("native_id", "id"), ("author", "author"))).detail == "author: a JSON object, not a string"
    assert refusal({**record, "native_id": "1"}).reason == "invalid_field"


@pytest.mark.parametrize(("given_id", "read"), [(7, "7"), (2**70, str(2**70)), (1.5, "1.5"), (0, "0"), ("0", "0")])
def test_numbers_as_native_id_become_text(given_id: object, read: str) -> None:
    assert parsed({"native_id": given_id, "text": "x"}).native_id == read


def test_a_native_id_is_printable_and_stays_distinct() -> None:
    ids = ["a", "a\n", "a\0", "a\ud800", "a\ud801", "a\u202e"]
    read = [parsed({"native_id": name, "text": "x"}).native_id for name in ids]
    assert len(set(read)) == len(ids)
    assert all(name.isprintable() for name in read)


def test_nothing_is_nothing_and_not_a_mistake() -> None:
    record = {"native_id": "1", "text": "x", "author": "", "published_at": "", "url": None, "source": "", "html": ""}
    read = parsed(record)
    assert (read.author, read.published_at, read.url, read.source, read.html) == (None, None, None, None, False)


def test_brackets_inside_strings_are_not_nesting() -> None:
    assert parsed({"native_id": "1", "text": "[" * 1000 + '\\"' + "{" * 1000}).text.startswith("[[")


def test_nesting_is_fine_up_to_the_limit() -> None:
    def nested(depth: int) -> bytes:
        return b'{"native_id":"1","text":"x","deep":' + b"[" * depth + b"]" * depth + b',"wide":' + b"[[],[],[]]" + b"}"

    assert parsed(nested(MAX_DEPTH - 1)).text == "x"
    assert refusal(nested(MAX_DEPTH)).reason == "too_deep"


def test_many_brackets_side_by_side_are_not_depth() -> None:
    assert parsed({"native_id": "1", "text": "x", "wide": [[]] * 500}).text == "x"


@pytest.mark.parametrize("body", [b'"' + b'\\"' * 40_000, b"[" * 90_000, b'{"a":"' + b"[" * 90_000, b"[]" * 40_000])
def test_the_depth_check_is_linear_for_what_it_cannot_match(body: bytes) -> None:
    assert refusal(body).reason in ("malformed_json", "too_deep")


def test_details_hold_nothing_of_the_record() -> None:
    secret = "hunter2"
    for record in ({secret: 1, "text": secret, "native_id": [secret]}, {"native_id": "1", "text": {"a": secret}}):
        assert secret not in refusal(record).detail
    assert secret not in refusal(b'{"%s":1,"%s":2}' % (secret.encode(), secret.encode())).detail


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from([*Submission.model_fields, "id", "x.y", "x"])


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_with_a_reason(body: bytes) -> None:
    try:
        parsed(body)
    except RejectedError as error:
        assert error.reason in DEAD_REASONS


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(NAMES, JSON), st.lists(st.tuples(NAMES, NAMES), max_size=3))
def test_any_object_is_read_or_refused_with_a_reason(record: dict[str, object], fields: list[tuple[str, str]]) -> None:
    try:
        read = parsed({"native_id": "1", "text": "x", **record}, tuple(fields))
    except RejectedError as error:
        assert error.reason in DEAD_REASONS
    else:
        read.model_dump_json().encode()
