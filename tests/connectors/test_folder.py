"""Watched folders: new files, growing ones, kills, what is left alone, Parquet."""

import gzip
import json
import os
import sys
import zlib
from datetime import UTC, datetime
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from opinionwatch.connectors.folder import Folder
from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.ports import Page
from tests.connectors.reading_services import bodies, ids
from tests.contract.source_suite import build

OLD = 1_700_000_000


def source(folder: Path, **given: object) -> Folder:
    found = build("folder", path=str(folder), **given)
    assert isinstance(found, Folder)
    return found


def drop(path: Path, data: bytes, at: int = OLD) -> None:
    """Write a file that has rested."""
    path.write_bytes(data)
    os.utime(path, (at, at))


def lines(*numbers: int) -> bytes:
    return "".join(json.dumps({"native_id": str(n), "text": f"text {n}"}) + "\n" for n in numbers).encode()


def table(*numbers: int) -> bytes:
    return ("native_id,text\n" + "".join(f"{n},电池 {n}\n" for n in numbers)).encode()


def test_every_file_that_appears_is_read_once_whatever_its_format(tmp_path: Path) -> None:
    drop(tmp_path / "b.jsonl", lines(1, 2))
    drop(tmp_path / "a.csv", table(3, 4))
    drop(tmp_path / "c.ndjson.gz", gzip.compress(lines(5)))
    pages = list(source(tmp_path).fetch(None))
    assert ids(pages) == ["3", "4", "1", "2", "5"]
    assert list(source(tmp_path).fetch(pages[-1].cursor)) == []
    drop(tmp_path / "d.tsv", table(6).replace(b",", b"\t"))
    assert ids(source(tmp_path).fetch(pages[-1].cursor)) == ["6"]


def test_of_a_file_that_grew_only_the_rest_is_read(tmp_path: Path) -> None:
    drop(tmp_path / "a.jsonl", lines(1, 2))
    pages = list(source(tmp_path).fetch(None))
    drop(tmp_path / "a.jsonl", lines(1, 2, 3), OLD + 1)
    more = list(source(tmp_path).fetch(pages[-1].cursor))
    assert ids(more) == ["3"]
    drop(tmp_path / "a.jsonl", lines(7), OLD + 2)
    assert ids(source(tmp_path).fetch(more[-1].cursor)) == ["7"], "written anew: from its start"


def test_a_table_with_a_long_header_that_was_written_anew_is_read_from_its_start(tmp_path: Path) -> None:
    header = b"native_id,text," + b"x" * 1_024 + b"\n"
    drop(tmp_path / "a.csv", header + b"1,old,\n2,old,\n")
    cursor = list(source(tmp_path).fetch(None))[-1].cursor
    drop(tmp_path / "a.csv", header + b"3,a new one,\n4,a new one,\n5,a new one,\n", OLD + 1)
    assert ids(source(tmp_path).fetch(cursor)) == ["3", "4", "5"]


def test_a_file_that_is_still_being_written_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines(1) + b'{"native_id": "2", "te')
    assert list(source(tmp_path, settle_s=600).fetch(None)) == []
    drop(tmp_path / "a.jsonl", lines(1, 2))
    assert ids(source(tmp_path, settle_s=600).fetch(None)) == ["1", "2"]


def test_what_matches_no_pattern_is_hidden_or_a_link_is_left_alone(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    drop(elsewhere / "secret.jsonl", lines(9))
    watched = tmp_path / "watched"
    watched.mkdir()
    for name in (".a.jsonl", "a.txt", "b.jsonl.tmp", "other.jsonl", "c.parquet.gz"):
        drop(watched / name, lines(1))
    (watched / "posts-link.jsonl").symlink_to(elsewhere / "secret.jsonl")
    (watched / "posts-folder.jsonl").mkdir()
    drop(watched / "posts-1.jsonl", lines(5))
    assert ids(source(watched, pattern="posts-*").fetch(None)) == ["5"]


def test_a_kill_at_any_page_repeats_and_skips_nothing(tmp_path: Path) -> None:
    for number in range(4):
        drop(tmp_path / f"{number}.jsonl", lines(*range(number * 1200, number * 1200 + 1200)))
    found: list[str] = []
    cursor = None
    while page := next(source(tmp_path).fetch(cursor), None):
        found += ids([page])
        cursor = page.cursor
    assert found == [str(n) for n in range(4800)]


def test_the_cursor_remembers_only_files_that_are_there(tmp_path: Path) -> None:
    for number in range(5):
        drop(tmp_path / f"{number}.jsonl", lines(number))
    cursor = list(source(tmp_path).fetch(None))[-1].cursor
    for number in range(4):
        (tmp_path / f"{number}.jsonl").unlink()
    drop(tmp_path / "9.jsonl", lines(9))
    cursor = list(source(tmp_path).fetch(cursor))[-1].cursor
    assert set(json.loads(cursor)["files"]) == {"4.jsonl", "9.jsonl"}


def test_fields_and_content_ids_are_those_of_the_files(tmp_path: Path) -> None:
    drop(tmp_path / "a.jsonl", b'{"id": 5, "body": {"message": "hello"}}\n')
    told = {"text": "body.message", "native_id": "id"}
    (page, _) = source(tmp_path, fields=told).fetch(None)
    assert dict(page.items[0].fields) == told
    drop(tmp_path / "a.jsonl", b'{"text": "x"}\n{"text": "x"}\n')
    same = ids(source(tmp_path, native_id="content").fetch(None))
    assert len(same) == 2 and len(set(same)) == 1


def test_a_folder_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    with pytest.raises(RetryableError, match="make the folder"):
        list(source(tmp_path / "later").fetch(None))


def test_a_check_asks_how_many_files_there_are_to_read(tmp_path: Path) -> None:
    drop(tmp_path / "1.jsonl", lines(1))
    drop(tmp_path / ".hidden.jsonl", lines(2))
    found = source(tmp_path)
    assert found.check() == f"1 files match in {tmp_path}"
    with pytest.raises(RetryableError, match="make the folder"):
        source(tmp_path / "later").check()


def test_a_cursor_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match="cursor"):
        list(source(tmp_path).fetch('{"offset": 3}'))


