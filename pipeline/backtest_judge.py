"""The figures of a back-test: what would have been sent, what of it was false, how late the true alarms were.

An alarm finds an event when it opens between the event's start and two hours after its end; every other one is false.
Without marked events nobody can say which alarms are false, so all of them are counted as if they were.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import median

from opinionwatch.pipeline.backtest_events import Event
from opinionwatch.pipeline.contracts import Record, Utc
from opinionwatch.pipeline.contracts_trend import Alert, AlertEvent, Episode

GRACE = timedelta(hours=2)
NEGATIVE = ("crisis", "tone shift")


class Verdict(Record):
    """One marked event and the first alarm that found it, if any."""

    watchlist: str
    name: str
    start: Utc
    end: Utc
    should_alert: bool
    opened_at: Utc | None
    delay_min: float | None

    @property
    def right(self) -> bool:
        """Whether it was found, or rightly left alone."""
        return (self.opened_at is not None) == self.should_alert


class Figures(Record):
    """What one set of settings would have done."""

    settings: str
    per_week_nominal: float
    """The budget: false alarms per watchlist-week."""
    watchlist_weeks: float
    sent: dict[AlertEvent, int]
    """Alerts by event, as they would have gone to the channels."""
    false_alarms: int
    per_week_realised: float
    events: int
    """Events that should have been told."""
    found: int
    median_delay_min: float | None
    verdicts: tuple[Verdict, ...]
    alarms: tuple[Episode, ...]
    """As they opened."""
    false_ids: tuple[str, ...]


def judged(
    name: str,
    alerts: Sequence[Alert],
    events: Sequence[Event],
    *,
    nominal: float,
    watchlists: int,
    period: tuple[datetime, datetime],
) -> Figures:
    """The figures of one candidate's alerts."""
    opened = [alert.episode for alert in alerts if alert.event == "opened" and alert.episode.kind in NEGATIVE]
    hits = {number: [one for one in opened if _finds(one, event)] for number, event in enumerate(events)}
    true = {one.id for number, found in hits.items() if events[number].should_alert for one in found}
    weeks = watchlists * (period[1] - period[0]) / timedelta(weeks=1)
    verdicts = tuple(_verdict(event, hits[number]) for number, event in enumerate(events))
    delays = [verdict.delay_min for verdict in verdicts if verdict.should_alert and verdict.delay_min is not None]
    wrong = tuple(one.id for one in opened if one.id not in true)
    kinds: tuple[AlertEvent, ...] = ("opened", "escalated", "updated", "resolved")
    return Figures(
        settings=name,
        per_week_nominal=nominal,
        watchlist_weeks=weeks,
        sent={kind: sum(alert.event == kind for alert in alerts) for kind in kinds},
        false_alarms=len(wrong),
        per_week_realised=len(wrong) / weeks if weeks else 0.0,
        events=sum(event.should_alert for event in events),
        found=len(delays),
        median_delay_min=median(delays) if delays else None,
        verdicts=verdicts,
        alarms=tuple(opened),
        false_ids=wrong,
    )


def _finds(episode: Episode, event: Event) -> bool:
    return episode.watchlist == event.watchlist and event.start <= episode.opened_at <= event.end + GRACE


def _verdict(event: Event, found: Sequence[Episode]) -> Verdict:
    opened = found[0].opened_at if found else None
    return Verdict(
        watchlist=event.watchlist,
        name=event.name,
        start=event.start,
        end=event.end,
        should_alert=event.should_alert,
        opened_at=opened,
        delay_min=None if opened is None else (opened - event.start).total_seconds() / 60,
    )
