"""What stands in the logs comes back exactly, and a line that is no record costs only itself."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opinionwatch.pipeline.contracts import Document, Gap
from opinionwatch.pipeline.contracts_changes import Deletion, Withdrawal
from opinionwatch.pipeline.log_records import Again, LogRecord, Mark, Unreadable, decode, encode, entries
from opinionwatch.pipeline.versions import DELETED

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def document(text: str = "电池太差 and slow") -> Document:
    return Document(
        id="0" * 32, tenant="default", source="blog", source_kind="rss", instance="blog", native_id="1", text=text,
        author=None, url=None, published_at=NOW, accepted_at=NOW, flags=("masked",),
    )  # fmt: skip


@pytest.mark.parametrize(
    "record",
    [
        document(),
        Mark(ingest="one", partition=3, up_to=NOW),
        Again(record=document(), attempts=2, first_at=NOW),
        Deletion(id="1", tenant="t", source="s", source_kind="rss", instance="blog", accepted_at=NOW),
        Withdrawal(document_id="1", version=DELETED, at=NOW, keeps=("lumora",)),
        Gap(source="blog", since=None, until=NOW, missed=7, detail="retention", found_at=NOW),
    ],
)
def test_a_record_comes_back_as_it_was(record: LogRecord) -> None:
    assert decode(encode(record)) == [record]


@given(st.text(max_size=200))
def test_no_text_can_break_out_of_its_line(text: str) -> None:
    first, second = document(text), Mark(ingest="one", partition=0, up_to=NOW)
    line = encode(first)
    assert b"\n" not in line
    assert decode(b"\n".join([line, encode(second)])) == [first, second]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"not JSON", "malformed_json"),
        (b'{"surprise":{}}', "malformed_json"),
        (b'{"mark":{"ingest":"one"}}', "invalid_field"),
        (b'{"mark":{"ingest":"one","partition":0,"up_to":"soon"}}', "invalid_field"),
        (b'{"document":{"id": \xff}}', "invalid_field"),
    ],
)
def test_a_line_that_cannot_be_read_costs_its_neighbours_nothing(line: bytes, reason: str) -> None:
    good = encode(document())
    found = decode(b"\n".join([good, line, good]))
    assert (found[0], found[2]) == (document(), document())
    assert isinstance(found[1], Unreadable)
    letter = found[1].letter("documents/0", NOW)
    assert letter.reason == reason
    assert letter == found[1].letter("documents/0", NOW)
    assert line.decode("utf-8", "replace") not in letter.raw, "nobody has masked these bytes"


@given(st.lists(st.binary(min_size=1, max_size=50).filter(lambda line: b"\n" not in line)), st.integers(1, 120))
def test_entries_hold_all_lines_in_order_and_stay_small(lines: list[bytes], limit: int) -> None:
    packed = list(entries(lines, limit))
    assert [line for entry in packed for line in entry.split(b"\n")] == lines
    assert all(len(entry) <= limit + 1 or b"\n" not in entry for entry in packed)
