"""Reading feeds: formats, carelessness, hostility."""

import codecs
import json
import time
from contextlib import suppress

import pytest

from opinionwatch.connectors import feed_xml
from opinionwatch.connectors.entry import Entry
from opinionwatch.connectors.feeds import read_feed
from opinionwatch.pipeline.ports import Item
from opinionwatch.pipeline.settings import Limits
from opinionwatch.pipeline.submission import parse

RSS = """<?xml version="1.0"?><rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><title>T</title>
<language>zh-cn</language>
<item><title>新手机 &amp; more</title><link>https://example.org/2</link><guid isPermaLink="false">two</guid>
<description>&lt;p&gt;不好用&lt;/p&gt;</description><dc:creator>小王</dc:creator>
<pubDate>Mon, 03 Mar 2025 08:00:00 +0800</pubDate></item>
<item><title>First</title><link>https://example.org/1</link><description>plain enough</description></item>
</channel></rss>"""

ATOM = """<?xml version="1.0" encoding="utf-8"?><feed xmlns="http://www.w3.org/2005/Atom" xml:lang="en"><title>T</title>
<entry><id>tag:x,2025:1</id><title type="text">a &lt; b</title><link href="https://example.org/a"/><updated>2025-03-03T00:00:00Z</updated>
<author><name>Ann</name></author><content type="text">1 &lt; 2 &amp; so on</content></entry>
<entry><id>tag:x,2025:2</id><title type="html">&lt;b&gt;bold&lt;/b&gt;</title>
<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>x <i>y</i></p></div></content></entry></feed>"""

JSON = {
    "version": "https://jsonfeed.org/version/1.1",
    "title": "T",
    "language": "en-GB",
    "items": [
        {
            "id": "2", "url": "https://example.org/2", "content_html": "<p>hi</p>", "title": "a < b",
            "authors": [{"name": "Ann"}], "date_published": "2025-03-03T00:00:00Z",
        },
        {"id": 1, "content_text": "1 < 2", "author": {"name": "Bob"}, "language": "zh"},
        "not an object",
        {"content_text": ["wrong"], "title": 3, "authors": "x", "author": 7, "url": None, "language": 5},
    ],
}  # fmt: skip


def test_rss_entries_come_oldest_first_with_all_their_fields() -> None:
    first, second = read_feed(RSS.encode(), "application/rss+xml")
    assert second == Entry(
        "two",
        "<p>不好用</p>",
        "新手机 &amp; more",
        "小王",
        "https://example.org/2",
        "2025-03-03T00:00:00+00:00",
        "zh-cn",
        html=True,
    )
    assert (first.native_id, first.text, first.title, first.author) == (
        "https://example.org/1",
        "plain enough",
        "First",
        None,
    )


def test_atom_says_what_is_html_and_what_is_text() -> None:
    html, text = read_feed(ATOM.encode(), "")
    assert (text.text, text.title, text.html, text.author) == ("1 < 2 & so on", "a < b", False, "Ann")
    assert (html.html, html.title, html.native_id) == (True, "<b>bold</b>", "tag:x,2025:2")
    assert "<i>y</i>" in html.text


def test_json_feeds_are_read_and_their_odd_items_passed_on() -> None:
    entries = read_feed(json.dumps(JSON).encode(), "application/feed+json")
    odd, none, text, html = entries
    assert (html.native_id, html.text, html.title, html.html, html.author) == (
        "2",
        "<p>hi</p>",
        "a &lt; b",
        True,
        "Ann",
    )
    assert (html.published_at, html.lang, html.url) == ("2025-03-03T00:00:00Z", "en-GB", "https://example.org/2")
    assert (text.native_id, text.text, text.html, text.author, text.lang) == ("1", "1 < 2", False, "Bob", "zh")
    assert (none.text, odd.text) == ("", "")
    assert len({entry.native_id for entry in entries}) == 4


def test_an_entry_is_json_of_a_submission() -> None:
    assert json.loads(Entry("a", "b", html=True).body()) == {"native_id": "a", "text": "b", "html": True}


