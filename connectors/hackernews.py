"""Hacker News: stories and comments, by the search service that the site itself links to."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from opinionwatch.connectors.api import Api
from opinionwatch.connectors.entry import Entry
from opinionwatch.connectors.found import Found
from opinionwatch.connectors.walking import Batch, Dated, Walking, WalkingSettings, down_to

HITS = 200


class HackerNews(Walking):
    """Read stories and comments of Hacker News, all of them or those that a search finds.

    Asks `search_by_date` of the HN Search API (https://hn.algolia.com/api, read in its source,
    app/assets/templates/api.html.haml of algolia/hn-search; its limit of 1,000 hits in issue 230 there; 2026-11-26).
    That service gives at most 1,000 hits a question, so the walk back goes by time and not by page number. No key;
    10,000 requests an hour. Terms: the API is public; name Hacker News and link to the item, as the documents do.

    What is marked `deleted` or `dead`, as in Hacker News' own API (its documentation of the search names neither), is
    handed on as a deletion; a story's points and number of comments are its figures.

    Delivery: at least once. What the search service indexes more than `late_s` after its time is not seen, a deletion
    within that time if the service still shows the item; of edits it says nothing.
    """

    kind = "hackernews"

    class Settings(WalkingSettings):
        """Settings of a `hackernews` source."""

        query: str = Field(default="", max_length=500, description="Words to search for; empty: everything.")
        what: tuple[Literal["story", "comment", "poll"], ...] = Field(
            default=("story", "comment"), min_length=1, description="Which items."
        )
        url: str = Field(default="https://hn.algolia.com/api/v1", description="Address of the search service.")

    def __init__(self, name: str, settings: Settings) -> None:
        super().__init__(name, "news.ycombinator.com", settings)
        self._query = settings.query
        self._tags = f"({','.join(sorted(set(settings.what)))})"
        self._api = Api(self._client, settings.url)

    def lanes(self) -> list[str]:
        """One: the search."""
        return [f"{self._tags} {self._query}"]

    def ask(self, lane: str, older: str | None, since: int) -> Batch:
        """Hits down to `since`; `older` is the second of the last hit before."""
        del lane
        before = f",created_at_i<={older}" if older else ""
        answer = self._api.get(
            "search_by_date",
            query=self._query,
            tags=self._tags,
            hitsPerPage=HITS,
            numericFilters=f"created_at_i>={since}{before}",
        )
        hits = answer.list("hits")
        last = hits[-1].seconds("created_at_i") if len(hits) >= HITS else None
        return Batch(list(_posts(hits)), down_to(last, older))


def _posts(hits: list[Found]) -> Iterator[Dated]:
    for hit in hits:
        key = hit.text("objectID")
        text = hit.text("comment_text") or hit.text("story_text") or ""
        # A comment's story is context, not what was said.
        title = None if hit.there("comment_text") else hit.text("title")
        if key and (hit.flag("deleted") or hit.flag("dead")):
            yield Dated(hit.seconds("created_at_i"), Entry(key, "", deleted=True))
        elif key and (text or title):
            entry = Entry(
                key,
                text,
                title=title,
                author=hit.text("author"),
                url=f"https://news.ycombinator.com/item?id={key}",
                published_at=hit.text("created_at_i"),
                html=True,
                likes=hit.count("points"),
                replies=hit.count("num_comments"),
            )
            yield Dated(hit.seconds("created_at_i"), entry)
