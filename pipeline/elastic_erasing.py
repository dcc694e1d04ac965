"""Erasure in the Elasticsearch store: what is found, taken away, and really gone from the segments' files.

An erased id keeps its entry in the ledger and gets a tombstone (dropped: `erased`) above every version, so neither a
replay nor a late edit brings it back: an id, a source, a time. An erased author stays as a keyed pseudonym and a time
in the `state` index: what was published under it before then is dropped, whenever it arrives (`elastic_admission`).

A deleted document stands in its segment until that is merged, and in the history that Elasticsearch keeps for its
replicas (half a minute at least). `expunge` rewrites the segments that hold one, until the cluster counts none and
nobody has a view from before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Event
from time import monotonic
from typing import Any

import orjson
from elasticsearch import Elasticsearch

from opinionwatch.pipeline.contracts import Mention
from opinionwatch.pipeline.contracts_trend import Delivery, Episode
from opinionwatch.pipeline.elastic_admission import ERASED
from opinionwatch.pipeline.elastic_bulk import BulkWriter, refuse_our_own
from opinionwatch.pipeline.elastic_client import asking
from opinionwatch.pipeline.elastic_fields import Kind
from opinionwatch.pipeline.elastic_mapping import index_of, pattern_of
from opinionwatch.pipeline.elastic_operations import Operation, operations
from opinionwatch.pipeline.elastic_query import BY_ID, Reader
from opinionwatch.pipeline.elastic_records import delivery_source, ledger_source, mentions_of, stamp
from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.scrub import scrubbed, scrubbed_delivery
from opinionwatch.pipeline.settings_elastic import Elastic
from opinionwatch.pipeline.versions import DELETED

HOLDERS: tuple[Kind, ...] = ("documents", "deadletters", "episodes", "deliveries")
"""Kinds of indices in which something personal may stand."""
_ALLOWED = "index.merge.policy.expunge_deletes_allowed"
"""Percent of deleted documents that a segment may keep when they are expunged."""


@dataclass(frozen=True, slots=True)
class Doomed:
    """What is to be erased, as it is found."""

    authors: Sequence[str]
    hits: Sequence[Mapping[str, Any]]
    letters: Sequence[Mapping[str, Any]]

    @property
    def ids(self) -> set[str]:
        """Of the documents and dead letters."""
        return {hit["_id"] for hit in (*self.hits, *self.letters)}

    @property
    def texts(self) -> dict[str, str]:
        """What the documents say, by id."""
        return {hit["_id"]: hit["_source"]["message"] for hit in self.hits}

    @property
    def mentions(self) -> list[Mention]:
        """The documents as the trend hop has read them."""
        return [mention for hit in self.hits for mention in mentions_of(hit["_source"])]

    def __len__(self) -> int:
        """How many documents and dead letters."""
        return len(self.hits) + len(self.letters)


class ElasticErasing:
    """Erases; every call may be repeated. For one caller at a time, with the daemons at rest."""

    def __init__(self, client: Elasticsearch, settings: Elastic) -> None:
        self._client, self._prefix = client, settings.prefix
        self._bulk = BulkWriter(client, settings)
        self._reader = Reader(client)

    def close(self) -> None:
        """Wait for what is under way; the client is its owner's to close."""
        self._bulk.close()

    def find(self, authors: Sequence[str], documents: Sequence[str]) -> Doomed:
        """The documents and dead letters of these authors (pseudonyms) and ids."""
        wanted = {"bool": {"should": [{"terms": {"user.hash": authors}}, {"terms": {"event.id": documents}}]}}
        with self._reader.view(pattern_of(self._prefix, "documents")) as view:
            hits = list(self._reader.walk(view, [wanted], BY_ID))
        with self._reader.view(pattern_of(self._prefix, "deadletters")) as view:
            letters = [
                hit
                for hit in self._reader.walk(view, [], BY_ID)
                if hit["_id"] in documents or any(author in hit["_source"]["record"]["raw"] for author in authors)
            ]
        return Doomed(authors, hits, letters)

    def kinds(self) -> list[str]:
        """Kinds of sources that documents came from."""
        index = pattern_of(self._prefix, "documents")
        buckets = self._reader.by_terms(index, [], {"kind": {"terms": {"field": "event.module"}}})
        return [bucket["key"]["kind"] for bucket in buckets]

    def named(self, native_id: str) -> list[str]:
        """Ids of the documents and dead letters that a source calls so."""
        with self._reader.view(pattern_of(self._prefix, "documents")) as view:
            clause = [{"term": {"document.native_id": native_id}}]
            found = [hit["_id"] for hit in self._reader.walk(view, clause, BY_ID, source=False)]
        with self._reader.view(pattern_of(self._prefix, "deadletters")) as view:
            letters = self._reader.walk(view, [], BY_ID)
            return found + [hit["_id"] for hit in letters if hit["_source"]["record"]["native_id"] == native_id]

    def remember(self, authors: Sequence[str], asked_at: datetime) -> None:
        """Whom nobody may bring back, from now on."""
        for author in authors:
            told = {"@timestamp": stamp(asked_at), "state.name": ERASED, "state.up_to": stamp(asked_at)}
            with asking():
                self._client.index(index=index_of(self._prefix, "state"), id=f"{ERASED}.{author}", document=told)

    def take_away(self, doomed: Doomed) -> None:
        """Delete what was found, and what was told of it; leave tombstones."""
        ledger = index_of(self._prefix, "ledger")
        made: list[Operation] = []
        for hit in (*doomed.hits, *doomed.letters):
            source = hit["_source"]
            at = datetime.fromisoformat(source.get("event.created") or source["@timestamp"])
            entry = ledger_source(hit["_id"], source["event.provider"], at, "dropped") | {"ledger.rule": ERASED}
            head = ledger_source(hit["_id"], source["event.provider"], at, "version") | {
                "ledger.version": DELETED,
                "ledger.rule": ERASED,
            }
            made += [
                Operation(ledger, f"{hit['_id']}.version", orjson.dumps(head), version=DELETED),
                Operation(ledger, f"{hit['_id']}.dropped", orjson.dumps(entry), version=DELETED),
            ]
        refuse_our_own(self._bulk.write(made).refused)
        self._scrub(doomed.texts)
        gone = [
            Operation(hit["_index"], hit["_id"], b"", version=DELETED, delete=True)
            for hit in (*doomed.hits, *doomed.letters)
        ]
        refuse_our_own(self._bulk.write(gone).refused)

    def _scrub(self, texts: Mapping[str, str]) -> None:
        if not texts:
            return
        changed: list[Episode] = []
        with self._reader.view(index_of(self._prefix, "episodes")) as view:
            for hit in self._reader.walk(view, [], BY_ID, source=["record"]):
                episode = Episode.model_validate(hit["_source"]["record"])
                kept = scrubbed(episode, texts)
                changed += [] if kept is episode else [kept]
        refuse_our_own(self._bulk.write(operations(self._prefix, changed)).refused)
        with self._reader.view(index_of(self._prefix, "deliveries")) as view:
            for hit in self._reader.walk(view, [], BY_ID, source=["record"]):
                delivery = Delivery.model_validate(hit["_source"]["record"])
                kept_delivery = scrubbed_delivery(delivery, texts)
                if kept_delivery is not delivery:
                    index, source = index_of(self._prefix, "deliveries"), delivery_source(kept_delivery)
                    with asking():
                        self._client.index(index=index, id=kept_delivery.id, document=source)

    def expunge(self, patience_s: float) -> None:
        """Merge until no index holds a deleted document and nobody looks at one as it was before.

        Raises RetryableError when that takes longer. A view that a killed process has left open keeps the files it sees
        until it ends by itself (`elastic_query.KEEP`, and a minute at most after it).
        """
        names = ",".join(pattern_of(self._prefix, kind) for kind in HOLDERS)
        end = monotonic() + patience_s
        with asking():
            self._allow(names, 0)
            try:
                while left := self._deleted(names) or self._viewed(names):
                    if monotonic() > end:
                        raise RetryableError(f"Elasticsearch still keeps {left} after {patience_s:g} s: run it again")
                    Event().wait(1.0)
            finally:
                self._allow(names, None)

    def _allow(self, names: str, percent: int | None) -> None:
        self._client.indices.put_settings(
            index=names, settings={_ALLOWED: percent}, ignore_unavailable=True, allow_no_indices=True
        )

    def _viewed(self, names: str) -> str:
        """How many views are open, in words; empty for none."""
        answer = self._client.indices.stats(index=names, metric="search")
        count = answer["_all"]["total"].get("search", {}).get("open_contexts", 0)
        return f"what {count} open views see" if count else ""

    def _deleted(self, names: str) -> str:
        """How many deleted documents there are after another merge, in words; empty for none."""
        indices = self._client.indices
        indices.flush(index=names, force=True, wait_if_ongoing=True, ignore_unavailable=True)
        indices.forcemerge(index=names, only_expunge_deletes=True, ignore_unavailable=True)
        indices.flush(index=names, force=True, wait_if_ongoing=True, ignore_unavailable=True)
        indices.refresh(index=names, ignore_unavailable=True)
        answer = indices.stats(index=names, metric="docs")
        count = answer["_all"]["total"].get("docs", {}).get("deleted", 0)
        return f"{count} deleted documents" if count else ""
