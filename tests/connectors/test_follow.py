"""Following a growing file through rotation, truncation and restarts."""

import gzip
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from threading import Thread

import orjson
import pytest

from opinionwatch.connectors import files
from opinionwatch.connectors.jsonl import Jsonl
from opinionwatch.pipeline.ports import Page


def line(n: int) -> bytes:
    return orjson.dumps({"native_id": str(n), "text": f"text {n}"}) + b"\n"


def append(path: Path, *data: bytes) -> None:
    with path.open("ab") as out:
        out.write(b"".join(data))


def source(path: Path, follow: bool = True, linger_s: float = 0.03) -> Jsonl:
    return Jsonl("file", Jsonl.Settings(path=str(path), follow=follow, poll_s=0.01, linger_s=linger_s))


class Tail:
    """A followed file, its ids as they come."""

    def __init__(self, path: Path, cursor: str | None = None) -> None:
        self.source = source(path)
        self.cursor = cursor
        self._seen: Queue[tuple[int | bytes, str]] = Queue()
        self._pages = self.source.fetch(cursor)
        self._thread = Thread(target=self._read, args=(self._pages,), daemon=True)
        self._thread.start()

    def _read(self, pages: Iterator[Page]) -> None:
        for page in pages:
            for item in page.items:
                try:
                    self._seen.put((int(orjson.loads(item.body)["native_id"]), page.cursor))
                except orjson.JSONDecodeError:
                    self._seen.put((item.body, page.cursor))

    def next(self, count: int) -> list[int | bytes]:
        found = []
        for _ in range(count):
            what, self.cursor = self._seen.get(timeout=10)
            found.append(what)
        return found

    def stop(self) -> str | None:
        self.source.close()
        self._thread.join(10)
        assert not self._thread.is_alive()
        assert self._seen.empty()
        return self.cursor


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "posts.jsonl"


def test_a_partial_last_line_waits_for_its_end(path: Path) -> None:
    append(path, line(0), line(1)[:7])
    tail = Tail(path)
    assert tail.next(1) == [0]
    append(path, line(1)[7:12])
    append(path, line(1)[12:], line(2))
    assert tail.next(2) == [1, 2]
    tail.stop()


def test_a_renamed_file_is_read_to_its_end_before_the_new_one(path: Path) -> None:
    append(path, line(0))
    tail = Tail(path)
    assert tail.next(1) == [0]
    old = path.rename(path.with_name("posts.jsonl.1"))
    append(old, line(1))
    append(path, line(3))
    append(old, line(2)[:-1])
    assert tail.next(3) == [1, 2, 3]
    append(path, line(4))
    assert tail.next(1) == [4]
    tail.stop()


def test_several_rotations_between_two_looks_lose_nothing(path: Path) -> None:
    append(path, line(0))
    tail = Tail(path)
    assert tail.next(1) == [0]
    append(path, line(1))
    path.rename(path.with_name("posts.jsonl.2"))
    append(path, line(2))
    path.rename(path.with_name("posts.jsonl.1"))
    append(path, line(3))
    assert tail.next(3) == [1, 2, 3]
    tail.stop()


def test_a_file_that_was_copied_and_truncated_is_finished_from_its_copy(path: Path) -> None:
    append(path, *(line(n) for n in range(5)))
    tail = Tail(path)
    assert tail.next(5) == [0, 1, 2, 3, 4]
    cursor = tail.stop()
    append(path, line(5))
    shutil.copy(path, path.with_name("posts.jsonl.1"))
    os.truncate(path, 0)
    append(path, line(6))
    tail = Tail(path, cursor)
    assert tail.next(2) == [5, 6]
    os.truncate(path, 0)
    append(path, line(7))
    assert tail.next(1) == [7]
    tail.stop()


def test_a_file_written_anew_and_longer_is_read_from_its_start(path: Path) -> None:
    append(path, line(0))
    tail = Tail(path)
    assert tail.next(1) == [0]
    path.write_bytes(b"".join(line(n) for n in range(10, 20)))
    assert tail.next(10) == list(range(10, 20))
    tail.stop()


def test_a_followed_file_written_anew_with_the_same_first_bytes_is_read_from_its_start(path: Path) -> None:
    start = orjson.dumps({"native_id": "0", "text": "x" * 1_024}) + b"\n"
    append(path, start, line(1))
    tail = Tail(path)
    assert tail.next(2) == [0, 1]
    path.write_bytes(start + b"".join(line(n) for n in range(10, 20)))
    assert tail.next(11) == [0, *range(10, 20)]
    tail.stop()


def test_a_restart_after_rotation_reads_what_was_left_over_also_from_packed_files(path: Path) -> None:
    append(path, line(0), line(1))
    tail = Tail(path)
    assert tail.next(2) == [0, 1]
    cursor = tail.stop()
    append(path, line(2))
    with path.open("rb") as plain:
        packed = path.with_name("posts.jsonl.2.gz")
        packed.write_bytes(gzip.compress(plain.read()))
    path.unlink()
    append(path, line(3))
    path.rename(path.with_name("posts.jsonl.1"))
    append(path, line(4))
    tail = Tail(path, cursor)
    assert tail.next(3) == [2, 3, 4]
    tail.stop()


