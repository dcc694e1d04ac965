"""Polling a feed from a real server."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler

import pytest

from opinionwatch.connectors import http, rss
from opinionwatch.connectors.fulltext import is_modest
from opinionwatch.connectors.hosts import Hosts
from opinionwatch.connectors.rss import Rss
from opinionwatch.pipeline.contracts import content_id
from opinionwatch.pipeline.errors import FatalError, RetryableError, SettingsError
from opinionwatch.pipeline.ports import Page
from opinionwatch.pipeline.registry import options

Serve = Callable[[Callable[[BaseHTTPRequestHandler], None]], str]


@pytest.fixture(autouse=True)
def no_manners(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests ask one host faster than is polite."""
    monkeypatch.setattr(http, "SHARED", Hosts(per_s=1000, burst=1000))


def source(url: str, **settings: object) -> Rss:
    return Rss("feed", options(Rss.Settings, {"url": url, "allow_hosts": ["127.0.0.1"], **settings}, "sources.feed"))


def feed(*numbers: int) -> bytes:
    items = "".join(
        f"<item><guid>{n}</guid><title>title {n}</title><link>LINK/{n}</link><description>text {n}</description></item>"
        for n in numbers
    )
    return f"<rss><channel>{items}</channel></rss>".encode()


def ids(pages: list[Page]) -> list[int]:
    return [int(json.loads(item.body)["native_id"]) for page in pages for item in page.items]


