"""Reading JSON lines: pages, cursors, damage, rotation."""

import gzip
import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opinionwatch.connectors import files, reading
from opinionwatch.connectors.jsonl import Jsonl
from opinionwatch.pipeline.errors import FatalError, RetryableError, SettingsError
from opinionwatch.pipeline.ports import Item, Page
from opinionwatch.pipeline.registry import options


def line(n: int, **more: object) -> bytes:
    return orjson.dumps({"native_id": str(n), "text": f"text {n}", **more}) + b"\n"


def source(path: Path, **settings: object) -> Jsonl:
    return Jsonl("file", options(Jsonl.Settings, {"path": str(path), **settings}, "sources.file"))


def bodies(pages: Iterator[Page]) -> list[bytes]:
    return [item.body for page in pages for item in page.items]


def ids(found: list[bytes]) -> list[int]:
    return [int(orjson.loads(body)["native_id"]) for body in found]


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PAGE_ITEMS", 3)


def test_every_line_is_an_item_and_broken_lines_go_on_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(line(1) + b"\r\n" + b"{broken\n" + b"\xff\xfe\n" + line(2)[:-1])
    assert bodies(source(path).fetch(None)) == [line(1)[:-1], b"{broken", b"\xff\xfe", line(2)[:-1]]


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + line(1))
    assert ids(bodies(source(path).fetch(None))) == [1]
    path.write_bytes((b"\xef\xbb\xbf" + line(1)).decode("utf-8-sig").encode("utf-16"))
    assert ids(bodies(source(path).fetch(None))) == [1]


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("packed", [False, True])
def test_every_cursor_gives_exactly_the_rest(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / ("a.jsonl.gz" if packed else "a.jsonl")
    lines = [line(n) for n in range(20)]
    path.write_bytes(gzip.compress(b"".join(lines)) if packed else b"".join(lines))
    pages = list(source(path).fetch(None))
    assert len(pages) == 7
    seen = 0
    for page in pages:
        seen += len(page.items)
        assert ids(bodies(source(path).fetch(page.cursor))) == list(range(seen, 20))


@given(
    chunks=st.lists(st.binary(max_size=12).filter(lambda b: b"\n" not in b), max_size=30),
    seed=st.integers(0, 2**32 - 1),
)
def test_resuming_at_random_pages_reads_any_bytes_once(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes], seed: int
) -> None:
    path = tmp_path_factory.mktemp("any") / "a.jsonl"
    path.write_bytes(b"\n".join([b"#", *chunks]))
    chance = random.Random(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "PAGE_ITEMS", chance.randint(1, 4))
        found: list[bytes] = []
        cursor = None
        while True:
            pages = source(path).fetch(cursor)
            taken = [page for page, _ in zip(pages, range(chance.randint(1, 3)), strict=False)]
            if not taken:
                break
            found += bodies(iter(taken))
            cursor = taken[-1].cursor
    assert found == [chunk.rstrip(b"\r") for chunk in [b"#", *chunks] if chunk.strip()]


def test_a_line_above_the_limit_goes_on_cut_and_the_rest_of_it_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LINE_BYTES", 100)
    monkeypatch.setattr(files, "PAGE_ITEMS", 1)
    path = tmp_path / "a.jsonl"
    path.write_bytes(line(1) + b"x" * 1_000_000 + b"\n" + line(2))
    pages = list(source(path).fetch(None))
    assert bodies(iter(pages)) == [line(1)[:-1], b"x" * 101, line(2)[:-1]]
    assert bodies(source(path).fetch(pages[1].cursor)) == [line(2)[:-1]]


def test_a_damaged_gzip_file_gives_what_stands_before_the_damage_and_then_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    data = gzip.compress(b"".join(line(n, noise=os.urandom(60).hex()) for n in range(2000)))
    path.write_bytes(data[: len(data) // 2])
    pages = source(path).fetch(None)
    found: list[bytes] = []
    with pytest.raises(FatalError, match="gzip data is damaged after"):
        for page in pages:
            found += [item.body for item in page.items]
    assert ids(found) == list(range(len(found)))
    assert len(found) > 500


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opinionwatch.connectors.layers._GZIP_FREE_BYTES", 2**20)
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b" " * 30_000_000))
    with pytest.raises(FatalError, match="decompression bomb"):
        list(source(path).fetch(None))


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in (fifo, Path("/dev/zero"), Path("/dev/null"), tmp_path):
        with pytest.raises(FatalError, match="not a regular file"):
            list(source(path).fetch(None))


def test_a_missing_file_is_an_error_once_and_worth_waiting_for_when_followed(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match="No such file"):
        list(source(tmp_path / "none.jsonl").fetch(None))
    with pytest.raises(RetryableError, match="No such file"):
        list(source(tmp_path / "none.jsonl", follow=True).fetch(None))


def test_a_foreign_cursor_stops_the_source_and_does_not_start_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(line(1))
    with pytest.raises(FatalError, match="cursor"):
        list(source(path).fetch('{"etag": 1}'))


