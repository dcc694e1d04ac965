"""GDELT's files: order, missing ones, damaged ones, kills in the middle."""

import io
import zipfile
from datetime import UTC, datetime, timedelta

import pytest

from opinionwatch.connectors import gdelt, http
from opinionwatch.connectors.hosts import Hosts
from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.ports import HistorySource, Page, Source
from tests.connectors.imitation import Imitation, Told, imitating
from tests.connectors.news_files import GdeltFiles
from tests.connectors.reading_services import bodies, ids
from tests.contract.source_suite import build


@pytest.fixture(autouse=True)
def no_manners(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests ask one host faster than is polite."""
    monkeypatch.setattr(http, "SHARED", Hosts(per_s=10_000, burst=10_000))


def source(service: Imitation, **given: object) -> Source:
    return build("gdelt", url=service.url, allow_hosts=["127.0.0.1"], **{"history_h": 24, **given})


def test_the_first_poll_takes_the_latest_and_later_ones_every_file_since() -> None:
    files = GdeltFiles(files=10, rows=3)
    with imitating(files) as service:
        pages = list(source(service, history_h=0).fetch(None))
        assert ids(pages) == ["20260301021500-1", "20260301021500-2"]
        files.files = 13
        more = list(source(service, history_h=0).fetch(pages[-1].cursor))
        assert list(source(service).fetch(more[-1].cursor)) == []
    assert ids(more) == [f"{files.stamp(n)}-{row}" for n in (10, 11, 12) for row in (1, 2)]


def test_a_headline_is_read_with_all_that_the_row_says() -> None:
    with imitating(GdeltFiles(files=1, rows=2)) as service:
        english = bodies(source(service, history_h=0).fetch(None))
        chinese = bodies(source(service, history_h=0, translated=True).fetch(None))
    assert english == [
        {
            "native_id": "20260301000000-1",
            "text": "Lumora’s day 0.1 & 电池",
            "url": "https://news.example/0/1",
            "published_at": "2026-03-01T01:15:00+00:00",
            "lang": "en",
            "html": False,
            "source": "news.example",
        }
    ]
    assert [(body["native_id"], body["lang"]) for body in chinese] == [("20260301000000-T1", "zho")]


def test_only_titles_with_the_words_of_the_settings() -> None:
    with imitating(GdeltFiles(files=3, rows=9)) as service:
        assert ids(source(service, history_h=0, words=["DAY 2.3"]).fetch(None)) == ["20260301003000-3"]


def test_a_file_that_never_came_is_a_gap_and_one_that_is_only_late_is_waited_for() -> None:
    files = GdeltFiles(files=12, rows=2, missing={2, 9})
    with imitating(files) as service:
        pages: list[Page] = []
        with pytest.raises(RetryableError, match="404"):
            pages.extend(source(service, history_h=2.75).fetch(None))
        gaps = [(str(gap.since), str(gap.until)) for page in pages for gap in page.missed]
        assert gaps == [("2026-03-01 00:30:00+00:00", "2026-03-01 00:45:00+00:00")]
        files.missing = {2}
        pages += list(source(service).fetch(pages[-1].cursor))
    assert ids(pages) == [f"{files.stamp(n)}-1" for n in range(12) if n != 2]


def test_a_kill_in_the_middle_of_a_file_repeats_and_skips_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gdelt, "PAGE_ITEMS", 10)
    with imitating(GdeltFiles(files=4, rows=35)) as service:
        whole = ids(source(service, history_h=0.75).fetch(None))
        found: list[str] = []
        cursor = None
        for _ in range(40):
            page = next(source(service, history_h=0.75).fetch(cursor), None)
            if page is None:
                break
            found += ids([page])
            cursor = page.cursor
    assert found == whole
    assert len(set(found)) == 4 * 30


def _zip(**members: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return packed.getvalue()


@pytest.mark.parametrize(
    "body",
    [b"PK\x03\x04", _zip(), _zip(a=b"1", b=b"2"), _zip(a=b"x" * 5_000_000), _zip(a=b"1\t2\n" * 50)[:-60], b"1\t2\n"],
)
def test_a_damaged_or_hostile_archive_is_an_error_and_the_next_poll_tries_again(body: bytes) -> None:
    files = GdeltFiles(files=1, rows=3)
    with imitating(files) as service:
        polled = source(service, history_h=0)
        service.faults.extend([files_list(files), Told(body)])
        with pytest.raises(RetryableError, match="GDELT"):
            list(polled.fetch(None))
        assert len(ids(polled.fetch(None))) == 2


@pytest.mark.parametrize(
    "body",
    [b"PK\x03\x04", _zip(), _zip(a=b"x" * 5_000_000), _zip(a=b"1\t2\n" * 50)[:-60], b"x" * 60_000],
    ids=["cut off", "empty", "a row too long", "cut in the middle", "too large"],
)
def test_a_file_that_stays_damaged_is_a_gap_when_later_ones_are_there_and_is_asked_for_twice(
    body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gdelt, "FILE_BYTES", 50_000)
    files = GdeltFiles(files=12, rows=2, damaged={2: body, 9: body})
    pages: list[Page] = []
    with imitating(files) as service:
        polled = source(service, history_h=2.75)
        with pytest.raises(RetryableError, match=r"GDELT|longer than"):
            pages.extend(polled.fetch(None))
        for _ in range(3):
            with pytest.raises(RetryableError, match=r"GDELT|longer than"):
                pages.extend(polled.fetch(pages[-1].cursor))
        [gap] = [gap for page in pages for gap in page.missed]
        assert (gap.since, gap.until) == (files.first + timedelta(minutes=30), files.first + timedelta(minutes=45))
        assert "cannot be read" in gap.detail
        files.damaged = {}
        pages += list(polled.fetch(pages[-1].cursor))
    assert ids(pages) == [f"{files.stamp(n)}-1" for n in range(12) if n != 2]


def test_an_old_file_that_was_damaged_once_is_read_by_the_next_poll() -> None:
    files = GdeltFiles(files=12, rows=2, damaged={2: b"a web page"})
    pages: list[Page] = []
    with imitating(files) as service:
        polled = source(service, history_h=2.75)
        with pytest.raises(RetryableError, match="GDELT"):
            pages.extend(polled.fetch(None))
        files.damaged = {}
        pages += list(polled.fetch(pages[-1].cursor))
    assert ids(pages) == [f"{files.stamp(n)}-1" for n in range(12)]
    assert [gap for page in pages for gap in page.missed] == []


def test_an_answer_that_breaks_off_again_and_again_is_no_gap() -> None:
    files = GdeltFiles(files=12, rows=2)
    with imitating(files) as service:
        polled = source(service, history_h=2.75)
        for _ in range(3):
            service.faults.extend([files_list(files, 11), Told(files.packed(0, translated=False), cut=True)])
            with pytest.raises(RetryableError, match="closed connection"):
                list(polled.fetch(None))
        assert len(ids(polled.fetch(None))) == 12


def files_list(files: GdeltFiles, latest: int = 0) -> Told:
    line = f"1 0 http://data.gdeltproject.org/gdeltv2/{files.stamp(latest)}.gkg.csv.zip\n"
    return Told(line.encode())


@pytest.mark.parametrize("stamp", ["99990101000000", "20261399000000"])
def test_a_latest_file_of_no_possible_time_is_an_error(stamp: str) -> None:
    with imitating(GdeltFiles(files=1, rows=1)) as service:
        service.faults.append(Told(f"1 0 http://x/{stamp}.gkg.csv.zip\n".encode()))
        with pytest.raises(RetryableError, match="GDELT"):
            list(source(service).fetch(None))


def test_history_begins_with_the_file_of_that_time_and_never_before_there_were_any() -> None:
    files = GdeltFiles(files=10, rows=2)
    with imitating(files) as service:
        found = source(service, history_h=0)
        assert isinstance(found, HistorySource)
        pages = list(found.backfill(files.first + timedelta(minutes=50), None))
        assert ids(pages) == [f"{files.stamp(n)}-1" for n in range(3, 10)]
        shares = [page.share or 0 for page in pages]
        assert shares == sorted(shares)
        before = found.backfill(datetime(1999, 1, 1, tzinfo=UTC), None)
        assert next(before).items == []
        assert service.asked[-1].path == f"/{gdelt.BEGAN:%Y%m%d%H%M%S}.gkg.csv.zip"
