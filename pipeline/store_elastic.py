"""The writing side of the Elasticsearch store: a ledger of accepted ids, and every record where it belongs.

No transactions, so nothing depends on two writes happening together. The ledger says what was accepted and nothing
else: an entry is created once and never changed. How an id ended is where it lies: among the documents, the dead
letters, or the drops; nowhere yet is pending. A crash between two writes therefore leaves no contradiction, only
pending ids, and the log that they came from still has them, because its offsets are committed after everything is
durable.

One accepted id, one document: `admit` keeps a digest of the first record of an id. The same record again is a replay
and goes on (its writes meet what is there already: 409 is done); another record of the id is a duplicate and ends
there. So a document accepted again next month is not indexed a second time, though `_id` alone, which is unique within
one month's index, would not have noticed.

Delivery: at least once in, visible once. Durable on return: Elasticsearch syncs its translog before it answers a bulk.
"""

import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Event
from typing import Literal, Protocol

import orjson
from elasticsearch import Elasticsearch

from opinionwatch.pipeline.contracts import DeadLetter, Document, content_id
from opinionwatch.pipeline.elastic_bulk import BulkWriter, Figures, Refusal
from opinionwatch.pipeline.elastic_client import asking
from opinionwatch.pipeline.elastic_mapping import index_of, pattern_of
from opinionwatch.pipeline.elastic_operations import Operation, operations
from opinionwatch.pipeline.elastic_records import digest_of, ledger_source, stamp
from opinionwatch.pipeline.errors import FatalError, RejectedError, RetryableError
from opinionwatch.pipeline.failpoints import failpoint
from opinionwatch.pipeline.ports import Outcome
from opinionwatch.pipeline.settings_elastic import Elastic
from opinionwatch.pipeline.stages import bury_document

STAGE = "index"


class SourceReport(Protocol):
    """What is told about a source: `connectors.pulling.Health`, which lies above us."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def last_success(self) -> datetime | None: ...
    @property
    def last_error(self) -> str | None: ...
    @property
    def last_error_at(self) -> datetime | None: ...
    @property
    def pages(self) -> int: ...
    @property
    def items(self) -> int: ...
    @property
    def errors(self) -> int: ...
    @property
    def skipped(self) -> int: ...
    @property
    def kinds(self) -> tuple[tuple[str, int], ...]: ...
    @property
    def quota(self) -> "QuotaReport | None": ...


class QuotaReport(Protocol):
    """What a service lets a source ask: `connectors.quota.Quota`."""

    @property
    def remaining(self) -> float: ...
    @property
    def resets_at(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of the ledger as it was made first."""

    source: str
    accepted_at: datetime
    digest: str