def test_an_entry_of_half_characters_and_endless_figures_is_still_a_submission() -> None:
    entry = Entry("id \ud800", "great \ud83d, 电池", title="\udc00", author="\udfff", likes=10**40)
    found = parse(Item(entry.body()), Limits())
    assert (found.native_id, found.text, found.title) == ("id \\ud800", "great \ufffd, 电池", "\ufffd")
    assert (found.author, found.likes) == ("\ufffd", None)


def test_entries_that_share_an_id_are_told_apart_by_their_links() -> None:
    items = "".join(f"<item><guid>1</guid><link>http://x/{n}</link><title>{n}</title></item>" for n in range(3))
    assert len({entry.native_id for entry in read_feed(f"<rss><channel>{items}</channel></rss>".encode(), "")}) == 3


ENCODINGS = "utf-8 utf-8-sig utf-16 utf-16-le utf-16-be gbk gb2312 gb18030 big5".split()  # noqa: SIM905


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("declared", ["inside", "outside", "both wrongly"])
def test_text_is_read_in_many_encodings_rightly_and_wrongly_declared(encoding: str, declared: str) -> None:
    inside = {"inside": encoding, "both wrongly": "iso-8859-1"}.get(declared)
    text = f'<?xml version="1.0"{f" encoding={chr(34)}{inside}{chr(34)}" if inside else ""}?>'
    text += (
        "<rss><channel><item><title>手機很好</title></item></channel></rss>"
        if encoding == "big5"
        else "<rss><channel><item><title>手机很好</title></item></channel></rss>"
    )
    kind = "text/xml; charset=" + {"outside": encoding, "both wrongly": "iso-8859-1"}.get(declared, "")
    title = read_feed(text.encode(encoding), kind)[0].title
    if declared == "both wrongly" and encoding in ("gbk", "gb2312", "gb18030", "big5"):
        assert title  # nobody could know; it is read as it says
    else:
        assert title in ("手机很好", "手機很好")


@pytest.mark.parametrize(
    "name", ["zip", "hex", "punycode", "unicode_escape", "utf-7", "idna", "nonsense", "../../etc", "x" * 500]
)
def test_encodings_that_are_none_are_not_believed(name: str) -> None:
    text = f'<?xml version="1.0" encoding="{name}"?><rss><channel><item><title>ok</title></item></channel></rss>'
    assert read_feed(text.encode(), f"text/xml; charset={name}")[0].title == "ok"


def test_bytes_that_nobody_can_decode_become_marks_and_not_errors() -> None:
    entry = read_feed(b"<rss><channel><item><title>a\xff\xfe\x81b</title></item></channel></rss>", "")[0]
    assert entry.title
    assert "\ufffd" in entry.title


@pytest.mark.parametrize(
    ("careless", "title"),
    [
        ("\n\n junk <rss><channel><item><title>a</title></item></channel></rss>", "a"),
        ("<rss><channel><item><title>a & b</title></item></channel></rss>", "a &amp; b"),
        ("<rss><channel><item><title>a&nbsp;&eacute;</title></item></channel></rss>", "a\xa0é"),
        ("<rss><channel><item><title>a\x0bb</title></item></channel></rss>", "ab"),
        (
            "<rss><channel><item><title>a</title><media:x>1</media:x><dc:creator>me</dc:creator></item></channel></rss>",
            "a",
        ),
        ("<rss><channel><item><title>a</title><br></item></channel></rss>", "a"),
        ("<rss><channel><item><title>a</title><description>x</b></description></item></channel></rss>", "a"),
        ("<rss><channel><item><title><![CDATA[a & <b>b</b>]]></title></item><x>&</x></channel></rss>", "a & <b>b</b>"),
        ("<rss><channel><item><title>a</title></item></channel></rss><rss></rss>", "a"),
    ],
)
def test_careless_feeds_are_mended(careless: str, title: str) -> None:
    entry = read_feed(careless.encode(), "")[0]
    assert entry.title == title


BOMB = (
    '<!DOCTYPE lol [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><rss><channel><title>&b;</title></channel></rss>'
)
XXE = '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><rss><channel><item><title>&x;</title></item></channel></rss>'
DTD = '<!DOCTYPE rss SYSTEM "http://127.0.0.1:9/x.dtd"><rss><channel></channel></rss>'


