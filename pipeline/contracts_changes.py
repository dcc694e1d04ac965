"""The records of what becomes of a text after it was accepted: another version, a deletion, figures of engagement.

The whole algebra: an id has versions, ordered by `version_of` (an edit's time, then its contents), and `DELETED` is
above all of them. The highest version that was admitted decides where the id lies and what it says; a lower one that
comes later is a duplicate. Engagement is no version: it is replaced by what was seen later.
"""

from typing import Literal

from opinionwatch.pipeline.contracts import Engagement, Record, Utc
from opinionwatch.pipeline.versions import DELETED


class Deletion(Record):
    """A text that its author or its source has taken back. Of it remain its id, when, and the rule `deleted`."""

    schema_version: Literal[1] = 1
    id: str
    tenant: str
    source: str
    source_kind: str
    instance: str
    accepted_at: Utc
    first_at: Utc | None = None
    """When the text was first accepted; None: it never was."""

    @property
    def version(self) -> int:
        """Above every other."""
        return DELETED


class Withdrawal(Record):
    """What a later version takes back: the document is said in no watchlist any more but `keeps`. For the trend hop."""

    schema_version: Literal[1] = 1
    document_id: str
    version: int
    at: Utc
    """When that version was accepted."""
    keeps: tuple[str, ...] = ()


class Engaged(Record):
    """New figures for a text that is there already: an update of its weights, no document."""

    id: str
    accepted_at: Utc
    """Of the document: with it, where it lies."""
    engagement: Engagement
