"""Admission to the Elasticsearch store: which delivered records go on. The rules are those of `revisions`.

The ledger has, for an id: one entry of its first acceptance, created once and never changed (state `accepted`, with a
digest of the record); one for every later version that was admitted (`revision`) and one for every other delivery
(`duplicate`), both named by id and digest; and `ID.version`, the highest version admitted. So a record that comes again
after a crash is recognised by its digest and goes on again, even if a later version has been admitted since.

An erased id has a version above all others with the rule `erased` (`elastic_erasing`): nothing of it goes on any more.
Erased authors stand in the `state` index as pseudonym and time: what they had published before then is dropped. They
are looked up once in a process's life, since nothing is erased while daemons run.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from elasticsearch import Elasticsearch

from opinionwatch.pipeline.contracts import DeadLetter, Document, content_id
from opinionwatch.pipeline.elastic_bulk import BulkWriter, refuse_our_own
from opinionwatch.pipeline.elastic_client import asking
from opinionwatch.pipeline.elastic_mapping import index_of
from opinionwatch.pipeline.elastic_operations import Operation
from opinionwatch.pipeline.elastic_query import Reader, term
from opinionwatch.pipeline.elastic_records import ledger_source, stamp
from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.failpoints import failpoint
from opinionwatch.pipeline.revisions import Admitted, First, Record, digest_of, engaged, revised, righted
from opinionwatch.pipeline.versions import DELETED

ERASED = "erased"
"""Rule of a drop, name in the `state` index, and beginning of an author's id there."""
_REFUSED = "refused"
"""Rule of an id that became known by a dead letter."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of the ledger as it was made first."""

    first: First
    digest: str
    version: int
    is_refused: bool