def rss(inner: str) -> str:
    return f"<rss><channel>{inner}</channel></rss>"


@pytest.mark.parametrize(
    ("hostile", "reason"),
    [
        (BOMB, "document type"),
        (XXE, "document type"),
        (DTD, "document type"),
        ('<?xml version="1.0"?>\n<!-- x -->\n' + XXE, "document type"),
        (BOMB.encode("utf-16"), "document type"),
        (codecs.BOM_UTF16_BE + BOMB.encode("utf-16-be"), "document type"),
        ('<?xml version="1.0" encoding="utf-7"?>' + BOMB.replace("<", "+ADw-"), "not a feed|cut off"),
        (rss("<a>" * 300 + "</a>" * 300), "elements deep"),
        (rss("<item/>" * 300_000), "elements"),
        (rss("<item " + " ".join(f'a{n}=""' for n in range(200)) + "/>"), "attributes"),
        (rss("".join(f'<a xmlns:n{n}="u"/>' for n in range(200))), "namespaces"),
        (rss("<item><author>" + "a." * 100_000 + "@</author></item>"), "characters in an author"),
        (rss("<item><pubDate>" + "1" * 100_000 + "</pubDate></item>"), "characters in an author"),
        (rss("<item><author><b>" + "a." * 100_000 + "@</b></author></item>"), "characters in an author"),
        (rss("<item><title>a</title></item>")[:-20], "cut off"),
        (rss("<item><title>a & b</title></item>")[:-20], "cut off"),
        ("<opml><body/></opml>", "not a feed"),
        ("<a/>", "not a feed"),
        ("hello", "not a feed|cut off"),
        ("", "empty"),
        (" \n", "empty"),
        ("\ufeff", "empty"),
        (b"\x00" * 1000, "not a feed|cut off"),
        (bytes(range(256)) * 10, "not a feed|cut off"),
        (b"%PDF-1.7 \xff\xff", "not a feed|cut off"),
        ("{}", "not a JSON Feed"),
        ('{"items": []}', "not a JSON Feed"),
        ('{"version": "https://jsonfeed.org/version/1", "items": {}}', "not a JSON Feed"),
        ('{"a": ', "not JSON"),
        ('{"a":' * 100_000, "not JSON"),
        ("<!DOCTYPE html><html><body>Please sign in</body></html>", "a web page, not a feed$"),
        ('<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"/>', "a web page"),
        ('<HTML><head><link rel="alternate" type="application/rss+xml" href="/feed.xml"></head>', "names /feed.xml"),
    ],
)  # fmt: skip
def test_what_is_no_feed_or_hostile_is_refused_with_its_reason(hostile: str | bytes, reason: str) -> None:
    began = time.monotonic()
    with pytest.raises(ValueError, match=reason):
        read_feed(hostile if isinstance(hostile, bytes) else hostile.encode(), "")
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "inner", ["&lt;b&gt;", "&amp;", "<![CDATA[", "&", "<", "</b>", "<!--", "<?x ", "&#1", "]]>", "<a b='"]
)
def test_nothing_stalls_the_reader_by_repetition(inner: str) -> None:
    began = time.monotonic()
    with suppress(ValueError):
        read_feed(rss("<item><title>" + inner * (400_000 // len(inner)) + "</title></item>").encode(), "")
    assert time.monotonic() - began < 5


def test_a_feed_of_ten_thousand_entries_is_read_whole() -> None:
    items = "".join(f"<item><guid>{n}</guid><title>t{n}</title></item>" for n in range(10_000))
    entries = read_feed(rss(items).encode(), "")
    assert [entry.native_id for entry in entries] == [str(n) for n in reversed(range(10_000))]


def test_an_id_of_absurd_length_is_named_by_its_digest() -> None:
    entry = read_feed(rss(f"<item><guid>{'x' * 900}</guid><title>a</title></item>").encode(), "")[0]
    assert len(entry.native_id) == 32
    assert feed_xml.SHORT_CHARS == 1000