def test_renames_travel_with_the_items(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"body": {"message": "hi"}, "id": 1}\n')
    page = next(iter(source(path, fields={"text": "body.message", "native_id": "id"}).fetch(None)))
    assert page.items[0].fields == (("text", "body.message"), ("native_id", "id"))


def test_an_id_can_be_made_of_the_line_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"t": "hi"}\n{"t": "hi"}\n{"t": "ho"}\n[1]\n')
    page = next(iter(source(path, fields={"text": "t"}, native_id="content").fetch(None)))
    one, two, three, four = [item.body for item in page.items]
    assert one == two != three
    assert four == b"[1]"
    assert page.items[0].fields == (("text", "t"), ("native_id", "native_id"))


def test_a_line_with_half_a_character_gets_its_id_too(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(rb'{"t": "great \ud83d"}' + b"\n")
    [item] = next(iter(source(path, fields={"text": "t"}, native_id="content").fetch(None))).items
    found = orjson.loads(item.body)
    assert (found["t"], len(found["native_id"])) == ("great \ufffd", 32)


@pytest.mark.parametrize(
    ("settings", "cure"),
    [
        ({"follow": True, "replay": {}}, "exclude each other"),
        ({"follow": True, "path": "-"}, "never needs it"),
        ({"follow": True, "path": "a.gz"}, "plain file"),
        ({"fields": {"txet": "a"}}, "did you mean 'text'"),
        ({"encoding": "punycode"}, "no text encoding"),
        ({"paht": "a"}, "did you mean 'path'"),
        ({"replay": {"speed": -1}}, "greater than or equal"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_the_cure(settings: dict[str, object], cure: str) -> None:
    with pytest.raises(SettingsError, match=cure):
        options(Jsonl.Settings, {"path": "x", **settings}, "sources.file")


class TestReplay:
    """Replay by event time."""

    def test_items_arrive_at_the_running_maximum_of_their_times(self, tmp_path: Path) -> None:
        path = tmp_path / "a.jsonl"
        hours = [None, "03", "01", "05", None, "04", "06"]
        times = [{"published_at": f"2025-01-01T{h}:00:00Z"} if h else {} for h in hours]
        path.write_bytes(b"".join(line(n, **time) for n, time in enumerate(times)))
        page = next(iter(source(path, replay={}).fetch(None)))
        assert [item.arrived_at for item in page.items] == [
            datetime(2025, 1, 1, hour, tzinfo=UTC) for hour in (3, 3, 3, 5, 5, 5, 6)
        ]

    def test_absurd_times_do_not_move_the_clock(self, tmp_path: Path) -> None:
        path = tmp_path / "a.jsonl"
        times = [
            "2025-01-01T01:00:00Z",
            "9999-12-31T00:00:00Z",
            "1970-01-01T00:00:00Z",
            "nonsense",
            7,
            [],
            "2025-01-02",
        ]
        path.write_bytes(
            b"".join(line(n, published_at=time) for n, time in enumerate(times)) + b'{"published_at": NaN}\n'
        )
        page = next(iter(source(path, replay={}).fetch(None)))
        first, second = datetime(2025, 1, 1, 1, tzinfo=UTC), datetime(2025, 1, 2, tzinfo=UTC)
        assert [item.arrived_at for item in page.items] == [first] * 6 + [second] * 2

    @given(
        hours=st.lists(st.one_of(st.none(), st.integers(0, 500)), min_size=1, max_size=25),
        cuts=st.lists(st.integers(1, 6)),
    )
    def test_arrival_does_not_depend_on_where_pages_end(
        self, tmp_path_factory: pytest.TempPathFactory, hours: list[int | None], cuts: list[int]
    ) -> None:
        path = tmp_path_factory.mktemp("replay") / "a.jsonl"
        times = [1735689600] + [None if h is None else 1735689600 + 3600 * h for h in hours]
        path.write_bytes(b"".join(line(n, published_at=time) for n, time in enumerate(times)))
        whole = [item for page in source(path, replay={}).fetch(None) for item in page.items]
        parts: list[Item] = []
        cursor = None
        with pytest.MonkeyPatch.context() as patch:
            for cut in [*cuts, 1000]:
                patch.setattr(files, "PAGE_ITEMS", cut)
                page = next(iter(source(path, replay={}).fetch(cursor)), None)
                if page:
                    parts += page.items
                    cursor = page.cursor
        assert parts == whole

    def test_a_paced_replay_keeps_its_pace_and_stops_at_once(self, tmp_path: Path) -> None:
        path = tmp_path / "a.jsonl"
        path.write_bytes(b"".join(line(n, published_at=1735689600 + 3600 * n) for n in range(3)))
        began = datetime.now(UTC)
        quick = source(path, replay={"speed": 18000})
        assert [len(page.items) for page in quick.fetch(None)] == [1, 1, 1]
        assert 0.3 <= (datetime.now(UTC) - began).total_seconds() < 2
        slow = source(path, replay={"speed": 1})
        pages = slow.fetch(None)
        assert ids([item.body for item in next(pages).items]) == [0]
        slow.close()
        assert list(pages) == []