class Feed:
    """A server of one feed that knows conditional requests."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.tag = 1
        self.status = 200
        self.headers: dict[str, str] = {}
        self.asked: list[dict[str, str]] = []

    def __call__(self, to: BaseHTTPRequestHandler) -> None:
        self.asked.append({name.lower(): value for name, value in to.headers.items()})
        same = to.headers["If-None-Match"] == f'"{self.tag}"'
        status = 304 if same and self.status == 200 else self.status
        to.send_response(status)
        to.send_header("ETag", f'"{self.tag}"')
        to.send_header("Last-Modified", "Mon, 03 Mar 2025 00:00:00 GMT")
        for name, value in self.headers.items():
            to.send_header(name, value)
        body = b"" if status == 304 else self.body
        to.send_header("Content-Length", str(len(body)))
        to.end_headers()
        to.wfile.write(body)


def test_new_entries_come_once_and_an_unchanged_feed_costs_an_empty_answer(serve: Serve) -> None:
    server = Feed(feed(3, 2, 1))
    polled = source(serve(server))
    pages = list(polled.fetch(None))
    assert ids(pages) == [1, 2, 3]
    assert list(polled.fetch(pages[-1].cursor)) == []
    assert server.asked[1]["if-none-match"] == '"1"'
    assert server.asked[1]["if-modified-since"] == "Mon, 03 Mar 2025 00:00:00 GMT"
    server.body, server.tag = feed(5, 4, 3, 2), 2
    more = list(polled.fetch(pages[-1].cursor))
    assert ids(more) == [4, 5]
    server.body, server.tag = feed(1, 5), 3
    again = list(polled.fetch(more[-1].cursor))
    assert ids(again) == []
    assert [page.items for page in again] == [[]], "the new ETag is worth a page"
    assert list(polled.fetch(again[-1].cursor)) == []


def test_every_cursor_gives_exactly_the_rest_and_the_etag_is_kept_only_with_the_last_page(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rss, "PAGE_ITEMS", 3)
    base = serve(Feed(feed(*range(10))))
    pages = list(source(base).fetch(None))
    assert len(pages) == 4
    got = ids(pages)
    seen = 0
    for page in pages:
        seen += len(page.items)
        assert ids(list(source(base).fetch(page.cursor))) == got[seen:]
    assert '"etag":""' in pages[2].cursor


def test_a_feed_without_validators_and_without_news_gives_nothing(serve: Serve) -> None:
    def respond(to: BaseHTTPRequestHandler) -> None:
        to.send_response(200)
        to.send_header("Content-Length", str(len(feed(1))))
        to.end_headers()
        to.wfile.write(feed(1))

    base = serve(respond)
    first = list(source(base).fetch(None))
    assert list(source(base).fetch(first[-1].cursor)) == []


def test_the_cursor_is_bounded_but_never_forgets_what_the_feed_still_holds(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rss, "REMEMBERED", 5)
    server = Feed(b"")
    base = serve(server)
    cursor = None
    for tag in range(1, 30):
        server.body, server.tag = feed(*range(tag, tag + 8)), tag
        pages = list(source(base).fetch(cursor))
        assert len(ids(pages)) == (8 if tag == 1 else 1)
        cursor = pages[-1].cursor
    assert cursor is not None
    assert len(json.loads(cursor)["entries"]) <= 16


def test_another_address_under_the_same_name_is_not_asked_with_the_old_etag(serve: Serve) -> None:
    server = Feed(feed(1))
    base = serve(server)
    cursor = list(source(f"{base}/a").fetch(None))[-1].cursor
    list(source(f"{base}/b").fetch(cursor))
    assert "if-none-match" not in server.asked[-1]


def test_an_address_with_a_query_does_not_show_it(serve: Serve) -> None:
    base = serve(Feed(b"nonsense"))
    one, two = source(f"{base}/f?key=s3cret"), source(f"{base}/f?key=other")
    assert one.instance != two.instance
    assert one.instance.startswith(f"{base}/f#")
    assert source(f"{base}/f").instance == f"{base}/f"
    with pytest.raises(RetryableError) as caught:
        list(one.fetch(None))
    assert "s3cret" not in str(caught.value) + one.instance


def test_waiting_as_long_as_the_server_says(serve: Serve) -> None:
    server = Feed(b"")
    server.status, server.headers = 429, {"Retry-After": "30"}
    with pytest.raises(RetryableError, match="answered 429") as caught:
        list(source(serve(server)).fetch(None))
    assert caught.value.after_s == 30


@pytest.mark.parametrize(
    ("body", "coding", "reason"),
    [
        (b"<!doctype html><html>", "", "a web page, not a feed"),
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]><rss/>", "", "document type"),
        (gzip.compress(b"<rss>" + b" " * 7_000_000), "gzip", "100 times"),
        (b"<rss>" + b" " * 9_000_000, "", "longer than"),
        (feed(1, 2, 3)[:-9], "", "cut off"),
    ],
)
def test_what_cannot_be_read_is_an_error_with_its_reason_and_the_next_poll_tries_again(
    serve: Serve, body: bytes, coding: str, reason: str
) -> None:
    server = Feed(body)
    server.headers = {"Content-Encoding": coding} if coding else {}
    polled = source(serve(server))
    with pytest.raises(RetryableError, match=reason):
        list(polled.fetch(None))
    server.body, server.headers = feed(1), {}
    assert ids(list(polled.fetch(None))) == [1]


def test_a_foreign_cursor_is_refused(serve: Serve) -> None:
    with pytest.raises(FatalError, match="cursor"):
        list(source(serve(Feed(feed(1)))).fetch('{"offset": 3}'))


def test_an_address_inside_is_refused_for_ever_unless_it_is_named() -> None:
    polled = Rss("feed", Rss.Settings(url="http://127.0.0.1:8080/feed"))
    with pytest.raises(FatalError, match="allow_hosts"):
        list(polled.fetch(None))


def test_closing_ends_a_poll_between_its_pages(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rss, "PAGE_ITEMS", 1)
    polled = source(serve(Feed(feed(1, 2, 3))))
    pages = polled.fetch(None)
    next(pages)
    polled.close()
    assert list(pages) == []


@pytest.mark.parametrize("wrong", [{"interval_s": 0}, {"contact": "a\nb"}, {"allow_hosts": ["a b\x00"]}, {"ulr": "x"}])
def test_settings_that_cannot_work_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(SettingsError):
        source("http://example.org/", **wrong)


ARTICLE = (
    "<html><body><nav>menu</nav><article><h1>Head</h1>" + "<p>This is the whole story, sentence by sentence.</p>" * 20
)


class Site:
    """A feed, its articles, and its robots.txt."""

    def __init__(self, robots: bytes | int) -> None:
        self.robots = robots
        self.base = ""
        self.feed = feed(1, 2, 3)
        self.asked: list[str] = []

    def __call__(self, to: BaseHTTPRequestHandler) -> None:
        self.asked.append(to.path)
        status, kind, body = 200, "text/html; charset=utf-8", ARTICLE.encode()
        if to.path == "/feed":
            kind, body = "application/rss+xml", self.feed.replace(b"LINK", self.base.encode())
        elif to.path == "/robots.txt":
            status, body = (self.robots, b"") if isinstance(self.robots, int) else (200, self.robots)
        elif to.path == "/2":
            status = 404
        to.send_response(status)
        to.send_header("Content-Type", kind)
        to.send_header("Content-Length", str(len(body)))
        to.end_headers()
        to.wfile.write(body)


@pytest.mark.parametrize(
    ("robots", "full"),
    [
        (404, {1, 3}),
        (b"User-agent: *\nDisallow: /1\n", {3}),
        (b"User-agent: opinionwatch\nDisallow: /", set()),
        (503, set()),
    ],
)
def test_articles_are_fetched_where_they_may_be_and_else_the_summary_stays(
    serve: Serve, robots: bytes | int, full: set[int]
) -> None:
    site = Site(robots)
    site.base = serve(site)
    bodies = [
        json.loads(item.body) for page in source(f"{site.base}/feed", full_text=True).fetch(None) for item in page.items
    ]
    assert {int(body["native_id"]) for body in bodies if "whole story" in body["text"]} == full
    assert {body["text"] for body in bodies if "whole story" not in body["text"]} == {
        f"text {n}" for n in (1, 2, 3) if n not in full
    }
    assert all(body["title"] == f"title {body['native_id']}" for body in bodies)
    assert site.asked.count("/robots.txt") == 1


@pytest.mark.parametrize(
    "link", ["http://x.example:abc/", "http://999.1.1.1/", "http://[bad/", "mailto:x", "http://[::1"]
)
def test_a_link_that_leads_nowhere_leaves_the_summary_and_the_other_articles(serve: Serve, link: str) -> None:
    site = Site(404)
    site.base = serve(site)
    site.feed = feed(1, 2, 3).replace(b"LINK/2", link.encode())
    bodies = [
        json.loads(item.body) for page in source(f"{site.base}/feed", full_text=True).fetch(None) for item in page.items
    ]
    assert ["whole story" in body["text"] for body in bodies] == [True, False, True]
    assert bodies[1]["text"] == "text 2"


@pytest.mark.parametrize(
    "robots", [b"User-agent: *\nDisallow: //[x\n", "User-agent: *\nCrawl-delay: \u00b2\n".encode(), 503]
)
def test_robots_rules_that_cannot_be_read_leave_the_summary_and_are_asked_for_once(
    serve: Serve, robots: bytes | int
) -> None:
    site = Site(robots)
    site.base = serve(site)
    pages = list(source(f"{site.base}/feed", full_text=True).fetch(None))
    assert [json.loads(item.body)["text"] for page in pages for item in page.items] == ["text 3", "text 2", "text 1"]
    assert site.asked.count("/robots.txt") == 1


@pytest.mark.parametrize("robots", [b"\xff\xfe\x00\x01binary", b"<!doctype html><html><body>no such page</body>"])
def test_what_is_no_robots_file_forbids_nothing_and_is_asked_for_once(serve: Serve, robots: bytes) -> None:
    site = Site(robots)
    site.base = serve(site)
    pages = list(source(f"{site.base}/feed", full_text=True).fetch(None))
    assert ["whole story" in json.loads(item.body)["text"] for page in pages for item in page.items] == [
        True,
        False,
        True,
    ]
    assert site.asked.count("/robots.txt") == 1


@pytest.mark.parametrize("inner", ["<i>a</i> " * 2_000, "<p>" + "<a href=x>a</a>" * 5_000, "<p><b>x</b></p>" * 600])
def test_a_page_that_would_stall_the_reader_is_left_alone(inner: str) -> None:
    assert not is_modest(f"<article>{inner}" * 10)
    assert is_modest(ARTICLE)


def dated(*numbers: int) -> bytes:
    """A feed whose entry n was published n hours into a day."""
    items = "".join(
        f"<item><guid>{n}</guid><title>title {n}</title><pubDate>Mon, 03 Mar 2025 {n:02}:00:00 GMT</pubDate></item>"
        for n in numbers
    )
    return f"<rss><channel>{items}</channel></rss>".encode()


def test_a_feed_that_turned_over_between_two_polls_is_a_gap_with_its_range(serve: Serve) -> None:
    server = Feed(dated(3, 2, 1))
    polled = source(serve(server))
    [first] = polled.fetch(None)
    assert first.missed == (), "of what was before the first poll nobody expects anything"
    server.body, server.tag = dated(4, 3, 2), 2
    [second] = polled.fetch(first.cursor)
    assert (ids([second]), second.missed) == ([4], ())
    server.body, server.tag = dated(9, 8, 7), 3
    [third] = polled.fetch(second.cursor)
    [gap] = third.missed
    assert (gap.since, gap.until) == (datetime(2025, 3, 3, 4, tzinfo=UTC), datetime(2025, 3, 3, 7, tzinfo=UTC))
    assert "none of the 3 entries was there" in gap.detail
    [again] = polled.fetch(second.cursor)
    assert again.missed == third.missed, "what was not stored is found again, as the same gap"
    assert list(polled.fetch(third.cursor)) == []


def test_of_a_feed_without_times_a_gap_has_no_range_and_it_is_told_once_a_turn(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rss, "PAGE_ITEMS", 2)
    server = Feed(feed(3, 2, 1))
    polled = source(serve(server))
    *_, last = polled.fetch(None)
    server.body, server.tag = feed(9, 8, 7), 2
    pages = list(polled.fetch(last.cursor))
    assert [(len(page.items), [(gap.since, gap.until) for gap in page.missed]) for page in pages] == [
        (2, [(None, None)]),
        (1, []),
    ]
    assert [page.missed for page in polled.fetch(pages[0].cursor)] == [()], "a crash between them repeats no gap"


def linked(*numbers: int, guid: str = "", link: str = "http://x.example/product") -> bytes:
    """A feed whose entries have one link, or one id."""
    items = "".join(
        f"<item>{guid}<title>title {n}</title><link>{link.replace('#', str(n))}</link>"
        f"<description>text {n}</description></item>"
        for n in numbers
    )
    return f"<rss><channel>{items}</channel></rss>".encode()


def titles(pages: list[Page]) -> list[str]:
    return [json.loads(item.body)["title"] for page in pages for item in page.items]


def polls(serve: Serve, *bodies: bytes) -> list[Page]:
    """All pages of one poll a body."""
    server = Feed(b"")
    polled, pages = source(serve(server)), list[Page]()
    for tag, body in enumerate(bodies, start=1):
        server.body, server.tag = body, tag
        pages += list(polled.fetch(pages[-1].cursor if pages else None))
    return pages


def test_entries_without_an_id_that_all_link_to_one_page_come_once_each(serve: Serve) -> None:
    pages = polls(serve, linked(2, 1), linked(4, 3, 2), linked(4), linked(5), linked(5, 4))
    assert titles(pages) == [f"title {n}" for n in (1, 2, 3, 4, 5)]
    assert [missed for page in pages for missed in page.missed if "2 entries" in missed.detail] == []


@pytest.mark.parametrize("last", [2, 3])
def test_an_entry_that_shared_its_id_keeps_its_own_when_the_others_have_left_the_feed(serve: Serve, last: int) -> None:
    told = {"guid": "<guid isPermaLink='false'>g</guid>", "link": "http://x.example/#"}
    pages = polls(serve, linked(2, 1, **told), linked(2, **told), linked(last, **told))
    assert titles(pages) == ["title 1", "title 2", "title 3"][:last]
    found = [json.loads(item.body)["native_id"] for page in pages for item in page.items]
    assert found == [content_id("g", f"http://x.example/{n}") for n in range(1, last + 1)], "as it always was"


def test_ids_that_nobody_shares_and_cursors_of_before_stay_valid(serve: Serve) -> None:
    server = Feed(linked(1))
    base = serve(server)
    [page] = source(base).fetch(None)
    assert json.loads(page.items[0].body)["native_id"] == "http://x.example/product"
    cursor = json.loads(page.cursor)
    del cursor["shared"]
    server.tag = 2
    assert [page.items for page in source(base).fetch(json.dumps(cursor))] == [[]]


def test_an_id_that_turns_out_to_be_shared_is_no_feed_that_turned_over(serve: Serve) -> None:
    pages = polls(serve, linked(1), linked(2, 1))
    assert "title 2" in titles(pages)
    assert [missed for page in pages for missed in page.missed] == []
