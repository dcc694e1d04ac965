"""Questions to Elasticsearch that several readers ask: pages of hits, walks through everything, counts by term."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from elasticsearch import Elasticsearch

from opinionwatch.pipeline.elastic_client import asking
from opinionwatch.pipeline.errors import FatalError, RetryableError

MOST = 1000
Clause = dict[str, Any]
"""A query clause as the API takes it; built here and in the archive from fixed parts, never from a user's words."""
Order = tuple[tuple[str, str], ...]
"""Field and direction."""
BY_ID: Order = (("event.id", "asc"),)
BUCKETS = 2000


def term(field: str, value: str | None) -> list[Clause]:
    """That a field has this value; no clause for None."""
    return [] if value is None else [{"term": {field: value}}]


def containing(field: str, text: str) -> Clause:
    """That a keyword contains a text, whose signs mean nothing but themselves."""
    plain = "".join(f"\\{sign}" if sign in "*?\\" else sign for sign in text)
    return {"wildcard": {field: {"value": f"*{plain}*"}}}


KEEP = "5m"
"""How long the cluster keeps a view that nobody asks."""


def _absent(field: str) -> Clause:
    """Figures that nobody has told are none; everything else that is sorted by is always there."""
    return {"missing": 0, "unmapped_type": "long"} if field == "engagement.total" else {}


@dataclass(frozen=True, slots=True)
class View:
    """An index as of one moment (a point in time)."""

    id: str


class Reader:
    """Asks one cluster. Every question is bounded in time, and answers that lack a shard are no answers."""

    def __init__(self, client: Elasticsearch) -> None:
        self._client = client

    def refresh(self, index: str) -> None:
        """Let what is durable be seen."""
        with asking():
            self._client.indices.refresh(index=index, ignore_unavailable=True)

    @contextmanager
    def view(self, index: str) -> Iterator[View]:
        """The index as of this moment, everything durable included, for as long as the block runs."""
        self.refresh(index)
        with asking():
            opened = self._client.open_point_in_time(index=index, keep_alive=KEEP, ignore_unavailable=True)
        view = View(str(opened["id"]))
        try:
            yield view
        finally:
            with suppress(RetryableError, FatalError), asking():  # it ends by itself, too
                self._client.close_point_in_time(id=view.id)

    def hits(
        self,
        place: "str | View",
        filters: Sequence[Clause],
        order: Order,
        size: int,
        *,
        after: Sequence[object] | None = None,
        source: bool | Sequence[str] = True,
    ) -> list[Mapping[str, Any]]:
        """One page of an index or a view, behind the sort values `after`."""
        target: Clause = {"index": place, "ignore_unavailable": True, "allow_partial_search_results": False}
        if isinstance(place, View):
            target = {"pit": {"id": place.id, "keep_alive": KEEP}, "allow_partial_search_results": False}
        with asking():
            answer = self._client.search(
                query={"bool": {"filter": list(filters)}},
                sort=[{field: {"order": way, "unmapped_type": "keyword", **_absent(field)}} for field, way in order],
                size=size,
                search_after=None if after is None else list(after),
                source=source if isinstance(source, bool) else {"includes": list(source)},
                track_total_hits=False,
                **target,
            )
        found: list[Mapping[str, Any]] = answer["hits"]["hits"]
        return found

    def walk(
        self, view: View, filters: Sequence[Clause], order: Order, *, source: bool | Sequence[str] = True
    ) -> Iterator[Mapping[str, Any]]:
        """All hits in order, in bounded memory."""
        after: Sequence[object] | None = None
        while page := self.hits(view, filters, order, MOST, after=after, source=source):
            yield from page
            after = page[-1]["sort"]

    def by_terms(
        self,
        index: str,
        filters: Sequence[Clause],
        keys: Mapping[str, Clause],
        within: Mapping[str, Clause] | None = None,
    ) -> Iterator[Mapping[str, Any]]:
        """Buckets by the values of `keys` (composite aggregation), in their order, all of them."""
        after: Mapping[str, Any] | None = None
        while True:
            composite: Clause = {"size": BUCKETS, "sources": [{name: key} for name, key in keys.items()]}
            if after is not None:
                composite["after"] = after
            with asking():
                answer = self._client.search(
                    index=index,
                    query={"bool": {"filter": list(filters)}},
                    size=0,
                    aggs={"by": {"composite": composite, "aggs": dict(within or {})}},
                    track_total_hits=False,
                    allow_partial_search_results=False,
                    ignore_unavailable=True,
                )
            if "aggregations" not in answer:  # no index there yet
                return
            yield from answer["aggregations"]["by"]["buckets"]
            after = answer["aggregations"]["by"].get("after_key")
            if after is None:
                return

    def get(self, index: str, id_: str) -> Mapping[str, Any] | None:
        """One record of an index that is not dated, as it stands this moment."""
        with asking():
            answer = self._client.options(ignore_status=404).get(index=index, id=id_)
        found: Mapping[str, Any] | None = answer.body.get("_source")
        return found
