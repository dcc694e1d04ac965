"""What is written to Elasticsearch for what a hop returned: operations that may be repeated and change nothing then.

What never changes (first drops, ledger entries, deliveries) is created, and the first one stays. What has versions
(documents), grows or is told anew (windows, episodes, dead letters) carries its version, and the higher one stays: a
process that was only paused, and wakes up with yesterday's window, takes nothing back. What ends a later version of a
text takes away, with that version, what the earlier ones were: the document, its dead letter, its drop.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import orjson

from opinionwatch.pipeline.contracts import DeadLetter, Document, Drop, Gap, Mention, ScoredDocument
from opinionwatch.pipeline.contracts_changes import Deletion, Engaged
from opinionwatch.pipeline.contracts_trend import Delivery, Episode, Window
from opinionwatch.pipeline.elastic_mapping import index_of
from opinionwatch.pipeline.elastic_records import (
    Source,
    delivery_source,
    document_source,
    episode_source,
    gap_source,
    ledger_source,
    letter_source,
    window_source,
)
from opinionwatch.pipeline.errors import FatalError
from opinionwatch.pipeline.ports import Outcome
from opinionwatch.pipeline.revisions import about


@dataclass(frozen=True, slots=True)
class Operation:
    """One line pair of a bulk request. Repeating it changes nothing."""

    index: str
    id: str
    source: bytes
    version: int | None = None
    """None: create, and what is there already stays. Else: the higher version stays."""
    once: bool = False
    """Of the same version, what is there already stays."""
    document: Document | None = None
    """What becomes a dead letter when the index refuses this; None where a refusal is our own mistake."""
    scorer: str | None = None
    """Who has read it."""
    delete: bool = False

    @property
    def lines(self) -> bytes:
        """As bulk wants it."""
        head: Source = {"_index": self.index, "_id": self.id}
        action: Literal["create", "index"] = "create"
        if self.version is not None:
            head |= {"version": self.version, "version_type": "external" if self.once else "external_gte"}
            action = "index"
        if self.delete:
            return orjson.dumps({"delete": head}) + b"\n"
        return orjson.dumps({action: head}) + b"\n" + self.source + b"\n"


def operations(prefix: str, records: Iterable[Outcome]) -> list[Operation]:
    """What to write for what a hop returned. Of several writes to one place only one is made (the last, or the first
    where the first one counts), so that bulks that are under way together cannot overtake each other.

    Raises FatalError for a mention without its document.
    """
    given = list(records)
    said: dict[str, list[Mention]] = {}
    for record in given:
        if isinstance(record, Mention):
            said.setdefault(record.document_id, []).append(record)
    alone = said.keys() - {record.id for record in given if isinstance(record, ScoredDocument)}
    if alone:
        raise FatalError(f"a mention came without its document {min(alone)}: they are written together")
    made: dict[tuple[str, str], Operation] = {}
    for record in given:
        if isinstance(record, Mention | Engaged):
            continue
        for operation in (_operation(prefix, record, said), *_room(prefix, record)):
            place = operation.index, operation.id
            if operation.version is not None or place not in made:
                made[place] = operation
    return list(made.values())


def _room(prefix: str, record: Outcome) -> list[Operation]:
    """What a later version of a text takes away of the earlier ones."""
    name, version = about(record)
    if isinstance(record, Mention | Engaged) or not version:
        return []
    at = record.accepted_at if isinstance(record, Drop | DeadLetter) else None
    if isinstance(record, ScoredDocument):
        if record.document.revised_at is None:
            return []
        at = record.document.accepted_at
    elif isinstance(record, Deletion):
        at = record.first_at
    if at is None:
        return []
    places = {
        ScoredDocument: (index_of(prefix, "documents", at), name),
        DeadLetter: (index_of(prefix, "deadletters", at), name),
        Drop: (index_of(prefix, "ledger"), f"{name}.dropped"),
    }
    own = Drop if isinstance(record, Deletion) else type(record)
    return [
        Operation(index, id_, b"", version=version, delete=True)
        for kind, (index, id_) in places.items()
        if kind is not own
    ]


def operations_of_parts(prefix: str, parts: Iterable[Iterable[Outcome]]) -> Iterator[Operation]:
    """The same, part by part and no sooner than asked for; a document's mentions come in its part.

    What is written once goes out at once. What else carries a version waits for the last part, which knows the last
    write.
    """
    made: set[tuple[str, str, int | None]] = set()
    last: dict[tuple[str, str], Operation] = {}
    for part in parts:
        for operation in operations(prefix, part):
            place = operation.index, operation.id, operation.version
            if operation.version is not None and not operation.once:
                last[place[:2]] = operation
            elif place not in made:
                made.add(place)
                yield operation
    yield from last.values()


def _operation(
    prefix: str,
    record: ScoredDocument | Drop | DeadLetter | Deletion | Window | Episode | Delivery | Gap,
    said: dict[str, list[Mention]],
) -> Operation:
    match record:
        case ScoredDocument(document=document):
            source = orjson.dumps(document_source(record, said.get(record.id, [])))
            index = index_of(prefix, "documents", document.accepted_at)
            return Operation(
                index, record.id, source, version=document.version, once=True, document=document, scorer=record.scorer
            )
        case Drop() | Deletion():
            at = (record.first_at or record.accepted_at) if isinstance(record, Deletion) else record.accepted_at
            entry = ledger_source(record.id, record.source, at, "dropped") | {
                "ledger.rule": "deleted" if isinstance(record, Deletion) else record.rule
            }
            version = record.version or None
            return Operation(index_of(prefix, "ledger"), f"{record.id}.dropped", orjson.dumps(entry), version=version)
        case DeadLetter():
            index = index_of(prefix, "deadletters", record.accepted_at)
            return Operation(
                index, record.id, orjson.dumps(letter_source(record)), version=record.version + record.attempts
            )
        case Gap():
            return Operation(index_of(prefix, "gaps"), record.id, orjson.dumps(gap_source(record)))
        case Window():
            # Whoever has seen more happen to a window is right, and a straggler takes nothing back.
            index = index_of(prefix, "windows", record.start)
            return Operation(index, record.id, orjson.dumps(window_source(record)), version=record.edition)
        case Episode():
            version = round(record.updated_at.timestamp() * 1_000_000)
            source = orjson.dumps(episode_source(record))
            return Operation(index_of(prefix, "episodes"), record.id, source, version=version)
        case Delivery():
            return Operation(index_of(prefix, "deliveries"), record.id, orjson.dumps(delivery_source(record)))