class Admission:
    """Enters ids in the ledger. For one caller at a time."""

    def __init__(self, client: Elasticsearch, prefix: str, bulk: BulkWriter) -> None:
        self._client, self._bulk = client, bulk
        self._ledger, self._prefix = index_of(prefix, "ledger"), prefix
        self._authors: Mapping[str, datetime] | None = None

    def admit(self, records: Iterable[Record]) -> list[Admitted]:
        """Enter ids in the ledger. Returns the records to go on with; see `Ledger`."""
        batch: dict[str, dict[str, Record]] = {}
        for record in records:
            batch.setdefault(record.id, {}).setdefault(digest_of(record), record)
        first = {id_: next(iter(found.items())) for id_, found in batch.items()}
        written = self._bulk.write(
            [Operation(self._ledger, id_, _entry(record, digest)) for id_, (digest, record) in first.items()]
        )
        failpoint("index.entered")
        refuse_our_own(written.refused)
        entries = {id_: _of(record, digest) for id_, (digest, record) in first.items()} | self._entries(written.there)
        others = {
            (id_, digest): record
            for id_, found in batch.items()
            for digest, record in found.items()
            if digest != entries[id_].digest
        }
        known = self._known(others, written.there)
        going: list[Admitted] = []
        entered: list[Operation] = []
        for id_, found in batch.items():
            entry = entries[id_]
            head = known.get(f"{id_}.version", {})
            highest = max(entry.version, head.get("ledger.version", 0))
            is_erased = head.get("ledger.rule") == ERASED
            for digest, given in found.items():
                if digest == entry.digest:
                    going += [] if is_erased else [given]
                    continue
                record = righted(given, entry.first) if entry.is_refused else given
                before = known.get(content_id(id_, digest), {}).get("ledger.state")
                is_revision = before == "revision" or (before is None and record.version > highest)
                entered += self._entered(record, digest, entry.first, is_revision=is_revision)
                if is_revision:
                    highest = max(highest, record.version)
                    going.append(revised(record, entry.first))
                elif not is_erased and (figures := engaged(record, entry.first.accepted_at)) is not None:
                    going.append(figures)
        refuse_our_own(self._bulk.write(entered).refused)
        return self._without_erased_authors(going)

    def _without_erased_authors(self, going: Sequence[Admitted]) -> list[Admitted]:
        """What goes on but for what erased authors had published before: that is dropped (`erased`)."""
        if self._authors is None:
            self._authors = erased_authors(self._client, self._prefix)
        kept: list[Admitted] = []
        dropped: list[Operation] = []
        for record in going:
            at = self._authors.get(record.author or "") if isinstance(record, Document) else None
            if isinstance(record, Document) and at is not None and record.published_at <= at:
                entry = ledger_source(record.id, record.source, record.accepted_at, "dropped") | {"ledger.rule": ERASED}
                dropped.append(Operation(self._ledger, f"{record.id}.dropped", orjson.dumps(entry), version=DELETED))
            else:
                kept.append(record)
        refuse_our_own(self._bulk.write(dropped).refused)
        return kept

    def _entered(self, record: Record, digest: str, first: First, *, is_revision: bool) -> list[Operation]:
        """One entry a delivery, by its digest, beside the entry it follows: so a replay counts it once."""
        state = "revision" if is_revision else "duplicate"
        line = ledger_source(record.id, first.source, first.accepted_at, state)
        found = [Operation(self._ledger, content_id(record.id, digest), orjson.dumps(line))]
        if is_revision:
            head = ledger_source(record.id, first.source, first.accepted_at, "version")
            body = orjson.dumps(head | {"ledger.version": record.version})
            found.append(Operation(self._ledger, f"{record.id}.version", body, version=record.version))
        return found

    def _known(self, others: Mapping[tuple[str, str], Record], there: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """What the ledger has of these deliveries, and which versions of their ids and of those already there stand."""
        ids = {f"{id_}.version" for id_ in (*there, *(id_ for id_, _ in others))} | {
            content_id(id_, digest) for id_, digest in others
        }
        return {id_: source for id_, source in self._sources(sorted(ids)).items() if source is not None}

    def _entries(self, ids: Iterable[str]) -> dict[str, _Entry]:
        found = {}
        for id_, source in self._sources(sorted(ids)).items():
            if source is None:  # retired in this very moment; the next attempt enters it anew
                raise RetryableError(f"the ledger's entry {id_} was there and is not", after_s=1)
            published = source.get("ledger.published_at")
            first = First(
                source["event.provider"],
                datetime.fromisoformat(source["@timestamp"]),
                datetime.fromisoformat(published) if published else None,
            )
            is_refused = source.get("ledger.rule") == _REFUSED
            found[id_] = _Entry(first, source["ledger.digest"], source.get("ledger.version", 0), is_refused)
        return found

    def _sources(self, ids: Sequence[str]) -> dict[str, Mapping[str, Any] | None]:
        if not ids:
            return {}
        with asking():
            answer = self._client.mget(index=self._ledger, ids=list(ids))
        return {each["_id"]: each.get("_source") for each in answer["docs"]}


def erased_authors(client: Elasticsearch, prefix: str) -> dict[str, datetime]:
    """Pseudonyms of authors that were erased, and when."""
    reader, begin = Reader(client), f"{ERASED}."
    with reader.view(index_of(prefix, "state")) as view:
        hits = reader.walk(view, term("state.name", ERASED), (("state.up_to", "asc"),))
        return {
            str(hit["_id"]).removeprefix(begin): datetime.fromisoformat(hit["_source"]["state.up_to"]) for hit in hits
        }


def _published(record: Record) -> datetime | None:
    return record.published_at if isinstance(record, Document) else None


def _of(record: Record, digest: str) -> _Entry:
    first = First(record.source, record.accepted_at, _published(record))
    return _Entry(first, digest, record.version, isinstance(record, DeadLetter))


def _entry(record: Record, digest: str) -> bytes:
    published = _published(record)
    more = {
        "ledger.digest": digest,
        "ledger.version": record.version,
        "ledger.published_at": published and stamp(published),
        "ledger.rule": _REFUSED if isinstance(record, DeadLetter) else None,
    }
    told = {name: value for name, value in more.items() if value}
    return orjson.dumps(ledger_source(record.id, record.source, record.accepted_at, "accepted") | told)
