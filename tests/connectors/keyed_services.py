"""Services that want a key, imitated: signing in, quotas, paging."""

import json
import time
from base64 import b64decode
from itertools import count

from tests.connectors.imitation import Asked, Told
from tests.connectors.services import Posts, iso, when


class RedditApi(Posts):
    """OAuth2 for applications, and listings of at most 100 of the newest 1,000."""

    secret: str = "s3cret"
    revoked = False

    def __call__(self, asked: Asked) -> Told:
        """Sign in, or list."""
        if asked.path == "/api/v1/access_token":
            given = b64decode(asked.headers.get("authorization", "").removeprefix("Basic ")).decode()
            if asked.method != "POST" or given != f"app:{self.secret}" or b"client_credentials" not in asked.body:
                return Told({"message": "Unauthorized", "error": 401}, 401)
            self.token = f"token-{next(_NUMBERS)}"
            return Told({"access_token": self.token, "token_type": "bearer", "expires_in": 86_400, "scope": "*"})
        if self.token is None:
            return Told({"message": "Unauthorized", "error": 401}, 401)
        return super().__call__(asked)

    def answer(self, asked: Asked) -> Told:
        """`/r/a+b/new` has the posts with even numbers, `/r/a+b/comments` the others."""
        kind = {"new": "t3", "comments": "t1"}.get(asked.path.rpartition("/")[2])
        if kind is None:
            return Told({"message": "Not Found", "error": 404}, 404)
        listing = [n for n in self.newest_first() if (n % 2 == 0) == (kind == "t3")][:1000]
        after = asked.query.get("after")
        start = listing.index(int(after.partition("_")[2])) + 1 if after else 0
        numbers = listing[start : start + min(100, asked.number("limit", 25))]
        more = start + len(numbers) < len(listing)
        children = [
            {"kind": kind, "data": {**self.thing(kind, number), **self.changed.get(number, {})}} for number in numbers
        ]
        data = {"children": children, "after": f"{kind}_{numbers[-1]}" if more else None, "before": None}
        return Told({"kind": "Listing", "data": data}, headers={"x-ratelimit-remaining": "98.0"})

    @staticmethod
    def thing(kind: str, number: int) -> dict[str, object]:
        """A link (t3) or a comment (t1)."""
        common: dict[str, object] = {
            "name": f"{kind}_{number}",
            "author": f"user{number % 5}",
            "created_utc": float(when(number)),
            "permalink": f"/r/lumora/comments/{number}/x/",
            "subreddit": "lumora",
        }
        if kind == "t1":
            return {**common, "body": f"comment {number}"}
        return {**common, "title": f"post {number}", "selftext": "", "removed_by_category": None}


_NUMBERS = count()


class YouTubeApi(Posts):
    """`commentThreads.list`: pages of 100 by opaque tokens; reasons stand in the errors."""

    key: str = "k"
    shut: str | None = None
    spent = False

    def answer(self, asked: Asked) -> Told:
        """Comment threads of a video or a channel."""
        if asked.path != "/commentThreads" or asked.query.get("key") != self.key:
            return self.refuse(400, "badRequest")
        of = asked.query.get("videoId") or asked.query.get("allThreadsRelatedToChannelId") or ""
        if self.spent:
            return self.refuse(403, "quotaExceeded")
        if of == self.shut:
            return self.refuse(403, "commentsDisabled")
        token = asked.query.get("pageToken", "p0")
        if not token.startswith("p"):
            return self.refuse(400, "invalidPageToken")
        start = int(token[1:])
        numbers = self.newest_first()[start : start + min(100, asked.number("maxResults", 20))]
        told: dict[str, object] = {"kind": "youtube#commentThreadListResponse"}
        told["items"] = [self.changed.get(number) or self.thread(of, number) for number in numbers]
        end = start + len(numbers)
        return Told({**told, "nextPageToken": f"p{end}"} if end < len(self.newest_first()) else told)

    @staticmethod
    def refuse(status: int, reason: str) -> Told:
        """An error as Google writes them."""
        error = {"code": status, "message": "…", "errors": [{"domain": "youtube", "reason": reason}]}
        return Told({"error": error}, status)

    @classmethod
    def thread(cls, of: str, number: int) -> dict[str, object]:
        """A thread, with a reply now and then."""
        top = cls.comment(of, f"{of}-{number}", number)
        replies = {"replies": {"comments": [cls.comment(of, f"{of}-{number}.r", number)]}} if number % 10 == 0 else {}
        return {"id": f"{of}-{number}", "snippet": {"videoId": of, "topLevelComment": top}, **replies}

    @staticmethod
    def comment(of: str, key: str, number: int) -> dict[str, object]:
        """A comment resource."""
        snippet = {
            "textOriginal": f"comment {number} 很好",
            "authorDisplayName": f"@user{number % 5}",
            "authorChannelId": {"value": f"UC{number % 5}"},
            "publishedAt": iso(number),
            "videoId": of,
        }
        return {"id": key, "snippet": snippet}


class XApi(Posts):
    """Recent search: ids hold their time, `since_id` is exclusive and no older than a week, `next_token` walks back;
    every post is billed.
    """

    billed: int = 0
    first: int = int((time.time() - 3600) * 1000) - 1_288_834_974_657 << 22
    """What the number of a post is counted from in its id; all are of the hour before these tests."""

    def answer(self, asked: Asked) -> Told:
        """`/2/tweets/search/recent` and `/2/tweets/counts/recent`."""
        if asked.path == "/2/tweets/counts/recent":
            return Told({"data": [{"tweet_count": self.count}], "meta": {"total_tweet_count": self.count}})
        most = asked.number("max_results", 10)
        if asked.path != "/2/tweets/search/recent" or not 10 <= most <= 100 or not asked.query.get("query"):
            return Told({"title": "Invalid Request", "type": "https://api.x.com/2/problems/invalid-request"}, 400)
        since = asked.number("since_id", self.first)
        if (since >> 22) + 1_288_834_974_657 < (time.time() - 7 * 86_400) * 1000:
            return Told({"title": "Invalid Request", "detail": "'since_id' must be an id created after …"}, 400)
        below = int(json.loads(asked.query["next_token"])) if asked.query.get("next_token") else self.count + 1
        found = [n for n in self.newest_first() if since - self.first < n < below]
        numbers = found[:most]
        self.billed += len(numbers)
        meta: dict[str, object] = {"result_count": len(numbers)}
        if not numbers:
            return Told({"meta": meta})
        meta |= {"newest_id": self.id_of(numbers[0]), "oldest_id": self.id_of(numbers[-1])}
        if len(found) > most:
            meta["next_token"] = str(numbers[-1])
        return Told(
            {"data": [{**self.post(number), **self.changed.get(number, {})} for number in numbers], "meta": meta}
        )

    @classmethod
    def id_of(cls, number: int) -> str:
        """The id of a post."""
        return str(cls.first + number)

    @classmethod
    def post(cls, number: int) -> dict[str, object]:
        """A post."""
        lang = "zh" if number % 2 else "und"
        told = {"id": cls.id_of(number), "text": f"帖子 {number}", "created_at": iso(number)}
        return {**told, "lang": lang, "author_id": "7"}
