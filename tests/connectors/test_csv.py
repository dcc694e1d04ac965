"""Reading tables."""

import csv
import io
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opinionwatch.connectors import files
from opinionwatch.connectors.csv_file import RECORD_BYTES, Csv
from opinionwatch.connectors.reading import Line, Reader
from opinionwatch.pipeline.errors import FatalError, SettingsError
from opinionwatch.pipeline.ports import Item
from opinionwatch.pipeline.registry import options


def source(path: Path, **settings: object) -> Csv:
    return Csv("table", options(Csv.Settings, {"path": str(path), **settings}, "sources.table"))


def read(path: Path, **settings: object) -> list[bytes]:
    return [item.body for page in source(path, **settings).fetch(None) for item in page.items]


def write(path: Path, data: str | bytes) -> Path:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "posts.csv"


def test_columns_named_like_fields_are_taken_and_others_left_out(path: Path) -> None:
    write(path, "native_id,shelf,text,title\r\n1,5,hello,\r\n2,6,你好,标题\r\n")
    assert [json.loads(body) for body in read(path)] == [
        {"native_id": "1", "text": "hello"},
        {"native_id": "2", "text": "你好", "title": "标题"},
    ]


def test_columns_are_mapped_by_name_dots_and_all(path: Path) -> None:
    write(path, "post.id;user name;body\n1;Ann;a, b\n")
    bodies = read(path, fields={"native_id": "post.id", "author": "user name", "text": "body"})
    assert json.loads(bodies[0]) == {"native_id": "1", "author": "Ann", "text": "a, b"}


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_in_the_first_line(path: Path, mark: str) -> None:
    write(path, f'native_id{mark}text{mark}"a,b;c,d;e"\n1{mark}"x{mark}y"{mark}z\n')
    assert json.loads(read(path)[0]) == {"native_id": "1", "text": f"x{mark}y"}


def test_a_file_without_a_header_gets_its_columns_from_the_settings(path: Path) -> None:
    write(path, "1;hello\n2;bye\n")
    columns = ["native_id", "text"]
    assert [json.loads(body)["text"] for body in read(path, columns=columns)] == ["hello", "bye"]


