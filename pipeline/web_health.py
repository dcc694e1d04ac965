"""How the pipeline is doing: sources, the audit, what was left out and what could not be taken."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Protocol, TypedDict, runtime_checkable

from opinionwatch.pipeline.archive import Archive, LedgerRow, SourceHealth
from opinionwatch.pipeline.contracts import Gap, Record, Utc
from opinionwatch.pipeline.usual import usual_by_source
from opinionwatch.pipeline.web_memo import Memo

TROUBLED = ("backing off", "circuit open", "failed")
NEGATIVE_KINDS = ("crisis", "tone shift")
EPISODES = 1000
ENDED = ("exhausted", "stopped")


class SourceStatus(Protocol):
    """What a runtime knows about a source while it runs."""

    @property
    def state(self) -> str:
        """`starting`, `running`, `waiting`, `backing off`, `circuit open`, `exhausted`, `failed` or `stopped`."""
        ...

    @property
    def last_error(self) -> str | None:
        """What went wrong last, in words without secrets; None when nothing did."""
        ...


@runtime_checkable
class AllowanceStatus(Protocol):
    """What a service lets a source ask (`connectors.quota.Quota`)."""

    @property
    def remaining(self) -> float:
        """Requests that may still be made in this period."""
        ...

    @property
    def resets_at(self) -> datetime | None:
        """When there will be more; None when the service does not say."""
        ...


@runtime_checkable
class DetailedStatus(Protocol):
    """What a runtime of ours knows besides."""

    @property
    def kinds(self) -> tuple[tuple[str, int], ...]:
        """Errors by kind."""
        ...

    @property
    def quota(self) -> AllowanceStatus | None:
        """What the service said last; None when it never says."""
        ...

    @property
    def last_success(self) -> datetime | None:
        """When a poll or a page was last completed."""
        ...


Status = Callable[[], Mapping[str, SourceStatus]]


class SourceLine(Record):
    """One source. `lag_s` is how long before pipeline time its last document was accepted, `behind_s` how long before
    its acceptance that was published; `usual` is what the last whole hour of the week usually brings.
    """

    source: str
    accepted: int
    last_accepted_at: Utc | None
    last_published_at: Utc | None
    lag_s: float | None
    silent: bool
    state: str | None = None
    detail: str | None = None
    behind_s: float | None = None
    last_hour: int | None = None
    usual: float | None = None
    last_success: Utc | None = None
    errors: tuple[tuple[str, int], ...] = ()
    """By kind, since the runtime began."""
    quota_left: float | None = None
    quota_until: Utc | None = None

    @property
    def failing(self) -> bool:
        """Whether the runtime has trouble with it."""
        return self.state in TROUBLED


class LedgerLine(Record):
    """`accepted = indexed + dead + dropped + pending + gap`; `hour` is None in a sum over hours."""

    source: str
    hour: str | None
    accepted: int
    indexed: int
    dead: int
    dropped: int
    pending: int
    duplicates: int
    gap: int


class Alarms(Record):
    """How often the detector has really alarmed, beside the budget it was given."""

    opened: int
    """Negative episodes there are; at most the newest 1,000."""
    watchlist_weeks: float
    per_week: float | None
    """Alarms per watchlist-week, true and false; None while there is no history."""
    budget: float | None
    """False alarms accepted per watchlist-week; None where nobody has said it."""


class Health(Record):
    """Everything at a glance. `now` is pipeline time."""

    now: Utc | None
    alarms: Alarms
    sources: tuple[SourceLine, ...]
    ledger: tuple[LedgerLine, ...]
    """One line a source, over all hours."""
    gap: int
    dead: dict[str, int]
    """By reason."""
    dropped: dict[str, int]
    """By rule."""
    gaps: tuple[Gap, ...]
    """What sources could not have, because it was dropped upstream before; the newest of them."""

    @property
    def silent(self) -> list[str]:
        """Sources that something came from once, but not of late, and nobody knows why."""
        return [line.source for line in self.sources if line.silent and not line.failing]

    @property
    def failing(self) -> list[str]:
        """Sources that a runtime has trouble with."""
        return [line.source for line in self.sources if line.failing]

    @property
    def refused(self) -> float:
        """Dead letters as a share of what was accepted."""
        accepted = sum(line.accepted for line in self.ledger)
        return sum(line.dead for line in self.ledger) / accepted if accepted else 0.0


def alarms_of(archive: Archive, watchlists: int, budget: float | None) -> Alarms:
    """How often an archive's detector has alarmed about so many watchlists, beside its budget."""
    span = archive.span()
    opened = sum(episode.kind in NEGATIVE_KINDS for episode in archive.episodes(limit=EPISODES))
    weeks = 0.0 if span is None else watchlists * ((span[1] - span[0]) / timedelta(weeks=1))
    rate = opened / weeks if weeks else None
    return Alarms(opened=opened, watchlist_weeks=weeks, per_week=rate, budget=budget)


