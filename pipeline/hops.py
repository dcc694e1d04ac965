"""The plan's hops as callables: what `wiring` builds from the settings and a runtime executes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from opinionwatch.pipeline.accept import Arrival
from opinionwatch.pipeline.contracts import DeadLetter, Document, Drop, Mention, ScoredDocument
from opinionwatch.pipeline.contracts_changes import Deletion
from opinionwatch.pipeline.contracts_trend import Alert, Delivery, Episode, Silence
from opinionwatch.pipeline.ports import StatefulStage
from opinionwatch.pipeline.ticks import Watched

Scored = ScoredDocument | Mention | Drop | DeadLetter
"""What the score hop returns."""
Ingest = Callable[[Sequence[Arrival], datetime], Sequence[Document | Deletion | DeadLetter]]
"""The ingest hop."""


@dataclass(frozen=True)
class Hops:
    """One callable a hop; `trend` makes a new stage, because a runtime may have to rebuild its state."""

    ingest: Ingest
    score: Callable[[Sequence[Document], datetime], Sequence[Scored]]
    trend: Callable[[], StatefulStage]
    notify: Callable[[Sequence[Alert | Silence | Delivery | Episode], datetime], Sequence[Delivery]]
    """Beside the alerts it takes what it has to remember: silences, recent deliveries, open episodes."""
    watched: Watched
    """Whom the settings name, for the trend hop."""
