"""One bad item, line, cell or name never ends a source, and those after it are read."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from opinionwatch.connectors import http
from opinionwatch.connectors.cloudevents import unwrapped
from opinionwatch.connectors.found import Found
from opinionwatch.connectors.gathering import Draft
from opinionwatch.connectors.hosts import Hosts
from opinionwatch.connectors.http import Client
from opinionwatch.connectors.jetstream import Here, Place
from opinionwatch.connectors.replay import event_time
from opinionwatch.connectors.walking import Batch, Walking, WalkingSettings
from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.guard import Guard
from opinionwatch.pipeline.ports import HistorySource
from tests.connectors.reading_services import bodies, ids
from tests.contract.source_suite import build

Serve = Callable[[Callable[[BaseHTTPRequestHandler], None]], str]
DEEP = b'{"a":' * 300 + b"1" + b"}" * 300
"""Deep enough to be read and not to be written again by orjson."""
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def no_manners(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests ask one host faster than is polite."""
    monkeypatch.setattr(http, "SHARED", Hosts(per_s=1000, burst=1000))


def drop(path: Path, data: bytes) -> None:
    """A file that has rested."""
    path.write_bytes(data)
    os.utime(path, (1_700_000_000, 1_700_000_000))


def test_a_deep_line_whose_id_is_its_content_goes_on_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(DEEP + b'\n{"text": "good"}\n')
    found = [
        item.body for page in build("jsonl", path=str(path), native_id="content").fetch(None) for item in page.items
    ]
    assert found[0] == DEEP
    assert json.loads(found[1])["text"] == "good"


def test_a_deep_event_goes_on_as_it_is() -> None:
    event = b'{"specversion":"1.0","id":"7","source":"/s","type":"t","data":{"text":"x","more":' + DEEP + b"}}"
    assert unwrapped(event) == event
    assert unwrapped(DEEP, [("ce_specversion", b"1.0"), ("ce_id", b"7"), ("ce_source", b"/s")]) == DEEP


@pytest.mark.parametrize("depth", [300, 1_000])
def test_a_deep_document_of_an_index_is_handed_on_as_something_to_be_refused(depth: int) -> None:
    body = b'{"a":' * depth + b"1" + b"}" * depth
    assert Found.read(body, "es").raw() in (json.dumps(json.loads(DEEP)).encode(), b"null")


