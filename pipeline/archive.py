"""What the page, the API, the export and the audit may ask of a store. SQLite and Elasticsearch answer alike."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from opinionwatch.pipeline.contracts import DeadLetter, Gap, Label, ScoredDocument, Utc
from opinionwatch.pipeline.contracts_trend import Delivery, Episode, Feedback, Silence, Window


@dataclass(frozen=True, slots=True)
class DocumentQuery:
    """Which documents; all conditions must hold. Newest first by event time, unless asked otherwise."""

    watchlist: str | None = None
    source: str | None = None
    lang: str | None = None
    label: Label | None = None
    """Sentiment; together with a watchlist, the one towards it."""
    aspect: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None
    """Case-insensitive substring of the shown text."""
    engaged: bool = False
    """Those with the most engagement first, then newest."""
    limit: int = 50


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One source and hour of accepted time: `accepted = indexed + dead + dropped + pending`, or there is a gap."""

    source: str
    hour: str
    """`2026-03-08T14Z`."""
    accepted: int
    indexed: int
    dead: int
    dropped: int
    pending: int
    duplicates: int
    """Deliveries of an id already accepted; in none of the other columns."""

    @property
    def gap(self) -> int:
        """Documents that ended nowhere; anything but 0 is a defect."""
        return self.accepted - self.indexed - self.dead - self.dropped - self.pending


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """How a source is doing, from what was accepted from it."""

    source: str
    accepted: int
    last_accepted_at: Utc | None
    last_published_at: Utc | None


class Archive(Protocol):
    """Read access. Every answer is bounded; times are UTC; safe to call from several threads."""

    def documents(self, query: DocumentQuery) -> list[ScoredDocument]:
        """Documents, newest event time first; at most `query.limit` (≤ 1,000)."""
        ...

    def every_document(self) -> Iterator[ScoredDocument]:
        """All documents in the order of their ids, in bounded memory: for the export and for recomputation."""
        ...

    def document(self, document_id: str) -> ScoredDocument | None:
        """One document."""
        ...

    def documents_of(self, document_ids: Sequence[str]) -> list[ScoredDocument]:
        """These documents (at most 1,000) in the order of the ids; those that are not there are left out."""
        ...

    def windows(self, watchlist: str, since: datetime, until: datetime) -> list[Window]:
        """All windows of a watchlist whose start is in `[since, until)`, by start, source, aspect."""
        ...

    def span(self, watchlist: str | None = None) -> tuple[datetime, datetime] | None:
        """First and last window start there is; None when there is none."""
        ...

    def episodes(self, watchlist: str | None = None, limit: int = 100) -> list[Episode]:
        """Newest first by opening time."""
        ...

    def episode(self, episode_id: str) -> Episode | None:
        """One episode as it stands now."""
        ...

    def deliveries(self, episode_id: str | None = None, limit: int = 200) -> list[Delivery]:
        """What was or will be sent, newest first."""
        ...

    def deadletters(self, reason: str | None = None, limit: int = 100) -> list[DeadLetter]:
        """Newest first."""
        ...

    def deadletter(self, deadletter_id: str) -> DeadLetter | None:
        """One dead letter."""
        ...

    def ledger(self) -> list[LedgerRow]:
        """By source and hour."""
        ...

    def misfiled(self) -> int:
        """Ids that lie in two places, or in another one than the ledger says: anything but 0 is a defect."""
        ...

    def dead(self) -> dict[str, int]:
        """Dead letters by reason."""
        ...

    def dropped(self) -> dict[str, int]:
        """Documents left out, by rule."""
        ...

    def gaps(self, limit: int = 100) -> list[Gap]:
        """What sources could not have any more, newest first by when it was found, then by id; at most 1,000."""
        ...

    def health(self) -> list[SourceHealth]:
        """By source."""
        ...

    def silences(self) -> list[Silence]:
        """All that have not been removed, newest first; expired ones too."""
        ...

    def add_silence(self, silence: Silence) -> None:
        """Store (or replace) a silence; beside answers the only thing people write."""
        ...

    def feedback(self, episode_id: str | None = None, limit: int = 200) -> list[Feedback]:
        """What people answered to an episode (None: to any), newest first."""
        ...

    def add_feedback(self, feedback: Feedback) -> bool:
        """Store an answer; durable when it returns. False: one of that id is there, and stays as it is."""
        ...

    def notes(self, prefix: str) -> dict[str, str]:
        """What the owner of the outbox has noted (`Notes`), by the rest of the name after `prefix`; at most 1,000."""
        ...

    def note_export(self, path: Path, documents: int, at: datetime) -> None:
        """Remember a file that documents were written to: an erasure names it."""
        ...

    def exports(self) -> list[tuple[Path, datetime, int]]:
        """Files that documents were written to, when, and how many."""
        ...

    def revision(self) -> int:
        """A number that changes whenever anything above may have changed."""
        ...

    def now(self) -> datetime | None:
        """The pipeline's own time: the end of its last closed tick (simulated in a replay); None before the first."""
        ...
