"""Feeds of any format as entries: RSS and Atom by feedparser, JSON Feed by a small reader of our own."""

import html
import io
import json
import re
import time
from calendar import timegm
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial

import feedparser
from selectolax.lexbor import LexborHTMLParser

from opinionwatch.connectors.charset import decode
from opinionwatch.connectors.entry import Entry
from opinionwatch.connectors.feed_xml import checked
from opinionwatch.connectors.naming import InFeed, Names
from opinionwatch.pipeline.contracts import content_id

_PAGE = re.compile(r"<!doctype\s+html|<html[\s>]", re.IGNORECASE)
_LANG = re.compile(r"[A-Za-z]{2,3}([_-][A-Za-z0-9]{2,8}){0,3}")
_ID_CHARS = 512
_HTML_CHARS = 20_000
_FEEDPARSERS_OWN = (ValueError, LookupError, AttributeError, TypeError, ArithmeticError, RecursionError, AssertionError)
"""What a library that has read the web's feeds for twenty years may still trip over."""


def read_feed(body: bytes, content_type: str, names: Names | None = None) -> list[Entry]:
    """The entries of a feed, oldest first; `names` are those it had before. Raises ValueError with the reason when it
    is none.
    """
    names = names or Names()
    text = decode(body, content_type).lstrip("\ufeff \t\r\n")
    if not text:
        raise ValueError("an empty answer")
    if text.startswith("{"):
        return names.distinct(_json_feed(text))
    if _PAGE.search(text[:2000]):
        raise ValueError("a web page, not a feed" + _hint(text))
    return names.distinct(_xml_feed(checked(re.sub(r"^<\?xml[^>]{0,300}\?>", "", text))))


def next_page(body: bytes, content_type: str) -> str | None:
    """Where the feed says that older entries are: RFC 5005 (`prev-archive`, `next`), `next_url` of a JSON Feed."""
    text = decode(body, content_type).lstrip("\ufeff \t\r\n")
    if text.startswith("{"):
        try:
            found = json.loads(text, parse_int=str, parse_float=str).get("next_url")
        except (ValueError, RecursionError):
            return None
        return found.encode("utf-8", "replace").decode() if isinstance(found, str) and found else None
    told = {"content-type": "application/xml; charset=utf-8"}
    try:
        data = checked(re.sub(r"^<\?xml[^>]{0,300}\?>", "", text))
        links = feedparser.parse(io.BytesIO(data), response_headers=told).feed.get("links", [])
    except _FEEDPARSERS_OWN:
        return None
    named = {link.get("rel"): link.get("href") for link in links}
    address = named.get("prev-archive") or named.get("next")
    return str(address) if address else None


def _xml_feed(data: bytes) -> list[InFeed]:
    told = {"content-type": "application/xml; charset=utf-8"}
    try:
        # A stream, because feedparser would open what looks like a path or an address.
        found = feedparser.parse(
            io.BytesIO(data), response_headers=told, sanitize_html=False, resolve_relative_uris=False
        )
        lang = _language(found.feed.get("language"))
        return [InFeed(_xml_entry(entry, lang), linked=not entry.get("id")) for entry in reversed(found.entries)]
    except _FEEDPARSERS_OWN as error:
        raise ValueError(f"feedparser cannot read it: {type(error).__name__}: {error}") from error


def _xml_entry(entry: feedparser.FeedParserDict, lang: str | None) -> Entry:
    details = [*entry.get("content", []), entry.get("summary_detail", {})]
    detail: Mapping[str, str] = next((detail for detail in details if detail.get("value")), {})
    text, title = detail.get("value", ""), entry.get("title") or None
    is_html = detail.get("type", "text/html") != "text/plain"
    if title and (entry.get("title_detail", {}).get("type") == "text/plain") == is_html:
        title = html.escape(title, quote=False) if is_html else plain(title)
    published, updated = (
        _moment(entry.get(name)) if name in entry else None for name in ("published_parsed", "updated_parsed")
    )
    found = _entry(
        key=entry.get("id") or entry.get("link"),
        text=text,
        title=title,
        author=entry.get("author") or None,
        url=entry.get("link") or None,
        published_at=published or updated,
        edited_at=updated if published else None,
        lang=_language(detail.get("language")) or lang,
        is_html=is_html,
    )
    comments = entry.get("rsshub_comments") or entry.get("slash_comments")
    return found._replace(likes=_count(entry.get("rsshub_upvotes")), replies=_count(comments))


