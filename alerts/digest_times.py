"""When a digest is due, and what becomes of it by how an attempt ends. Pure: `now` and the last state are given.

    waiting ──► pending ──► sending ──► waiting, told
       ▲           ▲           ├──────► pending again, later
       └───────────┴───────────┘        waiting, refused for good: the next digest tells this period, too

A period begins where the last one that was told ended. So a week in which the machine was off is in the next digest,
and none is told twice; only a crash between sending and noting it can repeat one, which then has the same id.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger

from opinionwatch.alerts.attempt import MOST_ATTEMPTS, waiting_s
from opinionwatch.alerts.channel import ReachedError, UncertainError
from opinionwatch.alerts.digest_settings import DigestSettings
from opinionwatch.pipeline.contracts_digest import Told
from opinionwatch.pipeline.errors import OpinionwatchError, RejectedError, RetryableError

LENGTH = {"day": timedelta(days=1), "week": timedelta(weeks=1)}
LONGEST = timedelta(days=35)
"""What a digest looks back at most."""
SHORTEST = timedelta(hours=2)
"""Where the clocks are put back a time of the day comes twice; the digest does not."""


def trigger(chosen: DigestSettings, zone: str) -> CronTrigger:
    """Its times in the calendar. `zone` counts where the digest names none."""
    hour, minute = chosen.at.split(":")
    on = {"day_of_week": chosen.weekday} if chosen.every == "week" else {}
    return CronTrigger(hour=hour, minute=minute, timezone=ZoneInfo(chosen.zone or zone), **on)


def last_time(times: CronTrigger, now: datetime, length: timedelta) -> datetime:
    """The last time in the calendar up to `now`, in UTC."""
    at = now.astimezone(UTC) - length - timedelta(days=1)
    found = at
    while at <= now:
        following = times.get_next_fire_time(None, at)
        if following is None or (moment := following.astimezone(UTC)) > now:
            break
        found, at = max(found, moment), max(at, moment) + timedelta(minutes=1)
    return found


def begun(times: CronTrigger, now: datetime, length: timedelta) -> Told:
    """The state of a digest that has never been: the next one tells what happened since the last time there was."""
    last = last_time(times, now, length)
    return Told(told_until=last, tried_until=last)


def due(told: Told, times: CronTrigger, now: datetime, length: timedelta) -> Told | None:
    """The state with the attempt that is to be made now, as it is saved before it; None when nothing is due."""
    if told.state == "waiting":
        until = last_time(times, now, length)
        if until - told.tried_until < SHORTEST:
            return None
        return told.model_copy(update={"state": "sending", "until": until, "attempts": 1, "detail": ""})
    if told.due_at is not None and told.due_at > now:
        return None
    uncertain = told.uncertain or told.state == "sending"
    return told.model_copy(update={"state": "sending", "attempts": told.attempts + 1, "uncertain": uncertain})


def since(told: Told) -> datetime:
    """Where the period begins that is to be told."""
    return max(told.told_until, (told.until or told.told_until) - LONGEST)


def after(tried: Told, name: str, error: Exception | None, now: datetime) -> Told:
    """The state after an attempt that ended with `error` (None: it got through)."""
    rest = {"state": "waiting", "until": None, "attempts": 0, "uncertain": False, "due_at": None}
    if error is None:
        return tried.model_copy(update={**rest, "told_until": tried.until, "tried_until": tried.until, "detail": ""})
    detail = str(error) if isinstance(error, OpinionwatchError) else f"defect in the channel ({type(error).__name__})"
    if isinstance(error, ReachedError) and tried.attempts >= MOST_ATTEMPTS:
        said = f"not told to all: {detail}"[:500]
        return tried.model_copy(update={**rest, "told_until": tried.until, "tried_until": tried.until, "detail": said})
    if isinstance(error, RejectedError) or tried.attempts >= MOST_ATTEMPTS:
        said = f"not told up to {tried.until:%Y-%m-%d %H:%M} UTC: {detail}; the next digest tells it, too"
        return tried.model_copy(update={**rest, "tried_until": tried.until, "detail": said[:500]})
    uncertain = isinstance(error, UncertainError) or not isinstance(error, OpinionwatchError)
    asked = error.after_s if isinstance(error, RetryableError) else None
    wait = timedelta(seconds=waiting_s(name, tried.attempts, asked))
    return tried.model_copy(
        update={"state": "sending" if uncertain else "pending", "due_at": now + wait, "detail": detail[:500]}
    )
