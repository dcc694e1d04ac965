"""How each source is doing by what the store has of it: for people at a terminal, in both runtimes."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

from opinionwatch.pipeline.archives import archive_of
from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.usual import usual_by_source

NEWEST = 1_000
"""Gaps that are counted."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the store says of a source."""

    last: datetime | None = None
    """When its last document was accepted."""
    behind_s: float | None = None
    """How old that was then."""
    last_hour: int | None = None
    usual: float | None = None
    silent: bool = False
    gaps: int = 0
    """How often its service had dropped something before it was asked for, of the newest 1,000 times of all sources."""

    def words(self) -> tuple[str, str]:
        """Its last document and its pace.

        >>> Standing(datetime(2026, 3, 1, 12, tzinfo=UTC), 90.0, 7, 12.4, silent=True).words()
        ('2026-03-01 12:00, 90 s after it was published', '7 / 12.4, silent')
        >>> Standing().words()
        ('-', '-')
        """
        if self.last is None:
            return "-", "-"
        behind = "" if self.behind_s is None else f", {self.behind_s:.0f} s after it was published"
        usual = "unknown" if self.usual is None else f"{self.usual:.1f}"
        pace = "-" if self.last_hour is None else f"{self.last_hour} / {usual}"
        return f"{self.last:%Y-%m-%d %H:%M}{behind}", f"{pace}{', silent' if self.silent else ''}"


def standings(settings: Settings) -> dict[str, Standing]:
    """By source; nothing where there is no store yet, or it cannot be reached now."""
    try:
        archive = archive_of(settings)
        now = archive.now() or datetime.now(UTC)
        usual = usual_by_source([(row.source, row.hour, row.accepted) for row in archive.ledger()], now)
        health = archive.health()
        gaps = Counter(gap.source for gap in archive.gaps(limit=NEWEST))
    except (FatalError, RetryableError):
        return {}
    found = {name: Standing(gaps=count) for name, count in gaps.items()}
    for row in health:
        own, last, published = usual.get(row.source), row.last_accepted_at, row.last_published_at
        found[row.source] = Standing(
            last=last,
            behind_s=None if last is None or published is None else max(0.0, (last - published).total_seconds()),
            last_hour=own.last_hour() if own else None,
            usual=own.usual_last_hour() if own else None,
            silent=own is not None and own.is_silent(last),
            gaps=gaps[row.source],
        )
    return found
