"""What would become of texts: accepted or refused, wanted by which watchlist and why not by the others.

For `source try` and `watchlist test`. The stages are the plan's own, with a pseudonym key that is thrown away.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from secrets import token_bytes
from typing import Literal

from opinionwatch.pipeline.accept import Accept, Arrival
from opinionwatch.pipeline.contracts import DeadLetter, Document, Match
from opinionwatch.pipeline.contracts_changes import Deletion
from opinionwatch.pipeline.match import MatchStage
from opinionwatch.pipeline.ports import Item, Source
from opinionwatch.pipeline.read import Read, ReadDocument
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.wiring import watchlists

End = Literal["matched", "dropped", "dead"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One text and how it would end."""

    end: End
    clauses: tuple[str, ...]
    """matched: each watchlist and the clause that wants it; dropped: the clause that keeps it out of each; dead: the
    reason and its detail.
    """
    document: Document | None
    """None when it would be dead."""
    read: ReadDocument | None = None
    matches: tuple[Match, ...] = ()


class Trials:
    """Tries items one by one. Raises SettingsError when a watchlist is wrong."""

    def __init__(self, settings: Settings) -> None:
        lists = watchlists(settings)
        self._accept = Accept(settings.limits, settings.tenant, token_bytes(32))
        self._read = Read()
        self._match = MatchStage(lists) if lists else None

    def of(self, source: Source, items: Iterable[Item], now: datetime) -> Iterator[Trial]:
        """How each item of a source would end, in their order."""
        for item in items:
            [accepted] = self._accept([Arrival(source.name, source.kind, source.instance, item)], now)
            if isinstance(accepted, DeadLetter):
                yield Trial("dead", (f"{accepted.reason}: {accepted.detail}",), None)
            elif isinstance(accepted, Deletion):
                yield Trial("dropped", ("deleted: its source has taken it back",), None)
            else:
                yield self._judged(accepted, now)

    def _judged(self, document: Document, now: datetime) -> Trial:
        [read] = self._read([document], now)
        if self._match is None:
            return Trial("dropped", ("no watchlists in the settings: nothing is wanted",), read.document, read)
        matches = self._match.matches(read.folded, read.language.tag)
        told = matches or self._match.refusals(read.folded, read.language.tag)
        clauses = tuple(f"{match.watchlist}: {match.clause}" for match in told)
        return Trial("matched" if matches else "dropped", clauses, read.document, read, matches)
