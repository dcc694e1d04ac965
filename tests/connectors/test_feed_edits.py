"""Edits and figures in feeds: what comes again, and what does not."""

import json
from collections.abc import Mapping

import pytest

from opinionwatch.connectors import http
from opinionwatch.connectors.hosts import Hosts
from opinionwatch.pipeline.ports import Page, Source
from tests.connectors.imitation import Asked, Told, imitating
from tests.connectors.reading_services import bodies
from tests.contract.source_suite import build

PUBLISHED, EDITED, LATER = (f"2026-03-01T0{hour}:00:00Z" for hour in (8, 9, 10))


@pytest.fixture(autouse=True)
def no_manners(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests ask one host faster than is polite."""
    monkeypatch.setattr(http, "SHARED", Hosts(per_s=1000, burst=1000))


class Feed:
    """A feed of some texts, each with the time of its last edit."""

    def __init__(self, form: str, *texts: str) -> None:
        self.form = form
        self.entries = {str(number): (text, PUBLISHED) for number, text in enumerate(texts, start=1)}

    def __call__(self, asked: Asked) -> Told:
        """All of it."""
        del asked
        if self.form == "json":
            items = [
                {"id": key, "content_text": text, "date_published": PUBLISHED, "date_modified": edited}
                for key, (text, edited) in self.entries.items()
            ]
            return Told({"version": "https://jsonfeed.org/version/1.1", "items": items})
        entries = "".join(
            f"<entry><id>{key}</id><title>t</title><content>{text}</content>"
            f"<published>{PUBLISHED}</published><updated>{edited}</updated></entry>"
            for key, (text, edited) in self.entries.items()
        )
        return Told(f"<feed xmlns='http://www.w3.org/2005/Atom'>{entries}</feed>".encode())


def polled(url: str) -> Source:
    return build("rss", url=url, allow_hosts=["127.0.0.1"])


def poll(url: str, pages: list[Page]) -> list[Mapping[str, object]]:
    """What the next poll brings; its pages are kept."""
    more = list(polled(url).fetch(pages[-1].cursor if pages else None))
    pages += more
    return bodies(more)


@pytest.mark.parametrize("form", ["atom", "json"])
def test_an_edit_of_an_entry_comes_again_once_as_a_later_version(form: str) -> None:
    feed = Feed(form, "worse", "other")
    pages: list[Page] = []
    with imitating(feed) as service:
        first = poll(service.url, pages)
        assert [body.get("edited_at") for body in first] == [None, None]
        feed.entries["1"] = ("now better", EDITED)
        [edited] = poll(service.url, pages)
        assert (edited["native_id"], edited["text"]) == ("1", "now better")
        assert str(edited["edited_at"])[:13] == EDITED[:13]
        assert poll(service.url, pages) == []
    assert [missed for page in pages for missed in page.missed] == []


def test_a_feed_that_moves_its_times_without_an_edit_says_nothing_new_for_ever() -> None:
    feed = Feed("atom", "the same")
    pages: list[Page] = []
    with imitating(feed) as service:
        poll(service.url, pages)
        feed.entries["1"] = ("the same", EDITED)
        poll(service.url, pages)
        feed.entries["1"] = ("the same", LATER)
        assert poll(service.url, pages) == []


def test_edits_of_all_entries_at_once_are_no_gap() -> None:
    feed = Feed("atom", "a", "b", "c")
    pages: list[Page] = []
    with imitating(feed) as service:
        poll(service.url, pages)
        feed.entries = {key: (f"{text} edited", EDITED) for key, (text, _) in feed.entries.items()}
        assert len(poll(service.url, pages)) == 3
    assert [missed for page in pages for missed in page.missed] == []


def test_a_cursor_from_before_edits_were_known_still_knows_its_entries() -> None:
    feed = Feed("atom", "a", "b")
    with imitating(feed) as service:
        [page] = polled(service.url).fetch(None)
        assert len(json.loads(page.cursor)["entries"]) == 2, "one digest an entry, as before"
        assert bodies(polled(service.url).fetch(page.cursor)) == []


@pytest.mark.parametrize(
    ("told", "likes", "replies"),
    [
        ("<rsshub:upvotes>12</rsshub:upvotes><rsshub:comments>3</rsshub:comments>", 12, 3),
        ("<slash:comments>4</slash:comments>", None, 4),
        ("<rsshub:upvotes>1.2万</rsshub:upvotes><rsshub:comments>-1</rsshub:comments>", None, None),
        (f"<rsshub:upvotes>{'9' * 5_000}</rsshub:upvotes>", None, None),
        ("", None, None),
    ],
)
def test_figures_are_taken_as_far_as_they_are_numbers(told: str, likes: int | None, replies: int | None) -> None:
    names = "xmlns:rsshub='http://rsshub.app/xml/schemas' xmlns:slash='http://purl.org/rss/1.0/modules/slash/'"
    body = f"<rss version='2.0' {names}><channel><item><guid>1</guid><title>a</title>{told}</item></channel></rss>"
    with imitating(lambda _: Told(body.encode())) as service:
        [found] = bodies(polled(service.url).fetch(None))
    assert (found.get("likes"), found.get("replies")) == (likes, replies)
