"""RSSHub, imitated: feeds of what a platform shows, guarded by an access code."""

from dataclasses import dataclass, field
from html import escape
from urllib.parse import unquote

from tests.connectors.imitation import Asked, Told


@dataclass
class RssHub:
    """A bridge with one feed at every path."""

    count: int
    code: str | None = None
    first: int = 1
    """The oldest post that is still in the feed."""
    paths: list[str] = field(default_factory=list)
    changed: dict[int, tuple[str, str]] = field(default_factory=dict)
    """What posts say by now, and what else stands in Atom's entries: counts, the time of an edit."""

    def __call__(self, asked: Asked) -> Told:
        """A feed, with an ETag."""
        self.paths.append(unquote(asked.path))
        if self.code is not None and asked.query.get("code") != self.code:
            return Told(b"Authentication failed. Access denied.", 403)
        tag = f'"{self.count}.{len(self.changed)}"'
        if asked.headers.get("if-none-match") == tag:
            return Told(b"", 304)
        if asked.query.get("format") == "atom":
            entries = "".join(self.entry(number) for number in range(self.count, self.first - 1, -1))
            names = "xmlns='http://www.w3.org/2005/Atom' xmlns:rsshub='http://rsshub.app/xml/schemas'"
            feed = f"<feed {names}><title>Weibo</title><language>en</language>{entries}</feed>"
            return Told(feed.encode(), 200, {"ETag": tag, "Content-Type": "application/xml"})
        items = "".join(self.item(number) for number in range(self.count, self.first - 1, -1))
        feed = f"<rss version='2.0'><channel><title>Weibo</title><language>en</language>{items}</channel></rss>"
        return Told(feed.encode(), 200, {"ETag": tag, "Content-Type": "application/xml"})

    def entry(self, number: int) -> str:
        """A post in Atom."""
        text, more = self.changed.get(number, (said(number), ""))
        return (
            f"<entry><title>{text[:12]}...</title><link href='https://weibo.com/1/{number}'/>"
            f"<content type='html' src='https://weibo.com/1/{number}'>{escape(f'<p>{text}<br>#流墨#</p>')}</content>"
            f"<id>https://weibo.com/1/{number}</id><published>2026-03-01T08:00:00.000Z</published>"
            f"<author><name>用户{number % 5}</name></author>{more}</entry>"
        )

    @staticmethod
    def item(number: int) -> str:
        """A post: the title is the beginning of the text, as bridges make them."""
        text = said(number)
        return (
            f"<item><title>{text[:12]}...</title><description>{escape(f'<p>{text}<br>#流墨#</p>')}</description>"
            f"<guid isPermaLink='false'>https://weibo.com/1/{number}</guid><link>https://weibo.com/1/{number}</link>"
            f"<author>用户{number % 5}</author><pubDate>Sun, 01 Mar 2026 08:00:00 GMT</pubDate></item>"
        )


def said(number: int) -> str:
    """What a post says."""
    return f"流墨 {number} 的电池太差了，客服也不回复"
