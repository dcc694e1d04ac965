"""Why a delivery that waits need not be sent any more, as far as the archive knows when its time has come."""

from collections.abc import Callable
from datetime import datetime

from opinionwatch.alerts.route import silenced
from opinionwatch.pipeline.archive import Archive
from opinionwatch.pipeline.contracts_trend import Delivery
from opinionwatch.pipeline.ports import Clock


def excuse(archive: Archive, clock: Clock) -> Callable[[Delivery], str]:
    """The reason, or nothing: an escalation after an answer, after the end, or while the watchlist is silenced, and the
    end of an episode where no escalation of it was told; a word that was held, or has failed, until after a later one
    about the same episode was told, so that nobody hears of an opening after the end.
    """

    def reason(delivery: Delivery) -> str:
        may_be_there = delivery.uncertain or delivery.state == "sending"
        if delivery.purpose == "escalation" and delivery.alert.event == "resolved":
            return "" if may_be_there else _unheard(delivery, archive, clock())
        if delivery.purpose == "escalation":
            return _needless(delivery, archive, clock())
        if may_be_there and delivery.joined:  # a message is repeated whole
            return ""
        return _overtaken(delivery, archive)

    return reason


def _needless(delivery: Delivery, archive: Archive, now: datetime) -> str:
    episode_id = delivery.alert.episode.id
    for one in reversed(archive.feedback(episode_id)):
        return f"not escalated: {one.verb} by {one.by} at {one.at:%Y-%m-%d %H:%M} UTC ({one.via})"
    episode = archive.episode(episode_id)
    if episode is not None and episode.resolved_at is not None:
        return f"not escalated: it ended at {episode.resolved_at:%Y-%m-%d %H:%M} UTC"
    quiet = silenced(archive.silences(), delivery.alert.episode.watchlist, now)
    return f"not escalated: {quiet}" if quiet else ""


def _unheard(delivery: Delivery, archive: Archive, now: datetime) -> str:
    """What is due and not yet known to have been sent counts as told: archives may be a second late."""
    told = (
        one.uncertain or one.state in ("sending", "sent") or (one.state == "pending" and one.due_at <= now)
        for one in archive.deliveries(delivery.alert.episode.id, limit=1000)
        if one.channel == delivery.channel and one.alert.event != "resolved"
    )
    return "" if any(told) else "not told: no escalation of it was told here"


def _overtaken(delivery: Delivery, archive: Archive) -> str:
    for one in archive.deliveries(delivery.alert.episode.id):
        if one.channel == delivery.channel and one.state == "sent" and one.alert.at > delivery.alert.at:
            return (
                f"not told: what came later was told before it ({one.alert.event}, {one.alert.at:%Y-%m-%d %H:%M} UTC)"
            )
    return ""