class HealthReader:
    """Reads an archive's health, remembered for a moment: sums over the whole ledger are not free."""

    def __init__(
        self, archive: Archive, status: Status | None, watchlists: int = 0, budget: float | None = None
    ) -> None:
        self._archive = archive
        self._status = status
        self._watchlists, self._budget = watchlists, budget
        self._ledger: Memo[str, list[LedgerLine]] = Memo(at_most_s=10)
        self._health: Memo[str, Health] = Memo(at_most_s=10)

    def ledger(self) -> list[LedgerLine]:
        """The audit by source and hour."""
        return self._ledger("", lambda: [_line(row) for row in self._archive.ledger()])

    def health(self) -> Health:
        """All of it."""
        return self._health("", self._read)

    def _read(self) -> Health:
        now = self._archive.now()
        lines = self.ledger()
        return Health(
            now=now,
            alarms=alarms_of(self._archive, self._watchlists, self._budget),
            sources=tuple(self._sources(now, lines)),
            ledger=tuple(_sum(source, lines) for source in sorted({line.source for line in lines})),
            gap=sum(line.gap for line in lines),
            dead=self._archive.dead(),
            dropped=self._archive.dropped(),
            gaps=tuple(self._archive.gaps(limit=50)),
        )

    def _sources(self, now: datetime | None, lines: Iterable[LedgerLine]) -> Iterable[SourceLine]:
        counts = [(line.source, line.hour, line.accepted) for line in lines if line.hour is not None]
        usual = usual_by_source(counts, now) if now is not None else {}
        status = dict(self._status()) if self._status is not None else {}
        for row in self._archive.health():
            last = row.last_accepted_at
            lag = None if now is None or last is None else max(now - last, timedelta(0))
            known = status.pop(row.source, None)
            own = usual.get(row.source)
            silent = own.is_silent(last) if own is not None else True
            yield SourceLine(
                source=row.source,
                accepted=row.accepted,
                last_accepted_at=last,
                last_published_at=row.last_published_at,
                lag_s=None if lag is None else lag.total_seconds(),
                silent=silent and (known is None or known.state not in ENDED),
                state=known.state if known else None,
                detail=known.last_error if known else None,
                behind_s=_behind_s(row),
                last_hour=own.last_hour() if own else None,
                usual=own.usual_last_hour() if own else None,
                **_details(known),
            )
        for source, known in sorted(status.items()):
            yield SourceLine(
                source=source,
                accepted=0,
                last_accepted_at=None,
                last_published_at=None,
                lag_s=None,
                silent=False,
                state=known.state,
                detail=known.last_error,
                **_details(known),
            )


class _Details(TypedDict, total=False):
    last_success: datetime | None
    errors: tuple[tuple[str, int], ...]
    quota_left: float | None
    quota_until: datetime | None


def _details(known: SourceStatus | None) -> _Details:
    if not isinstance(known, DetailedStatus):
        return {}
    found = _Details(last_success=known.last_success, errors=known.kinds)
    if known.quota is not None:
        found |= _Details(quota_left=known.quota.remaining, quota_until=known.quota.resets_at)
    return found


def _behind_s(row: SourceHealth) -> float | None:
    if row.last_accepted_at is None or row.last_published_at is None:
        return None
    return max(0.0, (row.last_accepted_at - row.last_published_at).total_seconds())


def _line(row: LedgerRow) -> LedgerLine:
    return LedgerLine(
        source=row.source,
        hour=row.hour,
        accepted=row.accepted,
        indexed=row.indexed,
        dead=row.dead,
        dropped=row.dropped,
        pending=row.pending,
        duplicates=row.duplicates,
        gap=row.gap,
    )


def _sum(source: str, lines: Iterable[LedgerLine]) -> LedgerLine:
    own = [line for line in lines if line.source == source]
    return LedgerLine(
        source=source,
        hour=None,
        accepted=sum(line.accepted for line in own),
        indexed=sum(line.indexed for line in own),
        dead=sum(line.dead for line in own),
        dropped=sum(line.dropped for line in own),
        pending=sum(line.pending for line in own),
        duplicates=sum(line.duplicates for line in own),
        gap=sum(line.gap for line in own),
    )
