"""Discourse: the forums that many makers run for their users."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from opinionwatch.connectors.api import Api, secret
from opinionwatch.connectors.entry import Entry
from opinionwatch.connectors.found import Found
from opinionwatch.connectors.walking import Batch, Dated, Walking, WalkingSettings

WINDOW = 50
LIKE = 2
"""The number that a like has among a post's actions."""


class Discourse(Walking):
    """Read the posts of a Discourse forum.

    Asks `GET /posts.json?before=ID` (https://docs.discourse.org/, "List latest posts across topics"; the server's
    `posts_controller.rb` of commit 002becf, `latest_posts_query.rb` and `post_serializer.rb`, read 2026-11-26). Forums
    of 2026 answer the 50 newest below that id; older ones what is visible in a window of 50 ids up to it and including
    it, so their answer may be empty although older posts exist. The walk does right by both. Open forums need no key.
    Posts marked as deleted are handed on as deletions, those of a `version` above 1 as edited at their `updated_at`;
    hidden ones, which may come back, are left out. Terms: those of the forum; name a `contact`.

    Delivery: at least once. An edit or a deletion is seen within `late_s` of the publication; without the key of staff
    a forum shows deleted posts to nobody.
    """

    kind = "discourse"

    class Settings(WalkingSettings):
        """Settings of a `discourse` source."""

        url: str = Field(min_length=8, max_length=2000, description="Address of the forum: https://meta.discourse.org.")
        key_file: Path | None = Field(default=None, description="File whose first line is an API key, where needed.")
        user: str = Field(default="system", max_length=100, description="User that the key belongs to.")

    def __init__(self, name: str, settings: Settings) -> None:
        key = secret(name, settings.key_file, "key_file")
        headers = {"api-key": key, "api-username": settings.user} if key else {}
        self._url = settings.url.rstrip("/")
        super().__init__(name, self._url, settings)
        self._api = Api(self._client, settings.url, headers)

    def lanes(self) -> list[str]:
        """One: the forum."""
        return [self._url]

    def ask(self, lane: str, older: str | None, since: int) -> Batch:
        """The posts up to the id `older`, perhaps without it."""
        del lane, since
        posts = self._api.get("posts.json", before=older).list("latest_posts")
        ids = [int(number) for post in posts if (number := post.number("id")) is not None]
        last = int(older) if older else None
        # The id itself and not the one below it, which a forum that leaves out `before` would never show.
        below = min(ids) if ids and (last is None or min(ids) < last) else last - WINDOW if last else 0
        # The latest, because a split topic gives an old post a new id: not all that is below it is older.
        reached = max((at for post in posts if (at := post.seconds("created_at")) is not None), default=None)
        return Batch(list(self._posts(posts)), str(below) if below > 0 else None, reached)

    def _posts(self, posts: list[Found]) -> Iterator[Dated]:
        for post in posts:
            key = post.text("id")
            if key and (post.flag("user_deleted") or post.there("deleted_at")):
                yield Dated(post.seconds("created_at"), Entry(key, "", deleted=True))
                continue
            if not key or post.flag("hidden"):
                continue
            first = post.number("post_number") == 1
            topic, number = post.text("topic_id"), post.text("post_number")
            likes = [action.count("count") for action in post.each("actions_summary") if action.number("id") == LIKE]
            entry = Entry(
                key,
                post.text("cooked") or "",
                title=post.text("topic_html_title") or post.text("topic_title") if first else None,
                author=post.text("username"),
                url=f"{self._url}/t/{topic}/{number}" if topic and number else None,
                published_at=post.text("created_at"),
                html=True,
                edited_at=post.text("updated_at") if (post.number("version") or 1) > 1 else None,
                likes=next(iter(likes), None),
                replies=post.count("reply_count"),
            )
            if entry.text or entry.title:
                yield Dated(post.seconds("created_at"), entry)
