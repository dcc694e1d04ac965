"""Why a delivery that waits need not be sent any more, as far as the archive knows when its time has come."""

from collections.abc import Callable

from opinionwatch.alerts.route import silenced
from opinionwatch.pipeline.archive import Archive
from opinionwatch.pipeline.contracts_trend import Delivery
from opinionwatch.pipeline.ports import Clock


def excuse(archive: Archive, clock: Clock) -> Callable[[Delivery], str]:
    """The reason, or nothing: an escalation after an answer, after the end, or while the watchlist is silenced; a word
    that was held until after a later one about the same episode was told, so that nobody hears of an opening after the
    end.
    """

    def reason(delivery: Delivery) -> str:
        episode_id = delivery.alert.episode.id
        if delivery.purpose != "escalation":
            return _overtaken(delivery, archive) if delivery.group and not delivery.uncertain else ""
        for one in reversed(archive.feedback(episode_id)):
            return f"not escalated: {one.verb} by {one.by} at {one.at:%Y-%m-%d %H:%M} UTC ({one.via})"
        episode = archive.episode(episode_id)
        if episode is not None and episode.resolved_at is not None:
            return f"not escalated: it ended at {episode.resolved_at:%Y-%m-%d %H:%M} UTC"
        quiet = silenced(archive.silences(), delivery.alert.episode.watchlist, clock())
        return f"not escalated: {quiet}" if quiet else ""

    return reason


def _overtaken(delivery: Delivery, archive: Archive) -> str:
    for one in archive.deliveries(delivery.alert.episode.id):
        if one.channel == delivery.channel and one.state == "sent" and one.alert.at > delivery.alert.at:
            return (
                f"not told: what came later was told before it ({one.alert.event}, {one.alert.at:%Y-%m-%d %H:%M} UTC)"
            )
    return ""
