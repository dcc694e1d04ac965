"""X: the posts of the last seven days that a query finds, and never more of them a day than was allowed."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpcore2
import structlog
from pydantic import Field

from opinionwatch.connectors.api import Api, bearer
from opinionwatch.connectors.cursor import Cursor
from opinionwatch.connectors.entry import Entry
from opinionwatch.connectors.found import Found
from opinionwatch.connectors.hosts import BusyError
from opinionwatch.connectors.http import RefusedError
from opinionwatch.connectors.polling import Polling, PollingSettings, forgotten, until_midnight_s
from opinionwatch.connectors.walking import digest_of
from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.ports import Item, Page

REACH_S = 7 * 86_400 - 60
"""How far back the service searches; an older `since_id` is an error."""
_FIELDS = "created_at,lang,author_id,public_metrics,edit_history_tweet_ids"
EPOCH_MS = 1_288_834_974_657
LEAST, MOST = 10, 100
"""Posts that one question may ask for."""
log = structlog.get_logger(__name__)


class X(Polling):
    """Read recent posts of X by a search query. Every read costs money, so a hard cap a day has to be set.

    Asks `GET /2/tweets/search/recent`, newest first, with `since_id` and `next_token`
    (https://docs.x.com/x-api/posts/search-recent-posts, its pages on pagination,
    https://docs.x.com/fundamentals/rate-limits, https://docs.x.com/x-api/fundamentals/edit-posts and
    https://developer.x.com/en/docs/x-api/fields read 2026-11-26). Reads are counted in the cursor, and as many as an
    answer may bring are counted before it is asked for, so that not even a crash reads more than `reads_per_day` (a day
    is one of UTC); a refusal brings none and gives them back. The cost is in the log after each poll and in `source
    check`. Terms: the X developer agreement; posts that were deleted there have to go here, too, so keep the retention
    short.

    History: none to bring. The first poll goes back the seven days that the service shows, and a second reader would
    spend reads beside the cap.

    Delivery: at least once, within seven days (what is older is recorded as a gap) and the cap. When the cap is spent,
    the rest is read the next day. Every edit is a post of its own there; it is handed on as a later version of the
    first one in its `edit_history_tweet_ids`, with `public_metrics` as they are then. A deletion is not seen.
    """

    kind = "x"

    class Settings(PollingSettings):
        """Settings of an `x` source."""

        query: str = Field(min_length=1, max_length=4096, description="What to search for, in X's own language.")
        token_file: Path = Field(description="File whose first line is the bearer token of your app.")
        reads_per_day: int = Field(ge=LEAST, description="At most so many posts are read, and paid for, a day.")
        usd_per_read: float = Field(
            default=0.005, ge=0, description="Price of a read, to show the cost; see your plan."
        )
        interval_s: float = Field(default=900.0, ge=15, le=86_400, description="Seconds between polls.")
        url: str = Field(default="https://api.x.com", description="Address of the service.")

    def __init__(self, name: str, settings: Settings) -> None:
        super().__init__(name, "x.com", settings)
        self._given = settings
        self._of = digest_of(settings.query)
        self._api = Api(self._client, settings.url, bearer(name, settings.token_file))

    def fetch(self, cursor: str | None) -> Iterator[Page]:
        """One poll: from the newest post down to the newest of the poll before."""
        now = int(time.time())
        here = _Cursor.read(cursor) or _Cursor(of=self._of)
        if here.of != self._of:  # another query: nothing but what was spent
            here = _Cursor(of=self._of, day=here.day, reads=here.reads)
        missed = forgotten(here.had, REACH_S, "the search reaches back seven days")
        if missed:
            here = _Cursor(of=self._of, day=here.day, reads=here.reads)
        if here.older is None:
            here = here.model_copy(update={"began": now})
        while not self._closing.is_set():
            today = datetime.now(UTC).date().isoformat()
            spent = here.reads if here.day == today else 0
            most = min(MOST, self._given.reads_per_day - spent)
            if most < LEAST:
                raise RetryableError(f"the day's reads are spent: {self._cost(spent)}", until_midnight_s())
            # Durable before the question is asked, because the loop goes on only then.
            yield Page([], here.model_copy(update={"day": today, "reads": spent + most}).model_dump_json(), missed)
            missed = []
            try:
                answer = self._ask(here, most)
            except RetryableError as error:
                if _read_nothing(error):
                    yield Page([], here.model_copy(update={"day": today, "reads": spent}).model_dump_json())
                raise
            here = here.after(answer, today, spent)
            items = [Item(entry.body()) for post in reversed(answer.each("data")) if (entry := _entry(post))]
            yield Page(items, here.model_dump_json())
            if here.older is None:
                log.info("x.reads", source=self.name, today=self._cost(here.reads))
                return

    def _ask(self, here: "_Cursor", most: int) -> Found:
        return self._api.get(
            "2/tweets/search/recent",
            query=self._given.query,
            max_results=most,
            since_id=here.since_id,
            next_token=here.older,
            **{"tweet.fields": _FIELDS},
        )

    def check(self) -> str:
        """Whether the token works, and what a day may cost. Asks how often the query is found, which reads no post."""
        self._api.get("2/tweets/counts/recent", query=self._given.query, granularity="day").list("data")
        return f"the token works; a day may cost {self._cost(self._given.reads_per_day)}"

    def _cost(self, reads: int) -> str:
        return f"{reads:,} reads, {reads * self._given.usd_per_read:.2f} USD"


class _Cursor(Cursor):
    """What was read, and what it cost today."""

    whose = "X"
    of: str
    since: str | None = None
    """The newest post of the last finished walk."""
    newest: str | None = None
    """The newest post of this walk."""
    older: str | None = None
    """Where this walk goes on."""
    began: int = 0
    """When this walk began, in seconds since 1970."""
    had: int = 0
    """When the last finished walk began: everything before was delivered."""
    day: str = ""
    reads: int = Field(default=0, ge=0)

    @property
    def since_id(self) -> str | None:
        """After which post to ask; None when it is older than the service searches, for it would refuse that."""
        made = _made_at(self.since) if self.since else None
        return self.since if made is None or float(made) > time.time() - REACH_S else None

    def after(self, answer: Found, day: str, spent: int) -> "_Cursor":
        """With an answer taken. Raises RetryableError when it is none."""
        count = answer.demand("meta").number("result_count")
        posts = answer.list("data") if count != 0 else []
        newest = self.newest or answer.text("meta.newest_id")
        older = answer.text("meta.next_token")
        if older is not None:
            return self.model_copy(update={"newest": newest, "older": older, "day": day, "reads": spent + len(posts)})
        since = newest or self.since
        return _Cursor(of=self.of, since=since, had=self.began, day=day, reads=spent + len(posts))


def _read_nothing(error: RetryableError) -> bool:
    """Whether no post can have been read and billed: it was refused, not its turn, or the service was not reached."""
    unreached = isinstance(error.__cause__, httpcore2.ConnectError | httpcore2.ConnectTimeout)
    return unreached or isinstance(error, BusyError | RefusedError)


def _made_at(key: str) -> str | None:
    """When an id was given: its upper bits are milliseconds since the epoch of these ids."""
    return str(((int(key) >> 22) + EPOCH_MS) / 1000) if key.isascii() and key.isdecimal() and len(key) < 20 else None


def _entry(post: Found) -> Entry | None:
    key, text = post.text("id"), post.text("text")
    if not key or not text:
        return None
    lang = post.text("lang")
    first = post.text("edit_history_tweet_ids.0") or key
    return Entry(
        first,
        text,
        author=post.text("author_id"),
        url=f"https://x.com/i/web/status/{key}",
        published_at=post.text("created_at") if first == key else _made_at(first),
        lang=None if lang in ("und", "zxx", "qme", "qht", "qam", "qct", "qst") else lang,
        edited_at=post.text("created_at") if first != key else None,
        likes=post.count("public_metrics.like_count"),
        reposts=post.count("public_metrics.retweet_count"),
        replies=post.count("public_metrics.reply_count"),
    )
