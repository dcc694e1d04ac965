"""Stack Exchange: questions, answers and comments of one of its sites."""

import html
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from opinionwatch.connectors.api import Api, Param, secret
from opinionwatch.connectors.entry import Entry
from opinionwatch.connectors.found import Found
from opinionwatch.connectors.http import RefusedError
from opinionwatch.connectors.polling import until_midnight_s
from opinionwatch.connectors.walking import Batch, Dated, Walking, WalkingSettings, down_to
from opinionwatch.pipeline.errors import RetryableError

_NEWEST: Mapping[str, Param] = {"order": "desc", "sort": "creation", "pagesize": 100, "filter": "withbody"}
_AVAILABLE = re.compile(rb"available in (\d{1,6}) seconds")
BACKOFF_S = 60.0
"""How long to leave it alone when it says that we have not waited, but not for how long we should have."""
_KEY = {"questions": "question_id", "answers": "answer_id", "comments": "comment_id"}


class StackExchange(Walking):
    """Read the newest questions, answers and comments of a Stack Exchange site.

    Asks `/questions`, `/answers`, `/comments` of API 2.3 with `fromdate` and `todate`, newest first, texts included
    (`filter=withbody`; https://api.stackexchange.com/docs/throttle, its errors in meta.stackexchange.com/q/256691 and
    issue 6 of mudassir0909/stackoverflow-card, read 2026-11-26; fields from secondary pages). 300 requests a day
    without a key, 10,000 with one: with three kinds and an `interval_s` of 900 a day takes 288. `backoff` in an answer
    is heeded. A `throttle_violation` says "Violation of backoff parameter", or that too many requests came from this
    address, and mostly in how many seconds there are more: so long it rests. Terms: contents are CC BY-SA; link to the
    source, as the documents do. `last_edit_date` makes a later version.

    Delivery: at least once. An edit is seen within `late_s` of the publication, a deletion never.
    """

    kind = "stackexchange"

    class Settings(WalkingSettings):
        """Settings of a `stackexchange` source."""

        site: str = Field(
            pattern=r"^[a-z0-9.]{1,60}$", description="The site: stackoverflow, superuser, zh.stackoverflow."
        )
        what: tuple[Literal["questions", "answers", "comments"], ...] = Field(
            default=("questions", "answers"), min_length=1, description="Which kinds of posts."
        )
        tag: str | None = Field(default=None, max_length=100, description="Only questions with this tag.")
        key_file: Path | None = Field(default=None, description="File whose first line is the key of your app.")
        interval_s: float = Field(default=900.0, ge=60, le=86_400, description="Seconds between polls.")
        url: str = Field(default="https://api.stackexchange.com/2.3", description="Address of the service.")

    def __init__(self, name: str, settings: Settings) -> None:
        super().__init__(name, settings.site, settings)
        self._given = settings
        key = secret(name, settings.key_file, "key_file")
        self._api = Api(self._client, settings.url, always={**_NEWEST, "site": settings.site, "key": key})

    def lanes(self) -> list[str]:
        """Kinds of posts."""
        tag = self._given.tag
        return [f"{what} [{tag}]" if tag and what == "questions" else what for what in self._given.what]

    def ask(self, lane: str, older: str | None, since: int) -> Batch:
        """Posts down to `since`; `older` is the second of the last one before."""
        what = lane.partition(" ")[0]
        try:
            tag = self._given.tag if what == "questions" else None
            answer = self._api.get(what, fromdate=max(0, since), todate=older, tagged=tag)
        except RefusedError as error:
            if b"throttle_violation" in error.said and error.after_s is None:
                raise _throttled(error) from error
            raise
        posts = answer.list("items")
        self._client.learn(answer.number("quota_remaining"), answer.number("quota_max"))
        backoff = answer.number("backoff")
        if backoff and (answer.flag("has_more") or backoff > self._given.interval_s):
            # The service says so in the body. The batch is not lost: the walk asks for it again after the wait.
            self._client.pause(self._api.host, backoff)
        last = posts[-1].seconds("creation_date") if posts and answer.flag("has_more") else None
        return Batch(list(_posts(what, posts)), down_to(last, older))


def _throttled(error: RefusedError) -> RetryableError:
    if b"backoff" in error.said:
        return RetryableError(f"{error}: it wants to be left alone for a while", BACKOFF_S)
    told = _AVAILABLE.search(error.said)
    return RetryableError(f"{error}: the day's quota is spent", float(told[1]) if told else until_midnight_s())


def _posts(what: str, posts: list[Found]) -> Iterator[Dated]:
    for post in posts:
        key, title = post.text(_KEY[what]), post.text("title")
        if not key:
            continue
        entry = Entry(
            f"{what[0]}{key}",
            post.text("body") or "",
            title=title if what == "questions" else None,
            author=html.unescape(post.text("owner.display_name") or "") or None,
            url=post.text("link"),
            published_at=post.text("creation_date"),
            html=True,
            edited_at=post.text("last_edit_date"),
            likes=post.count("score"),
            replies=post.count("answer_count"),
        )
        if entry.text or entry.title:
            yield Dated(post.seconds("creation_date"), entry)
