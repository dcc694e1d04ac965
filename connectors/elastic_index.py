"""Elasticsearch: the documents of an index of yours, in the order of a time field."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Self
from urllib.parse import quote

from pydantic import Field, model_validator

from opinionwatch.connectors.api import Api, basic, bearer, secret
from opinionwatch.connectors.backfill import passed
from opinionwatch.connectors.cursor import Cursor
from opinionwatch.connectors.found import Found
from opinionwatch.connectors.polling import Polling, PollingSettings
from opinionwatch.connectors.renames import Renames
from opinionwatch.connectors.walking import digest_of
from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.ports import Item, Page

KEEP = "1m"
"""So long the cluster keeps a point in time between two questions."""
SEEN = 5_000


class ElasticIndex(Polling):
    """Read the documents of an Elasticsearch index, alias or pattern as they are added.

    Opens a point in time, so that a poll sees one state of the index, and pages by `search_after` over the time field
    and `_shard_doc`
    (https://www.elastic.co/docs/reference/elasticsearch/rest-apis/paginate-search-results, read 2026-11-26;
    run against a real 8.19). Needs the privilege `read` on the index, nothing else. The cursor is the newest time and
    what was delivered within `late_s` of it. `fields` says where our fields stand in `_source`; the id is `_id`. A time
    field that is set on indexing (`event.ingested`) is better than one that its writer sets.

    Delivery: at least once. A document that becomes visible more than `late_s` after its time is not seen; an update
    that leaves the time as it is, and a deletion, neither.
    """

    kind = "elasticsearch"

    class Settings(PollingSettings):
        """Settings of an `elasticsearch` source."""

        url: str = Field(min_length=8, max_length=1000, description="Address of the cluster: https://es.internal:9200.")
        index: str = Field(
            min_length=1, max_length=255, pattern=r"^[^\s/?#,\"]+$", description="Index, alias or pattern."
        )
        time_field: str = Field(default="@timestamp", min_length=1, max_length=300, description="Date field to go by.")
        fields: Renames = Field(description="Where our fields stand in the document: {text: message.body}.")
        api_key_file: Path | None = Field(default=None, description="File whose first line is an API key (base64).")
        user: str | None = Field(default=None, max_length=200, description="User, instead of an API key.")
        password_file: Path | None = Field(default=None, description="File whose first line is the user's password.")
        page_items: int = Field(default=500, ge=1, le=1000, description="Documents asked for at once.")
        history_h: float = Field(default=24.0, ge=0, le=1_000_000, description="Hours that the first poll looks back.")
        late_s: int = Field(default=60, ge=0, le=86_400, description="Seconds by which a document may be visible late.")

        @model_validator(mode="after")
        def _is_whole(self) -> Self:
            if "text" not in self.fields:
                raise ValueError("fields: say where the text stands: {text: message}")
            if (self.user is None) != (self.password_file is None):
                raise ValueError("user and password_file belong together")
            if self.user is not None and self.api_key_file is not None:
                raise ValueError("give either user and password_file or api_key_file")
            return self

    def __init__(self, name: str, settings: Settings) -> None:
        super().__init__(name, settings.index, settings)
        self._given = settings
        headers = bearer(name, settings.api_key_file, "api_key_file", "ApiKey")
        password = secret(name, settings.password_file, "password_file")
        if password:
            headers = basic(settings.user or "", password)
        self._api = Api(self._client, settings.url, headers)
        inner = {field: f"_source.{path}" for field, path in settings.fields.items()}
        self._fields = tuple({"native_id": "_id", "published_at": f"_source.{settings.time_field}", **inner}.items())

    def fetch(self, cursor: str | None) -> Iterator[Page]:
        """One poll: what was added, oldest first."""
        start = int((time.time() - self._given.history_h * 3600) * 1000)
        place = _Place.read(cursor) or _Place(top_ms=start)
        late_ms = self._given.late_s * 1000
        index = quote(self._given.index, safe="*")
        pit = self._api.post(f"{index}/_pit", {}, keep_alive=KEEP).need("id")
        asked: dict[str, object] = {
            "size": self._given.page_items,
            "track_total_hits": False,
            "query": {"range": {self._given.time_field: {"gte": place.top_ms - late_ms, "format": "epoch_millis"}}},
            "sort": [{self._given.time_field: {"order": "asc", "format": "epoch_millis"}}, {"_shard_doc": "asc"}],
        }
        while not self._closing.is_set():
            answer = self._api.post("_search", {**asked, "pit": {"id": pit, "keep_alive": KEEP}})
            if answer.flag("timed_out") or answer.number("_shards.failed"):
                raise RetryableError(f"{self._api.host}: only part of the index answered")
            hits = answer.list("hits.hits")
            fresh, after = place.taking(hits, late_ms)
            if fresh:
                place = after
                items = [Item(hit.raw(), fields=self._fields) for hit in fresh]
                yield Page(items, place.model_dump_json())
            if len(hits) < self._given.page_items:
                return
            pit = answer.text("pit_id") or pit
            asked["search_after"] = [part.value() for part in hits[-1].list("sort")]

    def backfill(self, since: datetime, cursor: str | None) -> Iterator[Page]:
        """What the index holds from `since` on, oldest first; the cursor is that of a poll."""
        floor, now_ms = int(since.timestamp() * 1000), int(time.time() * 1000)
        for page in self.fetch(cursor or _Place(top_ms=floor).model_dump_json()):
            place = _Place.read(page.cursor)
            yield replace(page, share=passed(floor, now_ms, place.top_ms if place else floor))

    def check(self) -> str:
        """Whether we may read the index, and how many documents it holds."""
        count = self._api.get(f"{quote(self._given.index, safe='*')}/_count").number("count")
        if count is None:
            raise RetryableError(f"{self._api.host}: the answer is no count")
        return f"{self._given.index} may be read; it holds {int(count):,} documents"


class _Place(Cursor):
    """The cursor."""

    whose = "Elasticsearch"
    top_ms: int
    """The newest time that was delivered, in milliseconds since 1970."""
    seen: tuple[tuple[int, str], ...] = ()
    """What was delivered within the time that documents may be late, newest first."""

    def taking(self, hits: list[Found], late_ms: int) -> "tuple[list[Found], _Place]":
        """What is new in some hits, and the place after them."""
        known = {digest for _, digest in self.seen}
        now_ms = int(time.time() * 1000)
        seen, fresh, top = dict[str, int](), [], self.top_ms
        for hit in hits:
            at = min(int(hit.number("sort.0") or 0), now_ms)  # one from the future must not hide the others
            # With its time: a document that was written anew at a later one is another version.
            digest = digest_of(f"{hit.text('_index')}/{hit.text('_id')}/{hit.text('sort.0')}")
            if digest not in known:
                fresh.append(hit)
                seen[digest] = at
                top = max(top, at)
        kept = {**{digest: at for at, digest in self.seen}, **seen}
        pairs = sorted(((at, digest) for digest, at in kept.items() if at >= top - late_ms), reverse=True)
        return fresh, _Place(top_ms=top, seen=tuple(pairs[:SEEN]))
