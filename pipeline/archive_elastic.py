"""The reading side of the Elasticsearch store: what the page, the API, the export and the audit see.

Fixed queries only: no scripts, no query strings. What was written is seen after the index's next refresh (1 to 5 s);
`revision` counts refreshes, so it changes when there is something new to see and not before. Times are compared by the
millisecond.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from elasticsearch import ConflictError, Elasticsearch

from opinionwatch.pipeline.archive import DocumentQuery, LedgerRow, SourceHealth
from opinionwatch.pipeline.contracts import DeadLetter, Gap, Mention, ScoredDocument, content_id
from opinionwatch.pipeline.contracts_trend import Delivery, Episode, Feedback, Silence, Window
from opinionwatch.pipeline.elastic_audit import ledger_rows, misfiled
from opinionwatch.pipeline.elastic_client import asking
from opinionwatch.pipeline.elastic_fields import Kind
from opinionwatch.pipeline.elastic_mapping import index_of, pattern_of
from opinionwatch.pipeline.elastic_query import BY_ID, MOST, Clause, Order, Reader, containing, term
from opinionwatch.pipeline.elastic_records import (
    OVERLAP_CHARS,
    feedback_source,
    mentions_of,
    scored_of,
    silence_source,
    stamp,
    window_of,
)
from opinionwatch.pipeline.elastic_reports import Reported, reported
from opinionwatch.pipeline.settings_elastic import Elastic

ENGAGED: Order = (("engagement.total", "desc"), ("@timestamp", "desc"), ("event.id", "asc"))
NEWEST: Order = (("@timestamp", "desc"), ("event.id", "asc"))
WINDOWS: Order = (("@timestamp", "asc"), ("event.provider", "asc"), ("aspect.name", "asc"))


class ElasticArchive:
    """Read access to an Elasticsearch. Implements `Archive`; safe to call from several threads."""

    def __init__(self, client: Elasticsearch, settings: Elastic) -> None:
        self._client, self._prefix = client, settings.prefix
        self._reader = Reader(client)

    def documents(self, query: DocumentQuery) -> list[ScoredDocument]:
        """Documents, newest event time first; at most `query.limit` (≤ 1,000)."""
        size = max(0, min(query.limit, MOST))
        needle = (query.text or "").lower()
        filters, order = _conditions(query, needle), ENGAGED if query.engaged else NEWEST
        found: list[ScoredDocument] = []
        after: Sequence[object] | None = None
        while size > len(found):
            hits = self._reader.hits(self._pattern("documents"), filters, order, size, after=after)
            found += [scored for scored in _documents(hits) if needle in scored.document.text.lower()]
            # A needle within a piece's overlap is found for certain, and only what holds it; only a longer one is not.
            if len(hits) < size or len(needle) <= OVERLAP_CHARS:
                break
            after = hits[-1]["sort"]
        return found[:size]

    def every_document(self) -> Iterator[ScoredDocument]:
        """All documents in the order of their ids, as of one moment, in bounded memory."""
        with self._reader.view(self._pattern("documents")) as view:
            yield from _documents(self._reader.walk(view, [], BY_ID))

    def every_mention(self) -> Iterator[Mention]:
        """All mentions, by document: what the windows are a function of."""
        with self._reader.view(self._pattern("documents")) as view:
            for hit in self._reader.walk(view, [], BY_ID):
                yield from mentions_of(hit["_source"])

    def document(self, document_id: str) -> ScoredDocument | None:
        """One document."""
        return next(iter(_documents(self._by_id("documents", document_id))), None)

    def documents_of(self, document_ids: Sequence[str]) -> list[ScoredDocument]:
        """These documents (at most 1,000) in the order of the ids; those that are not there are left out."""
        wanted: list[Clause] = [{"terms": {"event.id": list(document_ids)}}]
        hits = self._reader.hits(self._pattern("documents"), wanted, BY_ID, MOST) if document_ids else []
        found = {scored.id: scored for scored in _documents(hits)}
        return [found[name] for name in document_ids if name in found]

    def windows(self, watchlist: str, since: datetime, until: datetime) -> list[Window]:
        """All windows of a watchlist whose start is in `[since, until)`, by start, source, aspect."""
        filters = [*term("watchlist.id", watchlist), _between(since, until)]
        found: list[Window] = []
        after: Sequence[object] | None = None
        while True:
            hits = self._reader.hits(self._pattern("windows"), filters, WINDOWS, 10 * MOST, after=after)
            found += [window_of(hit["_source"]) for hit in hits]
            if len(hits) < 10 * MOST:
                return found
            after = hits[-1]["sort"]

    def span(self, watchlist: str | None = None) -> tuple[datetime, datetime] | None:
        """First and last window start there is; None when there is none."""
        ends = [
            self._reader.hits(self._pattern("windows"), term("watchlist.id", watchlist), (("@timestamp", way),), 1)
            for way in ("asc", "desc")
        ]
        if not all(ends):
            return None
        first, last = (window_of(hits[0]["_source"]).start for hits in ends)
        return first, last

    def episodes(self, watchlist: str | None = None, limit: int = 100) -> list[Episode]:
        """Newest first by opening time."""
        hits = self._newest("episodes", term("watchlist.id", watchlist), limit)
        return [Episode.model_validate(hit["_source"]["record"]) for hit in hits]

    def episode(self, episode_id: str) -> Episode | None:
        """One episode as it stands now."""
        found = self._reader.get(index_of(self._prefix, "episodes"), episode_id)
        return None if found is None else Episode.model_validate(found["record"])

    def deliveries(self, episode_id: str | None = None, limit: int = 200) -> list[Delivery]:
        """What was or will be sent, newest first."""
        hits = self._newest("deliveries", term("episode.id", episode_id), limit)
        return [Delivery.model_validate(hit["_source"]["record"]) for hit in hits]

    def deadletters(self, reason: str | None = None, limit: int = 100) -> list[DeadLetter]:
        """Newest first."""
        hits = self._newest("deadletters", term("error.code", reason), limit)
        return [DeadLetter.model_validate(hit["_source"]["record"]) for hit in hits]

    def deadletter(self, deadletter_id: str) -> DeadLetter | None:
        """One dead letter."""
        hits = self._by_id("deadletters", deadletter_id)
        return DeadLetter.model_validate(hits[0]["_source"]["record"]) if hits else None

    def ledger(self) -> list[LedgerRow]:
        """By source and hour."""
        return ledger_rows(self._reader, self._prefix)

    def misfiled(self) -> int:
        """Ids in two places, or in a place without an entry in the ledger."""
        return misfiled(self._reader, self._prefix)

    def dead(self) -> dict[str, int]:
        """Dead letters by reason."""
        return self._counted(self._pattern("deadletters"), [], "error.code")

    def dropped(self) -> dict[str, int]:
        """Documents left out, by rule."""
        return self._counted(self._pattern("ledger"), term("ledger.state", "dropped"), "ledger.rule")

    def gaps(self, limit: int = 100) -> list[Gap]:
        """What sources could not have any more, newest first by when it was found."""
        return [Gap.model_validate(hit["_source"]["record"]) for hit in self._newest("gaps", [], limit)]

    def health(self) -> list[SourceHealth]:
        """By source."""
        accepted = self._counted(self._pattern("ledger"), term("ledger.state", "accepted"), "event.provider")
        latest = {name: {"max": {"field": name}} for name in ("event.created", "@timestamp")}
        keys = {"source": {"terms": {"field": "event.provider"}}}
        times = {
            bucket["key"]["source"]: bucket
            for bucket in self._reader.by_terms(self._pattern("documents"), [], keys, latest)
        }
        return [
            SourceHealth(source, count, *(_moment(times.get(source, {}).get(name)) for name in latest))
            for source, count in sorted(accepted.items())
        ]

    def reports(self) -> dict[str, Reported]:
        """How each source is doing, as its daemon has reported it last."""
        return reported(self._reader, self._prefix, datetime.now(UTC))

    def silences(self) -> list[Silence]:
        """All that have not been removed, newest first; expired ones too."""
        return [Silence.model_validate(hit["_source"]["record"]) for hit in self._newest("silences", [], MOST)]

    def add_silence(self, silence: Silence) -> None:
        """Store (or replace) a silence; durable and to be seen when it returns."""
        with asking():
            self._client.index(
                index=index_of(self._prefix, "silences"),
                id=silence.id,
                document=silence_source(silence),
                refresh="wait_for",
            )

    def feedback(self, episode_id: str | None = None, limit: int = 200) -> list[Feedback]:
        """What people answered to an episode (None: to any), newest first."""
        hits = self._newest("feedback", term("episode.id", episode_id), limit)
        return [Feedback.model_validate(hit["_source"]["record"]) for hit in hits]

    def add_feedback(self, feedback: Feedback) -> bool:
        """Store an answer; durable and to be seen when it returns. False: one of that id is there, and stays."""
        with asking():
            try:
                self._client.create(
                    index=index_of(self._prefix, "feedback"),
                    id=feedback.id,
                    document=feedback_source(feedback),
                    refresh="wait_for",
                )
            except ConflictError:
                return False
        return True

    def notes(self, prefix: str) -> dict[str, str]:
        """What the owner of the outbox has noted, by the rest of the name after `prefix`; at most 1,000."""
        place, order = index_of(self._prefix, "state"), (("@timestamp", "desc"),)
        hits = self._reader.hits(place, term("state.name", "note"), order, MOST)
        begin = f"note.{prefix}"
        found = {str(hit["_id"]): str(hit["_source"]["state.position"]) for hit in hits}
        return {name.removeprefix(begin): found[name] for name in sorted(found) if name.startswith(begin)}

    def note_export(self, path: Path, documents: int, at: datetime) -> None:
        """Remember a file that documents were written to: an erasure names it."""
        place = str(path.absolute())
        told = orjson.dumps({"path": place, "documents": documents}).decode()
        note = {"@timestamp": stamp(at), "state.name": "export", "state.position": told}
        with asking():
            id_ = f"export.{content_id(place)}"
            self._client.index(index=index_of(self._prefix, "state"), id=id_, document=note)

    def exports(self) -> list[tuple[Path, datetime, int]]:
        """Files that documents were written to, when, and how many."""
        with self._reader.view(index_of(self._prefix, "state")) as view:
            hits = [hit["_source"] for hit in self._reader.walk(view, term("state.name", "export"), NEWEST)]
        told = [(orjson.loads(hit["state.position"]), datetime.fromisoformat(hit["@timestamp"])) for hit in hits]
        return sorted((Path(one["path"]), at, int(one["documents"])) for one, at in told)

    def revision(self) -> int:
        """Refreshes of our indices that brought something to see, and how many indices there are."""
        with asking():
            answer = self._client.indices.stats(
                index=f"{self._prefix}-*", metric="refresh", filter_path="indices.*.total.refresh.external_total"
            )
        indices = answer.body.get("indices", {})
        return sum(1 + int(each["total"]["refresh"]["external_total"]) for each in indices.values())

    def now(self) -> datetime | None:
        """How far the trend hop has come: the slowest of its parts."""
        marks = self._reader.hits(
            index_of(self._prefix, "state"), term("state.name", "progress"), (("state.up_to", "asc"),), 1
        )
        return datetime.fromisoformat(marks[0]["_source"]["state.up_to"]) if marks else None

    def _pattern(self, kind: Kind) -> str:
        return pattern_of(self._prefix, kind)

    def _newest(self, kind: Kind, filters: Sequence[Clause], limit: int) -> list[Mapping[str, Any]]:
        return self._reader.hits(self._pattern(kind), filters, NEWEST, max(0, min(limit, MOST)))

    def _by_id(self, kind: Kind, id_: str) -> list[Mapping[str, Any]]:
        return self._reader.hits(self._pattern(kind), term("event.id", id_), BY_ID, 1)

    def _counted(self, index: str, filters: Sequence[Clause], field: str) -> dict[str, int]:
        keys = {"it": {"terms": {"field": field}}}
        return {bucket["key"]["it"]: bucket["doc_count"] for bucket in self._reader.by_terms(index, filters, keys)}


def _conditions(query: DocumentQuery, needle: str) -> list[Clause]:
    filters = [
        *term("watchlist.id", query.watchlist),
        *term("event.provider", query.source),
        *term("document.lang", query.lang),
        *_labelled(query.watchlist, query.label),
    ]
    if query.aspect is not None:
        of_one = query.watchlist is not None
        filters += (
            term("watchlist.aspect", f"{query.watchlist}|{query.aspect}")
            if of_one
            else term("aspect.name", query.aspect)
        )
    if query.since is not None or query.until is not None:
        filters.append(_between(query.since, query.until))
    if needle:
        filters.append(containing("document.folded", needle[:OVERLAP_CHARS]))
    return filters


def _labelled(watchlist: str | None, label: str | None) -> list[Clause]:
    """That a text has this label, or says this of the watchlist where the scorer could tell that from the text's."""
    whole = term("sentiment.label", label)
    if watchlist is None or label is None:
        return whole
    untold: Clause = {"bool": {"filter": whole, "must_not": [{"exists": {"field": "watchlist.label"}}]}}
    return [{"bool": {"should": [*term("watchlist.label", f"{watchlist}|{label}"), untold]}}]


def _between(since: datetime | None, until: datetime | None) -> Clause:
    bounds = {name: stamp(moment) for name, moment in (("gte", since), ("lt", until)) if moment is not None}
    return {"range": {"@timestamp": bounds}}


def _documents(hits: Iterator[Mapping[str, Any]] | Sequence[Mapping[str, Any]]) -> Iterator[ScoredDocument]:
    return (scored_of(hit["_source"]) for hit in hits)


def _moment(found: Mapping[str, Any] | None) -> datetime | None:
    value = (found or {}).get("value")
    return None if value is None else datetime.fromtimestamp(value / 1000, UTC)