def test_a_row_of_a_table_that_python_has_no_word_for_is_handed_on_and_so_are_the_others(tmp_path: Path) -> None:
    texts = pyarrow.array([b"good", b"\xff bad"], pyarrow.binary())
    columns = {
        "native_id": ["1", "2"],
        "text": pyarrow.StringArray.from_buffers(2, texts.buffers()[1], texts.buffers()[2]),
        "published_at": pyarrow.array([1_700_000_000_000_000_001, 0], pyarrow.timestamp("ns")),
        "far": pyarrow.array([2**62, 0], pyarrow.timestamp("us")),
        "day": pyarrow.array([2**30, 0], pyarrow.date32()),
        "zone": pyarrow.array([1, 0], pyarrow.timestamp("us", "Nowhere/Land")),
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    os.utime(tmp_path / "a.parquet", (1_700_000_000, 1_700_000_000))
    drop(tmp_path / "b.jsonl", b'{"native_id": "3", "text": "good"}\n')
    found = bodies(build("folder", path=str(tmp_path)).fetch(None))
    assert [body["native_id"] for body in found] == ["1", "2", "3"]
    assert [body["text"] for body in found] == ["good", "� bad", "good"]
    assert str(found[0]["published_at"]).startswith("2023-11-14 22:13:20")


def test_a_file_whose_name_is_no_text_is_left_alone_and_told_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drop(tmp_path / os.fsdecode("电池".encode("gbk") + b".jsonl"), b'{"native_id": "1", "text": "x"}\n')
    drop(tmp_path / "z.jsonl", b'{"native_id": "2", "text": "x"}\n')
    source = build("folder", path=str(tmp_path), settle_s=0)
    pages = list(source.fetch(None))
    assert ids(pages) == ["2"]
    assert list(source.fetch(pages[-1].cursor)) == []
    assert capsys.readouterr().out.count("folder.name_unreadable") == 1


@pytest.mark.parametrize("time_us", [9e17, 1e300, 4_000_000_000_000_000])
def test_a_stream_whose_clock_is_far_ahead_neither_ends_nor_moves_the_cursor_there(time_us: float) -> None:
    before = Place(host="h", time_us=1_770_000_000_000_000)
    here, draft = Here("h", before), Draft()
    assert here.reach(Found.read(json.dumps({"time_us": time_us}).encode(), "h"), draft) == before.time_us
    assert json.loads(here.stored())["time_us"] == before.time_us
    assert draft.missed == []


@pytest.mark.parametrize(
    ("address", "cursor"), [("http://[x", ""), ("//[", ""), ("http://x:y/", ""), ("http://x/\\ud800", "http://x/")]
)
def test_history_ends_where_the_address_of_the_next_page_is_none(serve: Serve, address: str, cursor: str) -> None:
    items = '"items": [{"id": "1", "content_text": "x"}]'
    feed = f'{{"version": "https://jsonfeed.org/version/1.1", "next_url": "{address}", {items}}}'
    source = build("rss", url=serve(answering(feed.encode())), allow_hosts=["127.0.0.1"])
    assert isinstance(source, HistorySource)
    page = next(iter(source.backfill(NOW - timedelta(days=1), None)))
    assert ids([page]) == ["1"]
    assert page.cursor == cursor


def test_a_mark_of_a_feed_that_is_too_long_to_be_sent_again_is_not_kept(
    serve: Serve,
) -> None:
    feed = b"<rss><channel><item><guid>1</guid><title>x</title></item></channel></rss>"
    source = build("rss", url=serve(answering(feed, ETag="x" * 20_000)), allow_hosts=["127.0.0.1"])
    page = next(iter(source.fetch(None)))
    assert len(page.cursor) < 1_000


def answering(body: bytes, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    """A server that always says the same."""

    def answer(to: BaseHTTPRequestHandler) -> None:
        to.send_response(200)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            to.send_header(name, value)
        to.end_headers()
        to.wfile.write(body)

    return answer


@pytest.mark.parametrize("secret", ["s3cr\x00et", "s3cret\n", "s3\x0bcret"])
def test_a_secret_that_cannot_be_sent_is_not_shown(serve: Serve, secret: str) -> None:
    url = serve(answering(b"{}"))
    with pytest.raises(RetryableError) as caught:
        Client(Guard(["127.0.0.1"])).get(url, {"authorization": f"Bearer {secret}"})
    assert "s3" not in str(caught.value)


class Circle(Walking):
    """A service that pages in a circle."""

    kind = "circle"

    def __init__(self) -> None:
        super().__init__("name", "circle", WalkingSettings())
        self.asked = 0

    def lanes(self) -> list[str]:
        return ["all"]

    def ask(self, lane: str, older: str | None, since: int) -> Batch:
        del lane, since
        self.asked += 1
        if self.asked > 1_000:
            raise AssertionError("it would go on for ever")
        return Batch([], str((int(older or 0) + 1) % 7))


def test_a_service_that_pages_in_a_circle_is_left_after_some_rounds() -> None:
    walked = Circle()
    pages = list(walked.fetch(None))
    assert [page.items for page in pages] == [[]]
    assert '"older":null' in pages[-1].cursor
    assert walked.asked < 50


@pytest.mark.parametrize(
    "line",
    [
        b'{"published_at": "2025-01-01", "text": "cut \\ud83d"}',
        b'{"published_at": 1735689600, "more": ' + b"[" * 200 + b"]" * 200 + b"}",
    ],
)
def test_a_line_that_is_read_as_a_document_tells_its_time_to_a_replay(line: bytes) -> None:
    assert event_time(line, "published_at", NOW) == datetime(2025, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 100_000,
        b'{"a":' * 2_000 + b"1" + b"}" * 2_000,
        b'{"published_at": NaN}',
        b'{"published_at": 1e400}',
        b'{"published_at": ' + b"9" * 5_000 + b"}",
        b'{"published_at": "' + b"9" * 60 + b'"}',
        b'{"published_at": {"published_at": []}}',
        b'"\\ud800"',
        b"\xff",
        b"",
    ],
)
def test_a_line_without_a_time_does_not_end_a_replay(line: bytes) -> None:
    assert event_time(line, "published_at", NOW) is None
