"""Reddit: new posts and comments of communities, with an approved key."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from opinionwatch.connectors.api import Api, secret
from opinionwatch.connectors.entry import Entry
from opinionwatch.connectors.found import Found
from opinionwatch.connectors.oauth import SignedIn
from opinionwatch.connectors.walking import Batch, Dated, Walking, WalkingSettings

LIMIT = 100
LISTED = 900
"""A listing that ends after more than that is cut off, not at its beginning: it holds about 1,000."""
_GONE = ("[deleted]", "[removed]")


class Reddit(Walking):
    """Read the newest posts and comments of communities (subreddits).

    Asks `/r/{a+b}/new` and `/r/{a+b}/comments` of the Data API as an application (client credentials;
    https://www.reddit.com/dev/api, from memory; fields as in r2/r2/lib/jsontemplates.py of reddit-archive/reddit, the
    X-Ratelimit headers as in reddit.com/r/redditdev/comments/1yxrp7, read 2026-11-26). A key has had to be approved
    since the end of 2025, and commercial use needs a contract. 100 requests a minute; the headers are heeded. A listing
    reaches back about 1,000 items: poll more often than a community writes those. Removed and deleted items are handed
    on as deletions, `edited` as a later version. Terms: the Data API terms; `contact` is part of how you are known.

    Delivery: at least once, within the listing; what it no longer held is recorded as a gap. An edit or a deletion is
    seen within `late_s` of the publication.
    """

    kind = "reddit"

    class Settings(WalkingSettings):
        """Settings of a `reddit` source."""

        subreddits: tuple[str, ...] = Field(min_length=1, max_length=50, description="Communities, without r/.")
        what: tuple[Literal["new", "comments"], ...] = Field(
            default=("new", "comments"), min_length=1, description="Posts (new), comments, or both."
        )
        client_id: str = Field(min_length=1, max_length=100, description="The approved app's id.")
        secret_file: Path = Field(description="File whose first line is the app's secret.")
        url: str = Field(default="https://oauth.reddit.com", description="Address of the service.")
        token_url: str = Field(
            default="https://www.reddit.com/api/v1/access_token", description="Where tokens are asked for."
        )

    def __init__(self, name: str, settings: Settings) -> None:
        super().__init__(name, "reddit.com", settings)
        self._given = settings
        key = secret(name, settings.secret_file, "secret_file") or ""
        api = Api(self._client, settings.url)
        self._api = SignedIn(self._client, api, settings.token_url, settings.client_id, key)

    def lanes(self) -> list[str]:
        """Posts and comments of all communities together."""
        where = "+".join(sorted({name.removeprefix("r/").lower() for name in self._given.subreddits}))
        return [f"r/{where}/{what}" for what in dict.fromkeys(self._given.what)]

    def ask(self, lane: str, older: str | None, since: int) -> Batch:
        """A page of a listing; `older` is the fullname of the last item before, and how many there were so far."""
        del since
        name, _, had = (older or "").partition(" ")
        answer = self._api.get(lane, limit=LIMIT, after=name or None, raw_json=1)
        things = answer.list("data.children")
        count, after = int(had or 0) + len(things), answer.text("data.after") if things else None
        reached = things[-1].seconds("data.created_utc") if things else None
        cut = after is None and count >= LISTED
        return Batch(list(_posts(things)), f"{after} {count}" if after else None, reached, cut)


def _posts(things: list[Found]) -> Iterator[Dated]:
    for thing in things:
        post = thing.at("data")
        key, link = post.text("name"), post.text("permalink")
        text = post.text("body") or post.text("selftext") or ""
        if not key:
            continue
        if text in _GONE or post.there("removed_by_category"):
            yield Dated(post.seconds("created_utc"), Entry(key, "", deleted=True))
            continue
        subreddit = post.text("subreddit")
        entry = Entry(
            key,
            text,
            title=post.text("title"),
            author=post.text("author"),
            url=f"https://www.reddit.com{link}" if link and link.startswith("/") else None,
            published_at=post.text("created_utc"),
            source=f"r/{subreddit}"[:64] if subreddit else None,
            edited_at=post.text("edited"),
            likes=post.count("score"),
            replies=post.count("num_comments"),
        )
        if entry.text or entry.title:
            yield Dated(post.seconds("created_utc"), entry)
