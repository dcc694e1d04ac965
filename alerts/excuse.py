"""Why a delivery that waits need not be sent any more, or not yet, as far as the archive knows when it is due."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from opinionwatch.alerts.route import silence_of, silenced
from opinionwatch.pipeline.archive import Archive
from opinionwatch.pipeline.contracts_trend import Delivery
from opinionwatch.pipeline.ports import Clock

LOOK_AGAIN = timedelta(minutes=5)
"""So soon an escalation is told after somebody has ended a silence early."""


class Excuse(NamedTuple):
    """Why a delivery is not sent now."""

    reason: str
    until: datetime | None = None
    """When it is asked again; None: it is never sent."""


def excuse(archive: Archive, clock: Clock) -> Callable[[Delivery], Excuse | None]:
    """The excuse, if there is one: an escalation after an answer or after the end, and until a silence of the watchlist
    is over (who has answered a warning has not answered that it turned critical); the end of an episode where no
    escalation of it was told; a word that was held, or has failed, until after a later one about the same episode was
    told, so that nobody hears of an opening after the end.
    """

    def found(delivery: Delivery) -> Excuse | None:
        may_be_there = delivery.uncertain or delivery.state == "sending"
        if delivery.purpose == "escalation" and delivery.alert.event == "resolved":
            return None if may_be_there else _unheard(delivery, archive, clock())
        if delivery.purpose == "escalation":
            return _needless(delivery, archive) or _not_yet(delivery, archive, clock())
        if may_be_there and delivery.joined:  # a message is repeated whole
            return None
        return _overtaken(delivery, archive)

    return found


def _needless(delivery: Delivery, archive: Archive) -> Excuse | None:
    episode_id = delivery.alert.episode.id
    answers = archive.feedback(episode_id)
    turned = _turned_critical(delivery, archive) if answers else None
    one = next((one for one in reversed(answers) if turned is None or one.at >= turned), None)
    if one is not None:
        return Excuse(f"not escalated: {one.verb} by {one.by} at {one.at:%Y-%m-%d %H:%M} UTC ({one.via})")
    episode = archive.episode(episode_id)
    if episode is not None and episode.resolved_at is not None:
        return Excuse(f"not escalated: it ended at {episode.resolved_at:%Y-%m-%d %H:%M} UTC")
    return None


def _turned_critical(delivery: Delivery, archive: Archive) -> datetime | None:
    """When people could first hear that it is critical, if that is what this delivery says."""
    if delivery.alert.episode.severity != "critical":
        return None
    alerts = archive.deliveries(delivery.alert.episode.id, limit=1000)
    told = (one.due_at for one in alerts if one.purpose == "alert" and one.alert.episode.severity == "critical")
    return min(told, default=None)


def _not_yet(delivery: Delivery, archive: Archive, now: datetime) -> Excuse | None:
    silence = silence_of(archive.silences(), delivery.alert.episode.watchlist, now)
    if silence is None:
        return None
    return Excuse(f"put off: {silenced(silence)}", min(silence.ends_at, now + LOOK_AGAIN))


def _unheard(delivery: Delivery, archive: Archive, now: datetime) -> Excuse | None:
    """What is due and not yet known to have been sent counts as told: archives may be a second late."""
    told = (
        one
        for one in archive.deliveries(delivery.alert.episode.id, limit=1000)
        if one.channel == delivery.channel and one.id != delivery.id
        if one.uncertain or one.state in ("sending", "sent") or (one.state == "pending" and one.due_at <= now)
    )
    last = max(told, key=lambda one: one.alert.at, default=None)
    if last is not None and last.alert.event != "resolved":
        return None
    return Excuse("not told: no escalation of it was told here")


def _overtaken(delivery: Delivery, archive: Archive) -> Excuse | None:
    for one in archive.deliveries(delivery.alert.episode.id):
        if one.channel == delivery.channel and one.state == "sent" and one.alert.at > delivery.alert.at:
            later = f"{one.alert.event}, {one.alert.at:%Y-%m-%d %H:%M} UTC"
            return Excuse(f"not told: what came later was told before it ({later})")
    return None
