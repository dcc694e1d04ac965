"""A source's history: marked, resumable, from wherever the service keeps it."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler

import pytest

from opinionwatch.connectors import http
from opinionwatch.connectors.backfill import Backfill, Progress, Wish, progress_of
from opinionwatch.connectors.feeds import next_page
from opinionwatch.connectors.hosts import Hosts
from opinionwatch.connectors.rss import Rss
from opinionwatch.pipeline.errors import FatalError
from opinionwatch.pipeline.ports import Item, Missed, Page, cursor_name
from tests.connectors.test_http import send
from tests.connectors.test_schedule import Numbers

Serve = Callable[[Callable[[BaseHTTPRequestHandler], None]], str]
NOW = datetime.now(UTC)
WISH = Wish(since=NOW, asked_at=NOW)
PER_PAGE, PAGES = 5, 8


@pytest.fixture(autouse=True)
def no_manners(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "SHARED", Hosts(per_s=1000, burst=1000))


class Old(Numbers):
    """Has three pages of history."""

    def backfill(self, since: datetime, cursor: str | None) -> Iterator[Page]:
        for n in range(int(cursor or 0), 3):
            body = json.dumps({"native_id": f"{n}", "text": f"since {since:%Y}"}).encode()
            missed = [Missed(None, since, "it is gone")] if n == 0 else []
            yield Page([Item(body)], str(n + 1), missed, share=(n + 1) / 3)


def hours_of(page: int) -> list[int]:
    """Ages in hours of a page's entries, newest first: page 0 is the feed itself."""
    return [24 * (page * PER_PAGE + n) + 1 for n in range(PER_PAGE)]


def archive(to: BaseHTTPRequestHandler) -> None:
    """A feed of RFC 5005: each page names the one before."""
    number = int(to.path.rpartition("=")[2]) if "=" in to.path else 0
    entries = "".join(
        f"<entry><id>{age}</id><title>t {age}</title>"
        f"<updated>{(NOW - timedelta(hours=age)).isoformat()}</updated></entry>"
        for age in hours_of(number)
    )
    older = f'<link rel="prev-archive" href="/feed?page={number + 1}"/>' if number + 1 < PAGES else ""
    send(to, f'<feed xmlns="http://www.w3.org/2005/Atom"><link href="/"/>{older}{entries}</feed>'.encode())


def rss(url: str) -> Rss:
    return Rss("blog", Rss.Settings(url=url, allow_hosts=("127.0.0.1",)))


def ages(pages: list[Page]) -> list[int]:
    return [int(json.loads(item.body)["native_id"]) for page in pages for item in page.items]


def test_a_backfill_stands_in_for_its_source_and_marks_what_it_brings() -> None:
    source = Old("a")
    history = Backfill(source, WISH)
    assert (history.name, history.kind, history.instance) == (source.name, source.kind, source.instance)
    assert (cursor_name(history), cursor_name(source)) == ("backfill:a", "a")
    pages = list(history.fetch(None))
    assert all(item.history for page in pages for item in page.items)
    assert [missed for page in pages for missed in page.missed] == [Missed(None, NOW, "it is gone", history=True)]
    come = [Progress.model_validate_json(page.cursor) for page in pages]
    assert [(each.items, each.done) for each in come] == [(0, False), (1, False), (2, False), (3, False), (3, True)]
    assert list(history.fetch(pages[-1].cursor)) == [], "what is done is done"


def test_every_cursor_of_a_backfill_gives_exactly_the_rest() -> None:
    whole = list(Backfill(Old("a"), WISH).fetch(None))
    for number, page in enumerate(whole):
        rest = list(Backfill(Old("a"), WISH).fetch(page.cursor))
        assert [item.body for each in rest for item in each.items] == [
            item.body for each in whole[number + 1 :] for item in each.items
        ]


def test_another_wish_begins_anew_whatever_the_one_before_has_left() -> None:
    before = list(Backfill(Old("a"), WISH).fetch(None))
    later = Wish(since=NOW - timedelta(days=999), asked_at=NOW + timedelta(seconds=1))
    assert progress_of(later, before[-1].cursor) is None
    first, *rest = Backfill(Old("a"), later).fetch(before[-1].cursor)
    assert Progress.read(first.cursor) == Progress(since=later.since, asked_at=later.asked_at)
    assert len([item for page in rest for item in page.items]) == 3


def test_closing_ends_it_and_it_is_not_done() -> None:
    history = Backfill(Old("a"), WISH)
    pages = history.fetch(None)
    next(pages)
    first = next(pages)
    history.close()
    assert list(pages) == []
    assert not Progress.read(first.cursor).done


def test_a_foreign_cursor_and_a_source_without_history_are_refused() -> None:
    with pytest.raises(FatalError, match="not one of a backfill"):
        list(Backfill(Old("a"), WISH).fetch("7"))
    with pytest.raises(TypeError, match="brings no history"):
        Backfill(Numbers("a"), WISH)


def test_a_feed_is_followed_back_through_its_archive_as_far_as_is_wanted(serve: Serve) -> None:
    base = serve(archive)
    since = NOW - timedelta(days=12)
    pages = list(rss(f"{base}/feed").backfill(since, None))
    assert sorted(ages(pages)) == [age for n in range(3) for age in hours_of(n) if age <= 12 * 24]
    assert len(pages) == 3, "no page beyond the first that is too old is asked for"
    shares = [page.share for page in pages]
    assert shares == sorted(shares, key=lambda share: share or 0) and shares[-1] == 1.0
    assert ages(list(rss(f"{base}/feed").backfill(since, pages[0].cursor))) == ages(pages[1:])


def test_a_feed_is_followed_to_its_very_beginning(serve: Serve) -> None:
    pages = list(rss(f"{serve(archive)}/feed").backfill(NOW - timedelta(days=9999), None))
    assert len(pages) == PAGES
    assert set(ages(pages)) == {age for n in range(PAGES) for age in hours_of(n)}


@pytest.mark.parametrize(
    ("body", "kind", "older"),
    [
        (
            b'<feed xmlns="http://www.w3.org/2005/Atom"><link rel="next" href="/2"/></feed>',
            "application/atom+xml",
            "/2",
        ),
        (
            b'<rss xmlns:a="http://www.w3.org/2005/Atom"><channel><a:link rel="prev-archive" href="/a"/></channel>'
            b"</rss>",
            "application/rss+xml",
            "/a",
        ),
        (b'{"version": "https://jsonfeed.org/version/1.1", "next_url": "/n", "items": []}', "application/json", "/n"),
        (b'{"version": "https://jsonfeed.org/version/1.1", "next_url": null}', "application/json", None),
        (b"<rss><channel/></rss>", "application/rss+xml", None),
        (b"{", "application/json", None),
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]><rss/>", "application/rss+xml", None),
    ],
)
def test_where_older_entries_are_is_read_from_every_kind_of_feed(body: bytes, kind: str, older: str | None) -> None:
    found = next_page(body, kind)
    assert found is None if older is None else (found or "").endswith(older)
