"""Which deliveries of an id change something, and what follows from it: the rules that every store and runtime share.

unknown id                    new: the ledger's one entry, and the document lies by its times for ever
a higher version than known   a revision: takes the place of what is there, but source and times stay the first's
whole after it was refused    a later version than the dead letter, and earlier than every edit
anything else                 a duplicate, counted; figures of engagement that it brings are kept
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from opinionwatch.pipeline.contracts import DeadLetter, Document, Drop, Mention, ScoredDocument, content_id
from opinionwatch.pipeline.contracts_changes import Deletion, Engaged, Withdrawal

Record = Document | Deletion | DeadLetter
"""What ingest delivers."""
Admitted = Record | Engaged
"""What a ledger lets go on."""
Ended = TypeVar("Ended")

_SINCE = ("edited_at", "revised_at", "engagement", "version")
"""Fields that documents have not always had."""


@dataclass(frozen=True, slots=True)
class First:
    """What an id keeps of its first acceptance, whatever later versions say."""

    source: str
    accepted_at: datetime
    published_at: datetime | None


def revised(record: Record, first: First) -> Record:
    """A later version in the place and the times of the first one."""
    if isinstance(record, Deletion):
        return record.model_copy(update={"source": first.source, "first_at": first.accepted_at})
    if isinstance(record, DeadLetter):
        return record
    return record.model_copy(
        update={
            "source": first.source,
            "accepted_at": first.accepted_at,
            "published_at": first.published_at or record.published_at,
            "revised_at": record.accepted_at,
        }
    )


def righted(record: Record, first: First) -> Record:
    """A text whose id became known by a delivery that was refused: as edited when it was published, or when that
    delivery came if that was sooner. So it is above the dead letter, below every edit, and the same each time it comes.
    """
    if not isinstance(record, Document) or record.edited_at is not None:
        return record
    return record.model_copy(update={"edited_at": min(record.published_at, first.accepted_at)})


def engaged(record: Record, accepted_at: datetime) -> Engaged | None:
    """The figures that a duplicate brings."""
    if not isinstance(record, Document) or record.engagement is None:
        return None
    return Engaged(id=record.id, accepted_at=accepted_at, engagement=record.engagement)


def digest_of(record: Record) -> str:
    """What tells a record that comes again from another record of the same id. Fields that came later count only where
    they say something, so what an older version has entered in the ledger is recognised.
    """
    new = {name for name in _SINCE if getattr(record, name, None) in (None, 0)}
    return content_id(record.model_dump_json(exclude=new))


def withdrawals(admitted: Iterable[Admitted], outcomes: Iterable[object]) -> list[Withdrawal]:
    """What later versions take back, once they are scored: the document is said only where they have a mention."""
    revisions = [
        record
        for record in admitted
        if isinstance(record, Deletion) or (isinstance(record, Document) and record.revised_at is not None)
    ]
    said: dict[tuple[str, int], list[str]] = {}
    if revisions:
        for outcome in outcomes:
            if isinstance(outcome, Mention):
                said.setdefault((outcome.document_id, outcome.version), []).append(outcome.watchlist)
    return [
        Withdrawal(
            document_id=record.id,
            version=record.version,
            at=(record.revised_at or record.accepted_at) if isinstance(record, Document) else record.accepted_at,
            keeps=tuple(said.get((record.id, record.version), ())),
        )
        for record in revisions
    ]


def latest(outcomes: Sequence[Ended]) -> list[Ended]:
    """The outcomes without those of versions that others of the same batch supersede."""
    return standing(outcomes, highest_of(outcomes))


def highest_of(records: Iterable[object]) -> dict[str, int]:
    """The highest version of each id in a batch, of records or of their outcomes."""
    highest: dict[str, int] = {}
    for record in records:
        name, version = about(record)
        highest[name] = max(version, highest.get(name, 0))
    return highest


def standing(outcomes: Iterable[Ended], highest: Mapping[str, int]) -> list[Ended]:
    """The outcomes without those of versions that are not the highest of their id."""
    return [outcome for outcome in outcomes if about(outcome)[1] >= highest.get(about(outcome)[0], 0)]


def about(outcome: object) -> tuple[str, int]:
    """Which version of which document a record or its outcome is about; of none: an empty id."""
    match outcome:
        case ScoredDocument(document=document):
            return document.id, document.version
        case Mention():
            return outcome.document_id, outcome.version
        case Document() | Drop() | DeadLetter() | Deletion():
            return outcome.id, outcome.version
        case _:
            return "", 0
