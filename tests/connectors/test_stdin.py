"""Reading standard input."""

import gzip
import os
from collections.abc import Iterator
from pathlib import Path
from threading import Timer

import pytest

from opinionwatch.connectors.csv_file import Csv
from opinionwatch.connectors.jsonl import Jsonl
from opinionwatch.pipeline.errors import FatalError
from opinionwatch.pipeline.ports import Page


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The writing end of standard input."""
    reading, writing = os.pipe()
    with os.fdopen(reading) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        yield writing
    try:
        os.close(writing)
    except OSError:
        return  # the test has closed it


def source() -> Jsonl:
    return Jsonl("stdin", Jsonl.Settings(path="-"))


def bodies(page: Page) -> list[bytes]:
    return [item.body for item in page.items]


def test_lines_come_as_they_are_written_and_the_last_one_at_the_end(pipe: int) -> None:
    os.write(pipe, b"one\ntwo\nthr")
    pages = source().fetch(None)
    assert bodies(next(pages)) == [b"one", b"two"]
    os.write(pipe, b"ee\nfour")
    assert bodies(next(pages)) == [b"three"]
    os.close(pipe)
    assert bodies(next(pages)) == [b"four"]
    assert list(pages) == []


def test_packed_input_is_recognised(pipe: int) -> None:
    os.write(pipe, gzip.compress(b"one\ntwo"))
    os.close(pipe)
    assert [body for page in source().fetch(None) for body in bodies(page)] == [b"one", b"two"]


def test_an_empty_input_is_the_end(pipe: int) -> None:
    os.close(pipe)
    assert list(source().fetch(None)) == []


def test_a_cursor_of_an_earlier_input_is_left_aside(pipe: int) -> None:
    os.write(pipe, b"one\n")
    os.close(pipe)
    assert [bodies(page) for page in source().fetch('{"offset": 100}')] == [[b"one"]]


@pytest.mark.parametrize("before", [b"", b"one\ntw", gzip.compress(b"one\ntwo\n", mtime=0)[:10]])
def test_a_silent_input_does_not_keep_it_from_closing(pipe: int, before: bytes) -> None:
    os.write(pipe, before)
    silent = source()
    timer = Timer(0.3, silent.close)
    timer.start()
    pages = silent.fetch(None)
    found = [body for page in pages for body in bodies(page)]
    timer.join()
    assert found in ([], [b"one"])


def test_a_table_comes_through_a_pipe_in_another_encoding(pipe: int) -> None:
    os.write(pipe, "native_id,text\n1,电池\n".encode("gb18030"))
    os.close(pipe)
    pages = list(Csv("stdin", Csv.Settings(path="-", encoding="gb18030")).fetch(None))
    assert bodies(pages[0]) == ['{"native_id":"1","text":"电池"}'.encode()]


def test_a_process_substitution_is_told_to_use_the_dash(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(FatalError, match="read as '-'"):
        list(Jsonl("x", Jsonl.Settings(path=str(fifo))).fetch(None))
