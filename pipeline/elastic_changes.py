"""What figures of engagement and deletions change in the Elasticsearch store, beside the document itself."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from elasticsearch import Elasticsearch

from opinionwatch.pipeline.contracts_changes import Deletion, Engaged
from opinionwatch.pipeline.contracts_trend import Episode
from opinionwatch.pipeline.elastic_bulk import BulkWriter, refuse_our_own
from opinionwatch.pipeline.elastic_client import asking
from opinionwatch.pipeline.elastic_mapping import index_of
from opinionwatch.pipeline.elastic_operations import Operation, operations
from opinionwatch.pipeline.elastic_query import BY_ID, Reader
from opinionwatch.pipeline.elastic_records import engagement_of, engagement_source
from opinionwatch.pipeline.scrub import scrubbed


class Changes:
    """Writes them; every call may be repeated. For one caller at a time."""

    def __init__(self, client: Elasticsearch, prefix: str, bulk: BulkWriter) -> None:
        self._client, self._prefix, self._bulk = client, prefix, bulk
        self._reader = Reader(client)

    def engage(self, given: Sequence[Engaged]) -> None:
        """Keep figures that were seen later than those that are there. Nothing where there is no document."""
        newest = {each.id: each for each in sorted(given, key=lambda each: each.engagement.seen_at)}
        places = [(index_of(self._prefix, "documents", each.accepted_at), each.id) for each in newest.values()]
        changed = []
        for found in self._found(places):
            engaged, source = newest[found["_id"]], found["_source"]
            before = engagement_of(source)
            if before is None or before.seen_at < engaged.engagement.seen_at:
                kept = {name: value for name, value in source.items() if not name.startswith("engagement.")}
                body = orjson.dumps(kept | engagement_source(engaged.engagement))
                changed.append(Operation(found["_index"], engaged.id, body, version=found["_version"]))
        refuse_our_own(self._bulk.write(changed).refused)

    def unquote(self, deletions: Sequence[Deletion]) -> None:
        """Leave documents that are about to go out of the episodes that quote them. Only one that is in a watchlist can
        be quoted, so most deletions cost one look at the document.
        """
        places = [
            (index_of(self._prefix, "documents", each.first_at), each.id)
            for each in deletions
            if each.first_at is not None
        ]
        texts = {
            found["_id"]: found["_source"]["message"]
            for found in self._found(places)
            if found["_source"].get("watchlist.id")
        }
        if not texts:
            return
        changed = []
        with self._reader.view(index_of(self._prefix, "episodes")) as view:
            for hit in self._reader.walk(view, [], BY_ID, source=["record"]):
                episode = Episode.model_validate(hit["_source"]["record"])
                shown = {each.document_id for each in episode.explanation.exemplars}
                quoted = {id_: text for id_, text in texts.items() if id_ in shown}
                if quoted:
                    changed.append(scrubbed(episode, quoted))
        refuse_our_own(self._bulk.write(operations(self._prefix, changed)).refused)

    def _found(self, places: Sequence[tuple[str, str]]) -> list[Mapping[str, Any]]:
        """The documents that are there, as they stand this moment."""
        if not places:
            return []
        with asking():
            answer = self._client.mget(docs=[{"_index": index, "_id": id_} for index, id_ in places])
        return [each for each in answer["docs"] if each.get("found")]
