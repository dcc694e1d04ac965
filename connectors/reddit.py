"""Reddit: new posts and comments of communities, with an approved key."""

import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from opinionwatch.connectors.api import Api, secret
from opinionwatch.connectors.entry import Entry
from opinionwatch.connectors.found import Found
from opinionwatch.connectors.http import RefusedError
from opinionwatch.connectors.walking import Batch, Dated, Walking, WalkingSettings

LIMIT = 100
_MARGIN_S = 60
_GONE = ("[deleted]", "[removed]")


class Reddit(Walking):
    """Read the newest posts and comments of communities (subreddits).

    Asks `/r/{a+b}/new` and `/r/{a+b}/comments` of the Data API as an application (client credentials;
    https://www.reddit.com/dev/api and https://github.com/reddit-archive/reddit/wiki/OAuth2, from memory, 2026-11-26).
    A key has had to be approved since the end of 2025, and commercial use needs a contract. 100 requests a minute; the
    X-Ratelimit headers are heeded. A listing reaches back about 1,000 items: poll more often than a community writes
    those. Removed and deleted items are left out. Terms: the Data API terms; `contact` is part of how you are known.

    Delivery: at least once, within the listing. A later edit or deletion is not seen.
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
        key = secret(name, settings.secret_file, "secret_file")
        pair = f"{settings.client_id}:{key.get_secret_value() if key else ''}"
        self._basic = f"Basic {b64encode(pair.encode()).decode()}"
        self._api = Api(self._client, settings.url)
        self._token: tuple[str, float] | None = None

    def lanes(self) -> list[str]:
        """Posts and comments of all communities together."""
        where = "+".join(sorted({name.removeprefix("r/").lower() for name in self._given.subreddits}))
        return [f"r/{where}/{what}" for what in dict.fromkeys(self._given.what)]

    def ask(self, lane: str, older: str | None, since: int) -> Batch:
        """A page of a listing; `older` is the fullname of the last item before."""
        del since
        try:
            answer = self._listing(lane, older)
        except RefusedError as error:
            if error.status != 401:
                raise
            self._token = None  # revoked before its time
            answer = self._listing(lane, older)
        things = answer.list("data.children")
        reached = things[-1].seconds("data.created_utc") if things else None
        return Batch(list(_posts(things)), answer.text("data.after") if things else None, reached)

    def _listing(self, lane: str, older: str | None) -> Found:
        if self._token is None or self._token[1] < time.monotonic():
            self._token = self._sign_in()
        api = self._api.with_headers({"authorization": f"Bearer {self._token[0]}"})
        return api.get(lane, limit=LIMIT, after=older, raw_json=1)

    def _sign_in(self) -> tuple[str, float]:
        headers = {"authorization": self._basic, "content-type": "application/x-www-form-urlencoded"}
        answer = self._client.post(self._given.token_url, b"grant_type=client_credentials", headers)
        token = Found.read(answer.body, "reddit.com").demand("")
        lasts_s = token.number("expires_in") or 3600.0
        return token.need("access_token"), time.monotonic() + max(0.0, lasts_s - _MARGIN_S)


def _posts(things: list[Found]) -> Iterator[Dated]:
    for thing in things:
        post = thing.at("data")
        key, link = post.text("name"), post.text("permalink")
        text = post.text("body") or post.text("selftext") or ""
        if not key or text in _GONE or post.there("removed_by_category"):
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
        )
        if entry.text or entry.title:
            yield Dated(post.seconds("created_utc"), entry)
