"""The writing side of the Elasticsearch store: a ledger of accepted ids, and every record where it belongs.

No transactions, so nothing depends on two writes happening together. The ledger says what was accepted and nothing
else: an entry is created once and never changed. How an id ended is where it lies: among the documents, the dead
letters, or the drops; nowhere yet is pending. A crash between two writes therefore leaves no contradiction, only
pending ids, and the log that they came from still has them, because its offsets are committed after everything is
durable.

One accepted id, one document: `admit` keeps a digest of the first record of an id. The same record again is a replay
and goes on (its writes meet what is there already: 409 is done). Another record of the id is a later version, which
takes the document's place in the same month's index, or a duplicate and ends there. So a document accepted again next
month is not indexed a second time, though `_id` alone, unique only within one month's index, would not have noticed.

Delivery: at least once in, visible once. Durable on return: Elasticsearch syncs its translog before it answers a bulk.
"""

import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from threading import Event
from typing import Literal, Protocol

from elasticsearch import Elasticsearch

from opinionwatch.pipeline.contracts import DeadLetter, content_id
from opinionwatch.pipeline.contracts_changes import Deletion, Engaged
from opinionwatch.pipeline.elastic_admission import Admission
from opinionwatch.pipeline.elastic_bulk import BulkWriter, Figures, Written, refuse_our_own
from opinionwatch.pipeline.elastic_changes import Changes
from opinionwatch.pipeline.elastic_client import asking
from opinionwatch.pipeline.elastic_mapping import index_of, pattern_of
from opinionwatch.pipeline.elastic_operations import Operation, operations, operations_of_parts
from opinionwatch.pipeline.elastic_records import stamp
from opinionwatch.pipeline.errors import RejectedError
from opinionwatch.pipeline.failpoints import failpoint
from opinionwatch.pipeline.ports import Outcome
from opinionwatch.pipeline.revisions import Admitted, Record
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


class ElasticStore:
    """A `Ledger` on Elasticsearch. Any number of processes; within one, for one caller at a time."""

    def __init__(
        self,
        client: Elasticsearch,
        settings: Elastic,
        stop: Event | None = None,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        """Once `stop` is set, calls that wait for the cluster give up with RetryableError; `alive` is called while they
        wait.
        """
        self._client, self._prefix = client, settings.prefix
        self._bulk = BulkWriter(client, settings, stop, alive)
        self._admission = Admission(client, settings.prefix, self._bulk)
        self._changes = Changes(client, settings.prefix, self._bulk)

    @property
    def figures(self) -> Figures:
        """What was written, tried again and refused, for metrics."""
        return self._bulk.figures

    @property
    def cpu_s(self) -> float:
        """Processor time of the threads that speak to Elasticsearch."""
        return self.figures.cpu_s

    def close(self) -> None:
        """Wait for what is under way; the client is its owner's to close."""
        self._bulk.close()

    def admit(self, records: Iterable[Record]) -> list[Admitted]:
        """Enter ids in the ledger. Returns the records to go on with; see `Ledger`."""
        return self._admission.admit(records)

    def write(self, records: Iterable[Outcome]) -> list[DeadLetter]:
        """Write what a hop returned. Returns the (stored) dead letters of documents that the index refuses."""
        given = list(records)
        self._changes.unquote([record for record in given if isinstance(record, Deletion)])
        letters = self._written(self._bulk.write(operations(self._prefix, given)), _renewed(given))
        self._changes.engage([record for record in given if isinstance(record, Engaged)])
        return letters

    def write_parts(self, parts: Iterable[Sequence[Outcome]]) -> list[DeadLetter]:
        """The same for what is only just being made: a part is asked for while those before it are under way."""
        renewed: list[DeadLetter] = []

        def noted() -> Iterator[Sequence[Outcome]]:
            for part in parts:
                renewed.extend(_renewed(part))
                yield part

        return self._written(self._bulk.write(operations_of_parts(self._prefix, noted())), renewed)

    def _written(self, written: Written, renewed: Sequence[DeadLetter]) -> list[DeadLetter]:
        failpoint("index.written")
        refuse_our_own([refusal for refusal in written.refused if refusal.operation.document is None])
        letters = [
            bury_document(
                operation.document, STAGE, RejectedError("index_refused", refusal.words[:2000]), operation.scorer
            )
            for refusal in written.refused
            if (operation := refusal.operation).document is not None
        ]
        refuse_our_own(self._bulk.write(operations(self._prefix, letters)).refused)
        failpoint("index.buried")
        for letter in renewed:
            self._forget(letter.id, keep=index_of(self._prefix, "deadletters", letter.accepted_at))
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

    def report_worker(self, service: str, figures: Mapping[str, float], at: datetime) -> None:
        """How a worker has done since its last report: fields of `workers` by their last part, for the dashboards."""
        host = socket.gethostname()
        id_ = content_id(service, host, str(os.getpid()), stamp(at))
        report = {"@timestamp": stamp(at), "event.id": id_, "service.name": service, "host.name": host}
        self._put("workers", id_, report | {f"worker.{name}": value for name, value in figures.items()}, at)

    def _put(
        self, kind: Literal["state", "health", "workers"], id_: str, source: Mapping[str, object],
        at: datetime | None = None,
    ) -> None:  # fmt: skip
        with asking():
            self._client.index(index=index_of(self._prefix, kind, at), id=id_, document=source)


def _renewed(records: Iterable[Outcome]) -> list[DeadLetter]:
    """Letters that were there before; they may have died in another month then."""
    return [record for record in records if isinstance(record, DeadLetter) and record.attempts > 1]