def test_a_reused_inode_is_recognised_by_its_first_bytes(path: Path) -> None:
    append(path, line(0), line(1))
    pages = list(source(path, follow=False).fetch(None))
    path.write_bytes(b"".join(line(n) for n in range(5, 9)))
    assert b'"ino":%d' % path.stat().st_ino in pages[-1].cursor.encode()
    rest = [item.body for page in source(path, follow=False).fetch(pages[-1].cursor) for item in page.items]
    assert rest == [line(n)[:-1] for n in range(5, 9)]


@pytest.mark.parametrize("copied", [False, True])
def test_a_file_written_anew_with_the_same_first_bytes_is_read_from_its_start(path: Path, copied: bool) -> None:
    start = [orjson.dumps({"native_id": str(n), "text": "x" * 600}) + b"\n" for n in range(2)]
    path.write_bytes(b"".join([*start, *(line(n) for n in range(2, 9))]))
    cursor = list(source(path, follow=False).fetch(None))[-1].cursor
    if copied:
        path.rename(path.with_name("away"))
    path.write_bytes(b"".join([*start, *(line(n) for n in range(20, 60))]))
    rest = [item.body for page in source(path, follow=False).fetch(cursor) for item in page.items]
    assert rest == [each[:-1] for each in (*start, *(line(n) for n in range(20, 60)))]


def test_a_place_that_was_stored_before_last_bytes_were_told_is_still_one(path: Path) -> None:
    append(path, line(0), line(1))
    told = orjson.loads(list(source(path, follow=False).fetch(None))[-1].cursor)
    cursor = orjson.dumps({name: value for name, value in told.items() if not name.startswith("tail")}).decode()
    append(path, line(2))
    rest = [item.body for page in source(path, follow=False).fetch(cursor) for item in page.items]
    assert rest == [line(2)[:-1]]


def test_a_moved_file_with_the_same_bytes_is_read_on(path: Path) -> None:
    append(path, line(0), line(1))
    pages = list(source(path, follow=False).fetch(None))
    data = path.read_bytes()
    path.unlink()
    path.with_name("other").write_bytes(b"takes the inode")
    path.write_bytes(data + line(2))
    rest = [item.body for page in source(path, follow=False).fetch(pages[-1].cursor) for item in page.items]
    assert rest == [line(2)[:-1]]


def test_following_stops_between_pages_and_goes_on_from_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PAGE_ITEMS", 2)
    append(path, *(line(n) for n in range(6)))
    first = source(path)
    pages = first.fetch(None)
    page = next(pages)
    first.close()
    assert list(pages) == []
    tail = Tail(path, page.cursor)
    assert tail.next(4) == [2, 3, 4, 5]
    tail.stop()


def test_files_that_only_look_like_siblings_are_left_alone(path: Path) -> None:
    append(path, line(0))
    tail = Tail(path)
    assert tail.next(1) == [0]
    append(path.with_name("posts.jsonl.bak"), line(66))
    append(path.with_name("posts.jsonlx.1"), line(67))
    path.rename(path.with_name("posts.jsonl-20250301"))
    append(path, line(1))
    assert tail.next(1) == [1]
    tail.stop()


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_to_the_file_every_line_comes_exactly_once(path: Path, seed: int) -> None:
    """A writer that appends, rotates and truncates, and a reader that is stopped at random and resumes (C11)."""
    chance = random.Random(seed)
    written = 1
    turned = 0
    held = b""
    append(path, line(0))
    first = Tail(path)
    found = first.next(1)  # from here on it has a place to resume from
    cursor = first.cursor
    tail: Tail | None = first

    def catch_up() -> None:
        nonlocal cursor
        assert tail is not None
        found.extend(tail.next(written - len(found)))
        cursor = tail.cursor

    for _ in range(25):
        step = chance.choice(("append", "append", "append", "partial", "rename", "copy", "stop", "catch up"))
        if step == "append":
            count = chance.randint(1, 40)
            append(path, held[len(held) // 2 :], *(line(written + bool(held) + n) for n in range(count)))
            written += count + bool(held)
            held = b""
        elif step == "partial" and not held:
            held = line(written)
            append(path, held[: len(held) // 2])
        elif step == "rename" and not held:
            turned += 1
            path.rename(path.with_name(f"{path.name}.2025030{turned // 10}{turned % 10}"))
            append(path)
        elif step == "copy" and not held and tail is None:
            # Copied and truncated while nobody looks: what stands in the copy has to be read from there.
            turned += 1
            shutil.copy(path, path.with_name(f"{path.name}.2025030{turned // 10}{turned % 10}"))
            os.truncate(path, 0)
        elif step == "catch up" and tail:
            catch_up()
        elif step == "stop":
            if tail:
                catch_up()
                tail.stop()
                tail = None
            else:
                tail = Tail(path, cursor)
    tail = tail or Tail(path, cursor)
    append(path, held[len(held) // 2 :], line(written + bool(held)))
    written += 1 + bool(held)
    catch_up()
    tail.stop()
    assert found == list(range(written))