def parquet(path: Path, rows: list[dict[str, object]], group: int = 400) -> None:
    """A Parquet file with several row groups."""
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=group)
    os.utime(path, (OLD, OLD))


def test_parquet_comes_row_by_row_and_every_cursor_gives_the_rest(tmp_path: Path) -> None:
    at = datetime(2026, 3, 1, 8, tzinfo=UTC)
    parquet(
        tmp_path / "a.parquet", [{"native_id": str(n), "text": f"电池 {n}", "published_at": at} for n in range(1_234)]
    )
    pages = list(source(tmp_path).fetch(None))
    assert ids(pages) == [str(n) for n in range(1_234)]
    assert bodies(pages)[5] == {"native_id": "5", "text": "电池 5", "published_at": "2026-03-01T08:00:00Z"}
    done = 0
    for page in pages:
        done += len(page.items)
        assert ids(source(tmp_path).fetch(page.cursor)) == [str(n) for n in range(done, 1_234)]


def test_a_parquet_file_that_was_written_anew_is_read_from_its_start(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", [{"native_id": "1", "text": "x"}, {"native_id": "2", "text": "x"}])
    cursor = list(source(tmp_path).fetch(None))[-1].cursor
    parquet(tmp_path / "a.parquet", [{"native_id": "3", "text": "x"}])
    assert ids(source(tmp_path).fetch(cursor)) == ["3"]


def test_parquet_values_of_any_type_become_json(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"native_id": "1", "text": "x", "raw": b"\xff", "n": None, "deep": {"a": [1.5]}}]
    parquet(tmp_path / "a.parquet", rows)
    assert bodies(source(tmp_path).fetch(None))[0]["deep"] == {"a": [1.5]}
    assert len(set(ids(source(tmp_path, native_id="content").fetch(None)))) == 1


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    drop(tmp_path / "a.parquet", b"PAR1 nonsense PAR1")
    [gap] = [gap for page in source(tmp_path).fetch(None) for gap in page.missed]
    assert "a.parquet: damaged" in gap.detail


PACKED = gzip.compress(lines(*range(1_000)))


def bomb() -> bytes:
    """A hundred million blanks in a line."""
    packing = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packing.compress(b" " * 10**6) for _ in range(100)) + packing.flush()


@pytest.mark.parametrize(
    ("name", "hostile", "read"),
    [
        pytest.param("b.jsonl.gz", PACKED[: len(PACKED) // 2], None, id="cut off"),
        pytest.param("b.jsonl.gz", None, 0, id="bomb"),
        pytest.param("b.parquet", b"PAR1 nonsense PAR1", 0, id="damaged Parquet"),
    ],
)
def test_a_hostile_file_is_a_gap_with_its_name_and_the_files_beside_it_are_read(
    name: str, hostile: bytes | None, read: int | None, tmp_path: Path
) -> None:
    drop(tmp_path / "a.jsonl", lines(5_000))
    drop(tmp_path / name, bomb() if hostile is None else hostile)
    drop(tmp_path / "c.jsonl", lines(5_001))
    pages = list(source(tmp_path).fetch(None))
    found = [item.body for page in pages for item in page.items if item.body.startswith(b'{"native_id"')]
    assert {lines(5_000).rstrip(), lines(5_001).rstrip()} <= set(found)
    if read is None:
        assert 2 < len(found) < 1_002, "what stands before the damage is read"
    [gap] = [gap for page in pages for gap in page.missed]
    assert gap.detail.startswith(f"{name}: the rest of this file cannot be read: ")
    assert list(source(tmp_path).fetch(pages[-1].cursor)) == [], "it is told once, until the file changes"


@pytest.mark.parametrize("hostile", [b"\x00" * 10_000, b"[" * 100_000, b'{"a": "' + b"x" * 9_000_000, b"\xfe\x00{"])
def test_nonsense_in_a_file_goes_on_to_be_dead_letters_and_the_next_is_read(hostile: bytes, tmp_path: Path) -> None:
    drop(tmp_path / "a.jsonl", hostile)
    drop(tmp_path / "b.jsonl", lines(7))
    pages = list(source(tmp_path).fetch(None))
    bodies = [item.body for page in pages for item in page.items]
    assert bodies[-1] == lines(7).rstrip()
    assert all(len(body) < 9_000_000 for body in bodies)


def test_without_pyarrow_the_cure_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drop(tmp_path / "a.parquet", b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(FatalError, match=r"opinionwatch\[parquet\]"):
        list(source(tmp_path).fetch(None))


def test_closing_ends_it_after_the_page_at_hand(tmp_path: Path) -> None:
    drop(tmp_path / "a.jsonl", lines(*range(2_000)))
    watched = source(tmp_path)
    pages = watched.fetch(None)
    taken: list[Page] = [next(pages)]
    watched.close()
    assert list(pages) == []
    assert len(ids(taken)) == 500
