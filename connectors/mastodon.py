"""Mastodon and what speaks its API: public posts with a hashtag."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from pydantic import Field

from opinionwatch.connectors.api import Api, bearer
from opinionwatch.connectors.entry import Entry
from opinionwatch.connectors.found import Found
from opinionwatch.connectors.walking import Batch, Dated, Walking, WalkingSettings

LIMIT = 40


class Mastodon(Walking):
    """Read public posts with hashtags, as one server of the fediverse sees them.

    Asks `GET /api/v1/timelines/tag/:hashtag` and pages by `max_id`
    (https://docs.joinmastodon.org/methods/timelines/#tag, its source of commit 0047897 read 2026-11-26). Many
    servers want a token for it (scope `read:statuses`). 300 requests in five minutes; the X-RateLimit headers are
    heeded. A post is named by its `uri`, so the same post seen through two servers is one document. Boosts are left
    out, and so are posts of accounts that ask not to be indexed (`noindex`). Terms: those of the server; ask its
    owners before you read much.

    Delivery: at least once. A post that reaches the server more than `late_s` after it was written is not seen; an edit
    is a later version if it comes within that time, a deletion is not seen, and figures are those of the first sight.
    """

    kind = "mastodon"

    class Settings(WalkingSettings):
        """Settings of a `mastodon` source."""

        url: str = Field(min_length=8, max_length=2000, description="Address of the server: https://mastodon.social.")
        hashtags: tuple[str, ...] = Field(min_length=1, max_length=100, description="Hashtags, with or without #.")
        token_file: Path | None = Field(default=None, description="File whose first line is an access token.")

    def __init__(self, name: str, settings: Settings) -> None:
        super().__init__(name, "fediverse", settings)
        self.tags = [tag.removeprefix("#").casefold() for tag in settings.hashtags]
        self._api = Api(self._client, settings.url, bearer(name, settings.token_file))

    @property
    def host(self) -> str:
        """The server."""
        return self._api.host

    def streams_at(self) -> str | None:
        """Where the server says that it streams."""
        return self._api.get("api/v2/instance").text("configuration.urls.streaming")

    def lanes(self) -> list[str]:
        """The hashtags."""
        return [f"{self._api.host} #{tag}" for tag in self.tags]

    def ask(self, lane: str, older: str | None, since: int) -> Batch:
        """Posts with a hashtag; `older` is the id of the last one before."""
        del since
        tag = quote(lane.partition("#")[2], safe="")
        posts = self._api.get(f"api/v1/timelines/tag/{tag}", limit=LIMIT, max_id=older).list()
        last = posts[-1].text("id") if posts else None
        reached = posts[-1].seconds("created_at") if posts else None
        return Batch(list(posts_of(posts)), None if last == older else last, reached)


def posts_of(posts: list[Found]) -> Iterator[Dated]:
    """What is to be read in statuses."""
    for post in posts:
        key = post.text("uri")
        if not key or post.there("reblog") or post.flag("account.noindex"):
            continue
        entry = Entry(
            key,
            post.text("content") or "",
            title=post.text("spoiler_text"),
            author=post.text("account.acct"),
            url=post.text("url") or key,
            published_at=post.text("created_at"),
            lang=post.text("language"),
            html=True,
            edited_at=post.text("edited_at"),
            likes=post.count("favourites_count"),
            reposts=post.count("reblogs_count"),
            replies=post.count("replies_count"),
        )
        if entry.text or entry.title:
            yield Dated(post.seconds("created_at"), entry)
