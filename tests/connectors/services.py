"""Services that are open to all, imitated: the shapes and the paging of their documentation."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.connectors.imitation import Asked, Told

START = 1_740_000_000
"""When the first post was written."""
STEP_S = 7


def when(number: int) -> int:
    """Seconds since 1970 at which a post was written: several in one second now and then."""
    return START + STEP_S * (number - number % 3)


def iso(number: int) -> str:
    """The same in ISO 8601."""
    return datetime.fromtimestamp(when(number), UTC).isoformat().replace("+00:00", "Z")


@dataclass
class Posts:
    """A service with posts 1…count; subclasses answer for them."""

    count: int
    gone: set[int] = field(default_factory=set)
    token: str | None = None
    """Wanted with every request, if it is set."""
    changed: dict[int, dict[str, object]] = field(default_factory=dict)
    """What posts say otherwise by now: edited, deleted, liked."""

    def __call__(self, asked: Asked) -> Told:
        """Answer a request."""
        if self.token is not None and asked.headers.get("authorization") != f"Bearer {self.token}":
            return Told({"error": "The access token is invalid"}, 401)
        return self.answer(asked)

    def answer(self, asked: Asked) -> Told:
        """Answer a request that is allowed."""
        raise NotImplementedError

    def newest_first(self) -> list[int]:
        """Numbers of the posts there are."""
        return [number for number in range(self.count, 0, -1) if number not in self.gone]


class HackerNewsSearch(Posts):
    """HN Search: at most 1,000 hits a question, cut into pages; times bounded by numericFilters."""

    def answer(self, asked: Asked) -> Told:
        """`/search_by_date`."""
        if asked.path != "/search_by_date":
            return Told({"message": "not found"}, 404)
        bounds = dict(re.findall(r"created_at_i(>=|<=)(-?\d+)", asked.query.get("numericFilters", "")))
        low, high = int(bounds.get(">=", 0)), int(bounds.get("<=", 2**40))
        found = [number for number in self.newest_first() if low <= when(number) <= high]
        size, page = asked.number("hitsPerPage", 20), asked.number("page", 0)
        hits = [
            {**self.hit(number), **self.changed.get(number, {})}
            for number in found[:1000][page * size : (page + 1) * size]
        ]
        return Told({"hits": hits, "page": page, "nbHits": len(found), "nbPages": -(-len(found) // size)})

    @staticmethod
    def hit(number: int) -> dict[str, object]:
        """A story or a comment."""
        common = {"objectID": str(number), "created_at_i": when(number), "author": f"user{number % 5}"}
        if number % 4:
            return {
                **common,
                "comment_text": f"<p>comment {number}&#x27;s text",
                "story_title": "A story",
                "story_id": 4,
            }
        return {**common, "title": f"story {number}", "url": "https://example.org/", "story_text": None}


class MastodonServer(Posts):
    """`GET /api/v1/timelines/tag/:hashtag`, by `max_id`, at most 40."""

    def answer(self, asked: Asked) -> Told:
        """A timeline."""
        found = re.fullmatch(r"/api/v1/timelines/tag/(\w+)", asked.path)
        if found is None:
            return Told({"error": "Record not found"}, 404)
        below = asked.number("max_id", self.count + 1)
        numbers = [number for number in self.newest_first() if number < below][: min(40, asked.number("limit", 20))]
        return Told([self.status(number, found[1]) for number in numbers], headers={"X-RateLimit-Remaining": "299"})

    @staticmethod
    def status(number: int, tag: str) -> dict[str, object]:
        """A Status entity, as far as one needs it."""
        return {
            "id": str(number),
            "uri": f"https://social.example/users/u/statuses/{number}",
            "url": f"https://social.example/@u/{number}",
            "created_at": iso(number),
            "content": f"<p>post {number} on <a href='#'>#{tag}</a></p>",
            "spoiler_text": "",
            "language": "de",
            "reblog": None,
            "account": {"acct": f"user{number % 5}@social.example", "noindex": False},
        }


class DiscourseForum(Posts):
    """`GET /posts.json?before=`: the 50 newest below it; before 2026, what is visible among 50 ids up to it."""

    windows: bool = False

    def answer(self, asked: Asked) -> Told:
        """The latest posts."""
        if asked.path != "/posts.json":
            return Told({"errors": ["not found"], "error_type": "not_found"}, 404)
        before = asked.number("before", self.count + (not self.windows))
        numbers = [number for number in self.newest_first() if number < before][:50]
        if self.windows:
            numbers = [number for number in self.newest_first() if before - 50 < number <= before]
        posts = [{**self.post(number), **self.changed.get(number, {})} for number in numbers]
        return Told({"latest_posts": posts})

    @staticmethod
    def post(number: int) -> dict[str, object]:
        """A post."""
        return {
            "id": number,
            "username": f"user{number % 5}",
            "created_at": iso(number),
            "cooked": f"<p>post {number}, 电池</p>",
            "post_number": 1 + number % 4,
            "topic_id": number // 4,
            "topic_title": f"topic {number // 4}",
            "hidden": False,
            "user_deleted": False,
        }


class StackExchangeSite(Posts):
    """API 2.3: `fromdate`, `todate`, `pagesize`, `has_more`, `backoff`, a quota."""

    backoff: int = 0

    def answer(self, asked: Asked) -> Told:
        """Questions or answers."""
        what = asked.path.removeprefix("/")
        if what not in ("questions", "answers"):
            return Told({"error_id": 404, "error_name": "no_method", "error_message": "no method"}, 404)
        low, high = asked.number("fromdate", 0), asked.number("todate", 2**40)
        found = [n for n in self.newest_first() if low <= when(n) <= high and (n % 2 == 0) == (what == "questions")]
        size = min(100, asked.number("pagesize", 30))
        items = [{**self.item(what, number), **self.changed.get(number, {})} for number in found[:size]]
        told: dict[str, object] = {
            "items": items,
            "has_more": len(found) > size,
            "quota_max": 300,
            "quota_remaining": 9,
        }
        return Told({**told, "backoff": self.backoff} if self.backoff else told)

    @staticmethod
    def item(what: str, number: int) -> dict[str, object]:
        """A question or an answer with its body."""
        key = {"questions": "question_id", "answers": "answer_id"}[what]
        return {
            key: number,
            "title": f"question &amp; {number}",
            "body": f"<p>text {number}</p>",
            "creation_date": when(number),
            "link": f"https://stackoverflow.com/q/{number}",
            "owner": {"display_name": "J&#252;rgen", "user_id": number % 5},
        }


class AppStoreFeed(Posts):
    """Ten pages of 50 reviews a country; an empty page has no entries at all, one review stands bare."""

    def answer(self, asked: Asked) -> Told:
        """A page of reviews."""
        found = re.fullmatch(r"/(\w\w)/rss/customerreviews/page=(\d+)/id=\d+/sortby=mostrecent/json", asked.path)
        if found is None or not 1 <= int(found[2]) <= 10:
            return Told(b"<error>CustomerReviews RSS page depth is limited to 10</error>", 400)
        page = int(found[2])
        numbers = self.newest_first()[50 * (page - 1) : 50 * page]
        entries: list[dict[str, object]] = [
            {**self.review(number, found[1]), **self.changed.get(number, {})} for number in numbers
        ]
        about: dict[str, object] = {"author": {"name": {"label": "iTunes Store"}}, "updated": {"label": iso(1)}}
        if not entries:
            return Told({"feed": about})
        return Told({"feed": {**about, "entry": entries if len(entries) > 1 else entries[0]}})

    @staticmethod
    def review(number: int, country: str) -> dict[str, object]:
        """A review: every value under `label`."""
        values = {
            "id": f"{country}{number}",
            "title": f"title {number}",
            "content": f"评价 {number}",
            "updated": iso(number),
        }
        return {
            **{name: {"label": value} for name, value in values.items()},
            "author": {
                "name": {"label": f"user{number % 5}"},
                "uri": {"label": "https://itunes.apple.com/us/reviews/id1"},
            },
            "im:rating": {"label": str(1 + number % 5)},
        }