class ElasticStore:
    """A `Ledger` on Elasticsearch. Any number of processes; within one, for one caller at a time."""

    def __init__(self, client: Elasticsearch, settings: Elastic, stop: Event | None = None) -> None:
        """Once `stop` is set, calls that wait for the cluster give up with RetryableError."""
        self._client, self._prefix = client, settings.prefix
        self._bulk = BulkWriter(client, settings, stop)

    @property
    def figures(self) -> Figures:
        """What was written, tried again and refused, for metrics."""
        return self._bulk.figures

    def close(self) -> None:
        """Wait for what is under way; the client is its owner's to close."""
        self._bulk.close()

    def admit(self, records: Iterable[Document | DeadLetter]) -> list[Document | DeadLetter]:
        """Enter ids in the ledger. Returns the records to go on with; see `Ledger`."""
        first: dict[str, tuple[Document | DeadLetter, str]] = {}
        others: list[tuple[Document | DeadLetter, str]] = []
        for record in records:
            digest = digest_of(record)
            if first.setdefault(record.id, (record, digest))[1] != digest:  # else a replay that came in the same batch
                others.append((record, digest))
        ledger = index_of(self._prefix, "ledger")
        written = self._bulk.write(
            [Operation(ledger, id_, _entry(record, digest, "accepted")) for id_, (record, digest) in first.items()]
        )
        failpoint("index.entered")
        _refuse_our_own(written.refused)
        entries = self._entries(sorted(written.there))
        goes_on = {id_ for id_, (_, digest) in first.items() if id_ not in entries or entries[id_].digest == digest}
        others += [pair for id_, pair in first.items() if id_ not in goes_on]
        if others:
            self._count_duplicates(ledger, others, entries, first)
        return [record for id_, (record, _) in first.items() if id_ in goes_on]

    def _count_duplicates(
        self,
        ledger: str,
        others: Sequence[tuple[Document | DeadLetter, str]],
        entries: dict[str, _Entry],
        first: dict[str, tuple[Document | DeadLetter, str]],
    ) -> None:
        """One entry a delivery, by its digest, beside the entry it repeats: so a replay counts it once."""
        found = []
        for record, digest in others:
            entry = entries.get(record.id)
            kept = first[record.id][0]
            source, at = (entry.source, entry.accepted_at) if entry else (kept.source, kept.accepted_at)
            line = orjson.dumps(ledger_source(record.id, source, at, "duplicate"))
            found.append(Operation(ledger, content_id(record.id, digest), line))
        _refuse_our_own(self._bulk.write(found).refused)

    def _entries(self, ids: Sequence[str]) -> dict[str, _Entry]:
        if not ids:
            return {}
        with asking():
            answer = self._client.mget(index=index_of(self._prefix, "ledger"), ids=list(ids))
        found = {}
        for each in answer["docs"]:
            source = each.get("_source")
            if source is None:  # retired in this very moment; the next attempt enters it anew
                raise RetryableError(f"the ledger's entry {each['_id']} was there and is not", after_s=1)
            at = datetime.fromisoformat(source["@timestamp"])
            found[each["_id"]] = _Entry(source["event.provider"], at, source["ledger.digest"])
        return found

    def write(self, records: Iterable[Outcome]) -> list[DeadLetter]:
        """Write what a hop returned. Returns the (stored) dead letters of documents that the index refuses."""
        given = list(records)
        refused = self._bulk.write(operations(self._prefix, given)).refused
        failpoint("index.written")
        _refuse_our_own([refusal for refusal in refused if refusal.operation.document is None])
        letters = [
            bury_document(refusal.operation.document, STAGE, RejectedError("index_refused", refusal.words[:2000]))
            for refusal in refused
            if refusal.operation.document is not None
        ]
        _refuse_our_own(self._bulk.write(operations(self._prefix, letters)).refused)
        failpoint("index.buried")
        for record in given:
            if isinstance(record, DeadLetter) and record.attempts > 1:  # it may have died in another month before
                self._forget(record.id, keep=index_of(self._prefix, "deadletters", record.accepted_at))
        return letters

    def forget_letter(self, letter_id: str) -> None:
        """A dead letter that was tried again has a better end now."""
        self._forget(letter_id, keep="")

    def _forget(self, letter_id: str, keep: str) -> None:
        """Delete a dead letter from every month but `keep`."""
        with asking():
            months = self._client.indices.get(
                index=pattern_of(self._prefix, "deadletters"), filter_path="*.aliases", allow_no_indices=True
            )
        self._bulk.write([Operation(month, letter_id, b"", delete=True) for month in months if month != keep])

    def save_progress(self, up_to: datetime, part: str = "trend") -> None:
        """How far a part of the trend hop has come; the archive's `now` is the slowest part's."""
        self._put("state", f"progress.{part}", {"@timestamp": stamp(up_to), "state.name": "progress",
                                                "state.position": part, "state.up_to": stamp(up_to)})  # fmt: skip

    def report(self, health: Iterable[SourceReport], at: datetime) -> None:
        """How the sources of this process are doing, for the dashboards."""
        for each in health:
            report = {
                "@timestamp": stamp(at),
                "event.provider": each.name,
                "event.module": each.kind,
                "host.name": socket.gethostname(),
                "error.message": each.last_error,
                "health.state": each.state,
                "health.last_success": each.last_success and stamp(each.last_success),
                "health.last_error_at": each.last_error_at and stamp(each.last_error_at),
                "health.pages": each.pages,
                "health.items": each.items,
                "health.errors": each.errors,
                "health.skipped": each.skipped,
                "health.kinds": [f"{kind}: {count}" for kind, count in each.kinds],
                "health.quota_left": each.quota and each.quota.remaining,
                "health.quota_until": each.quota and each.quota.resets_at and stamp(each.quota.resets_at),
            }
            self._put("health", content_id(each.kind, each.name), report)

    def _put(self, kind: Literal["state", "health"], id_: str, source: Mapping[str, object]) -> None:
        with asking():
            self._client.index(index=index_of(self._prefix, kind), id=id_, document=source)


def _entry(record: Document | DeadLetter, digest: str, state: str) -> bytes:
    return orjson.dumps(ledger_source(record.id, record.source, record.accepted_at, state) | {"ledger.digest": digest})


def _refuse_our_own(refused: Sequence[Refusal]) -> None:
    """What is not a stranger's text is ours: a refusal of it is a wrong template or a defect, and no dead letter."""
    if refused:
        operation, words = refused[0].operation, refused[0].words
        raise FatalError(
            f"Elasticsearch refuses {len(refused)} of our own records, the first one for {operation.index}: {words}. "
            "`opinionwatch index check` says whether its templates are this version's."
        )
