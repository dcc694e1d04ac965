"""Watched folders: files that are wrong, shut, gone or busy, and those beside them."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.connectors.reading_services import ids
from tests.connectors.test_folder import OLD, drop, lines, parquet, source, table


def test_a_table_without_the_columns_is_a_gap_once_and_is_read_when_the_settings_name_them(tmp_path: Path) -> None:
    drop(tmp_path / "a.csv", b"id,body\n1,x\n")
    drop(tmp_path / "b.jsonl", lines(2))
    pages = list(source(tmp_path).fetch(None))
    assert ids(pages) == ["2"]
    [gap] = [gap for page in pages for gap in page.missed]
    assert gap.detail.startswith("a.csv: ") and "no column for text" in gap.detail
    cursor = pages[-1].cursor
    assert list(source(tmp_path).fetch(cursor)) == [], "it is told once"
    cured = source(tmp_path, pattern="*.csv", fields={"native_id": "id", "text": "body"})
    assert ids(cured.fetch(cursor)) == ["1"]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_a_file_that_may_not_be_opened_is_a_gap_once_and_is_read_when_it_may(name: str, nobodys: Path) -> None:
    if name == "a.parquet":
        parquet(nobodys / name, [{"native_id": "1", "text": "x"}])
    else:
        drop(nobodys / name, table(1) if name == "a.csv" else lines(1))
    (nobodys / name).chmod(0)
    drop(nobodys / "b.jsonl", lines(2))
    pages = list(source(nobodys).fetch(None))
    assert ids(pages) == ["2"]
    [gap] = [gap for page in pages for gap in page.missed]
    assert gap.detail.startswith(f"{name}: ") and "Permission denied" in gap.detail
    assert list(source(nobodys).fetch(pages[-1].cursor)) == [], "it is told once"
    (nobodys / name).chmod(0o600)
    assert ids(source(nobodys).fetch(pages[-1].cursor)) == ["1"]


@pytest.fixture
def nobodys() -> Iterator[Path]:
    """A folder of somebody for whom modes of files count; for root they do not."""
    user = os.geteuid()
    with TemporaryDirectory() as folder:
        os.chown(folder, user or 65_534, -1)
        os.seteuid(user or 65_534)
        try:
            yield Path(folder)
        finally:
            os.seteuid(user)


@pytest.mark.parametrize("name", ["b.csv", "b.jsonl", "b.parquet"])
def test_a_file_that_is_moved_away_before_its_turn_is_no_gap_and_the_next_is_read(name: str, tmp_path: Path) -> None:
    drop(tmp_path / "a.jsonl", lines(1))
    drop(tmp_path / name, table(2))
    drop(tmp_path / "c.jsonl", lines(3))
    look = source(tmp_path).fetch(None)
    pages = [next(look)]
    (tmp_path / name).unlink()
    pages += look
    assert ids(pages) == ["1", "3"]
    assert not [gap for page in pages for gap in page.missed]
    assert set(json.loads(pages[-1].cursor)["files"]) == {"a.jsonl", "c.jsonl"}


def test_the_place_in_a_file_that_is_busy_is_kept_while_others_are_read(tmp_path: Path) -> None:
    drop(tmp_path / "a.jsonl", lines(1, 2))
    cursor = list(source(tmp_path, settle_s=600).fetch(None))[-1].cursor
    (tmp_path / "a.jsonl").write_bytes(lines(1, 2, 3))
    drop(tmp_path / "b.jsonl", lines(7))
    pages = list(source(tmp_path, settle_s=600).fetch(cursor))
    assert ids(pages) == ["7"]
    os.utime(tmp_path / "a.jsonl", (OLD + 1, OLD + 1))
    assert ids(source(tmp_path, settle_s=600).fetch(pages[-1].cursor)) == ["3"]