def _json_feed(text: str) -> list[InFeed]:
    """JSON Feed 1.0 and 1.1 (https://www.jsonfeed.org/version/1.1/, read 2025-11)."""
    try:
        feed = json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
    items = feed.get("items") if isinstance(feed, dict) else None
    if not isinstance(items, list) or "jsonfeed.org" not in str(feed.get("version"))[:100]:
        raise ValueError("JSON, but not a JSON Feed")
    lang = _language(feed.get("language"))
    # What is no object has no text, and becomes a dead letter of its own.
    return [
        InFeed(_json_entry(item, lang), linked=not _string(item, "id"))
        if isinstance(item, dict)
        else InFeed(Entry(content_id(repr(item)), ""), linked=False)
        for item in reversed(items)
    ]


def _json_entry(item: Mapping[str, object], lang: str | None) -> Entry:
    text = partial(_string, item)

    authors = item.get("authors")
    author = authors[0] if isinstance(authors, list) and authors else item.get("author")
    name = author.get("name") if isinstance(author, dict) else None
    is_html = text("content_text") is None and text("content_html") is not None
    title = text("title")
    return _entry(
        key=text("id") or text("url"),
        text=text("content_text") or text("content_html") or text("summary") or "",
        title=html.escape(title, quote=False) if title and is_html else title,
        author=name if isinstance(name, str) and name else None,
        url=text("url") or text("external_url"),
        published_at=text("date_published") or text("date_modified"),
        edited_at=text("date_modified") if text("date_published") else None,
        lang=_language(item.get("language")) or lang,
        is_html=is_html,
    )


def _string(item: Mapping[str, object], name: str) -> str | None:
    value = item.get(name)
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) and value else None


def _entry(
    *,
    key: str | None,
    text: str,
    title: str | None,
    author: str | None,
    url: str | None,
    published_at: str | None,
    edited_at: str | None,
    lang: str | None,
    is_html: bool,
) -> Entry:
    key = key or content_id(title or "", text)
    key = key if len(key) <= _ID_CHARS else content_id(key)
    changed = edited_at if edited_at != published_at else None
    return Entry(key, text, title, author, url, published_at, lang, is_html, edited_at=changed)


def plain(text: str) -> str:
    """The text of some short HTML; deep nesting would take quadratic time."""
    root = LexborHTMLParser(text[:_HTML_CHARS]).body
    return root.text(separator=" ", strip=True) if root else text


def _moment(parsed: time.struct_time | None) -> str | None:
    try:
        return datetime.fromtimestamp(timegm(parsed), UTC).isoformat() if parsed else None
    except (ValueError, OverflowError, OSError):
        return None


def _count(told: object) -> int | None:
    """A whole number as a feed writes it; what else it may say, "1.2万" for instance, is nobody's count."""
    return int(told) if isinstance(told, str) and told.isascii() and told.isdecimal() and len(told) <= 12 else None


def _language(tag: object) -> str | None:
    return tag if isinstance(tag, str) and len(tag) <= 35 and _LANG.fullmatch(tag) else None


def _hint(page: str) -> str:
    for link in LexborHTMLParser(page[:_HTML_CHARS]).css('link[rel="alternate"]'):
        kind, address = link.attributes.get("type") or "", link.attributes.get("href")
        if address and kind in ("application/rss+xml", "application/atom+xml", "application/feed+json"):
            return f"; it names {address[:200]} as its feed"
    return ""