def test_quoted_fields_hold_line_ends_and_quotes(path: Path) -> None:
    write(path, 'native_id,text\n1,"a\r\n\r\n""b"", c"\n2,5" screen\n3,"x"\n')
    assert [json.loads(body)["text"] for body in read(path)] == ['a\n\n"b", c', '5" screen', "x"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030", "big5", "utf-16-le"])
def test_tables_come_in_many_encodings(path: Path, encoding: str) -> None:
    write(path, 'native_id,text\n1,"手機\n好"\n'.encode(encoding))
    settings = {} if encoding in ("utf-8", "utf-8-sig", "utf-16") else {"encoding": encoding}
    assert json.loads(read(path, **settings)[0])["text"] == "手機\n好"


def test_broken_rows_go_on_as_they_are(path: Path) -> None:
    write(path, b"native_id,text\n1,a\n2\n3,b,c\n4,\xff\xfe\n5,d\n")
    bodies = read(path)
    assert bodies[1:4] == [b"2", b"3,b,c", b"4,\xff\xfe"]
    assert [json.loads(body)["text"] for body in (bodies[0], bodies[4])] == ["a", "d"]


def test_an_opening_quote_without_end_costs_one_line(path: Path) -> None:
    good = [f'{n},"fine, {n}"' for n in range(50_000)]
    write(path, "native_id,text\n" + "\n".join([*good[:10], '66,"oops', *good[10:], '77,"last']) + "\n")
    bodies = read(path)
    assert bodies[10] == b'66,"oops'
    assert bodies[-1] == b'77,"last'
    assert [json.loads(body)["native_id"] for n, body in enumerate(bodies[:-1]) if n != 10] == [
        str(n) for n in range(50_000)
    ]


def test_an_opening_quote_before_empty_lines_without_end_is_given_up_like_any_other(path: Path) -> None:
    table = source(path, columns=["native_id", "text"])
    reader = Reader(str(write(path, "1,a\n")))
    taken = 0

    def lines() -> Iterator[Line]:
        nonlocal taken
        yield Line(b'66,"oops', reader, 8, cut=False)
        while taken < 10 * RECORD_BYTES:
            taken += 1
            yield Line(b"", reader, 8 + taken, cut=False)

    first = next(iter(table._records(lines())))
    reader.close()
    assert first is not None
    assert first.body == b'66,"oops'
    assert taken <= RECORD_BYTES


@pytest.mark.parametrize("unit", ['"', 'a"b,"c', '"a', 'a,"', '""', "x,y,z", '"x""', ","])
def test_no_wild_quoting_stalls_the_reader_or_loses_a_line(path: Path, unit: str) -> None:
    lines = [unit] * (60_000 // len(unit))
    write(path, "native_id,text\n" + "\n".join(lines) + "\n")
    began = time.monotonic()
    bodies = read(path)
    assert time.monotonic() - began < 10
    rows = [json.loads(body)["text"] if body.startswith(b'{"native_id"') else "" for body in bodies]
    assert sum(row.count("\n") + 1 for row in rows) == len(lines)


def test_the_id_can_be_made_of_the_row(path: Path) -> None:
    write(path, "text,when\na,1\na,1\na,2\n")
    ids = [json.loads(body)["native_id"] for body in read(path, native_id="content")]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize(
    ("data", "settings", "cure"),
    [
        ("id,body\n1,a\n", {}, "no column for text; write fields.*columns: id, body"),
        ("id,text\n1,a\n", {}, "native_id: content"),
        ("id,text\n1,a\n", {"fields": {"native_id": "idd", "text": "text"}}, "did you mean 'id'"),
        ("编号,正文\n".encode("gb18030"), {}, "gb18030"),
        (b"\x00\x01\x02\xff", {}, "no column for text"),
    ],
)
def test_a_table_without_the_needed_columns_says_how_to_name_them(
    path: Path, data: str | bytes, settings: dict[str, object], cure: str
) -> None:
    write(path, data)
    with pytest.raises(FatalError, match=cure):
        read(path, **settings)


def test_an_empty_table_is_no_error(path: Path) -> None:
    assert read(write(path, b"")) == []
    assert read(write(path, b"native_id,text\n")) == []


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(SettingsError, match="at most 1 character"):
        source(Path("x"), delimiter=";;")


ROWS = st.lists(st.tuples(st.text(max_size=6), st.text(alphabet='ab",\n\r;é中', max_size=8)), max_size=12)


@given(rows=ROWS, seed=st.integers(0, 2**32 - 1))
def test_any_table_is_read_once_from_any_cursor(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], seed: int
) -> None:
    out = io.StringIO()
    table = csv.writer(out, quoting=csv.QUOTE_ALL)
    table.writerow(["native_id", "text"])
    clean = [(str(n), text.replace("\r", "")) for n, (_, text) in enumerate(rows)]
    table.writerows(clean)
    path = write(tmp_path_factory.mktemp("any") / "a.csv", out.getvalue())
    chance = random.Random(seed)
    found: list[Item] = []
    cursor = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "PAGE_ITEMS", chance.randint(1, 3))
        while page := next(iter(source(path).fetch(cursor)), None):
            found += page.items
            cursor = page.cursor
    assert [(json.loads(item.body)["native_id"], json.loads(item.body)["text"]) for item in found] == clean


def test_a_followed_table_waits_for_the_end_of_a_record(path: Path) -> None:
    write(path, 'native_id,text\n1,a\n2,"b\n')
    followed = source(path, follow=True, poll_s=0.01)
    pages = followed.fetch(None)
    assert [json.loads(item.body)["text"] for item in next(pages).items] == ["a"]
    with path.open("a") as out:
        out.write('c"\n3,d\n')
    page = next(pages)
    assert [json.loads(item.body)["text"] for item in page.items] == ["b\nc", "d"]
    path.rename(path.with_name("posts.csv.1"))
    write(path, "native_id,text\n4,e\n")
    followed.close()
    rest = source(path, follow=True, poll_s=0.01).fetch(page.cursor)
    assert [json.loads(item.body)["text"] for item in next(rest).items] == ["e"]
    rest.close()  # type: ignore[attr-defined]  # it is a generator


def test_a_replayed_table_arrives_by_its_event_times(path: Path) -> None:
    write(path, "when,native_id,text\n2025-01-02,1,a\n2025-01-01,2,b\n")
    fields = {"published_at": "when", "native_id": "native_id", "text": "text"}
    page = next(iter(source(path, replay={}, fields=fields).fetch(None)))
    assert [item.arrived_at and item.arrived_at.day for item in page.items] == [2, 2]
