"""The outbox in Elasticsearch's deliveries index: small, rewritten as deliveries go on, and read by whoever owns it.

Searches see what was written with a second's delay, whoever wrote it. So a search only says which deliveries may be
due, and each of them is then read by its id, which shows the last write at once: nothing is handed out twice. Where
that leaves fewer than were asked for, the search goes on.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from elasticsearch import ConflictError, Elasticsearch, NotFoundError
from pydantic import ValidationError

from opinionwatch.pipeline.contracts_trend import Delivery
from opinionwatch.pipeline.elastic_client import asking
from opinionwatch.pipeline.elastic_mapping import index_of
from opinionwatch.pipeline.elastic_records import delivery_source, stamp
from opinionwatch.pipeline.errors import FatalError
from opinionwatch.pipeline.settings_elastic import Elastic

PAGE = 1000
"""Deliveries that are read in one go."""


class ElasticOutbox:
    """An `Outbox` on Elasticsearch. One owner at a time; within it, any number of threads. Also keeps `Notes`."""

    def __init__(self, client: Elasticsearch, settings: Elastic) -> None:
        self._client = client
        self._index = index_of(settings.prefix, "deliveries")
        self._state = index_of(settings.prefix, "state")

    def due(self, now: datetime, limit: int) -> list[Delivery]:
        """Pending deliveries whose time has come, oldest first, and those an earlier life left in `sending`. Raises
        FatalError for one that this program cannot read.
        """
        found: dict[str, Delivery] = {}
        size, after = min(limit, PAGE), None
        with asking():
            while len(found) < limit:
                hits = self._perhaps_due(now, size, after)
                found |= {each.id: each for each in self._as_written_last(hits) if _is_due(each, now)}
                if len(hits) < size:
                    break
                after = hits[-1]["sort"]
        return sorted(found.values(), key=lambda one: (one.due_at, one.id))[:limit]

    def _perhaps_due(self, now: datetime, size: int, after: list[Any] | None) -> list[Mapping[str, Any]]:
        pending = {
            "bool": {
                "filter": [{"term": {"delivery.state": "pending"}}, {"range": {"@timestamp": {"lte": stamp(now)}}}],
            }
        }
        answer = self._client.search(
            index=self._index,
            query={"bool": {"should": [{"term": {"delivery.state": "sending"}}, pending]}},
            sort=[{"@timestamp": "asc"}, {"event.id": "asc"}],
            size=size,
            search_after=after,
            source=False,
        )
        return list(answer["hits"]["hits"])

    def _as_written_last(self, hits: list[Mapping[str, Any]]) -> Iterator[Delivery]:
        if hits:
            ids = [hit["_id"] for hit in hits]
            told = self._client.mget(index=self._index, ids=ids, source_includes=["record"])
            yield from (self._read(each) for each in told["docs"] if each.get("found"))

    def _read(self, told: Mapping[str, Any]) -> Delivery:
        try:
            return Delivery.model_validate(told["_source"]["record"])
        except ValidationError as error:
            raise FatalError(
                f"delivery {told['_id']} in {self._index} cannot be read ({error.error_count()} fields): has a newer "
                "version written it? Nothing is sent until a notifier of that version runs, or the record is gone"
            ) from error

    def save(self, *deliveries: Delivery) -> None:
        """Replace the deliveries' state, or add those that are new; durable when it returns. What is new goes first, so
        that a crash between two writes forgets nothing; one that is there already stays as it is.
        """
        for delivery in sorted(deliveries, key=lambda one: not _is_new(one)):
            with asking():
                try:
                    self._client.index(
                        index=self._index,
                        id=delivery.id,
                        document=delivery_source(delivery),
                        op_type="create" if _is_new(delivery) else "index",
                    )
                except ConflictError:
                    continue

    def put_off(self, delivery: Delivery) -> None:
        """Replace one, though it may never have been tried; durable when it returns."""
        with asking():
            self._client.index(index=self._index, id=delivery.id, document=delivery_source(delivery))

    def note(self, name: str) -> str | None:
        """What was kept last under the name; seen at once, other than what a search finds."""
        with asking():
            try:
                found = self._client.get(index=self._state, id=f"note.{name}", source_includes=["state.position"])
            except NotFoundError:
                return None
        return str(found["_source"]["state.position"])

    def keep(self, name: str, text: str) -> None:
        """Replace it; durable when it returns."""
        document = {"@timestamp": stamp(datetime.now(UTC)), "state.name": "note", "state.position": text}
        with asking():
            self._client.index(index=self._state, id=f"note.{name}", document=document)


def _is_new(delivery: Delivery) -> bool:
    return delivery.state == "pending" and not delivery.attempts


def _is_due(delivery: Delivery, now: datetime) -> bool:
    return delivery.state == "sending" or (delivery.state == "pending" and delivery.due_at <= now)
