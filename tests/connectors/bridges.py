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
    paths: list[str] = field(default_factory=list)

    def __call__(self, asked: Asked) -> Told:
        """A feed, with an ETag."""
        self.paths.append(unquote(asked.path))
        if self.code is not None and asked.query.get("code") != self.code:
            return Told(b"Authentication failed. Access denied.", 403)
        if asked.headers.get("if-none-match") == f'"{self.count}"':
            return Told(b"", 304)
        items = "".join(self.item(number) for number in range(self.count, 0, -1))
        feed = f"<rss version='2.0'><channel><title>Weibo</title><language>en</language>{items}</channel></rss>"
        return Told(feed.encode(), 200, {"ETag": f'"{self.count}"', "Content-Type": "application/xml"})

    @staticmethod
    def item(number: int) -> str:
        """A post: the title is the beginning of the text, as bridges make them."""
        text = f"流墨 {number} 的电池太差了，客服也不回复"
        return (
            f"<item><title>{text[:12]}...</title><description>{escape(f'<p>{text}<br>#流墨#</p>')}</description>"
            f"<guid isPermaLink='false'>https://weibo.com/1/{number}</guid><link>https://weibo.com/1/{number}</link>"
            f"<author>用户{number % 5}</author><pubDate>Sun, 01 Mar 2026 08:00:00 GMT</pubDate></item>"
        )
