"""Who is told what: one delivery per alert and channel, with a named reason for everything that is not sent."""

from collections.abc import Collection, Sequence
from datetime import datetime

from opinionwatch.pipeline.contracts_trend import Alert, Delivery, Silence


class Route:
    """Stage: turns alerts into deliveries. Pure, and without memory.

    A batch carries the alerts and every silence there is. A silence counts when it is active at the alert's own time,
    so a replay is silenced where the live run was. Delivery ids follow from alert and channel: routing a batch again
    gives the same deliveries.
    """

    def __init__(self, channels: Sequence[str], *, informed: Collection[str] = ()) -> None:
        """`channels` are told warnings and worse, those in `informed` also what is mere information."""
        self._channels = tuple(channels)
        self._informed = frozenset(informed)

    def __call__(self, batch: Sequence[Alert | Silence], now: datetime) -> list[Delivery]:
        """One delivery per alert and channel, due `now`, in the order of the batch."""
        silences = sorted((item for item in batch if isinstance(item, Silence)), key=lambda item: item.id)
        return [
            self._delivery(alert, channel, silences, now)
            for alert in batch
            if isinstance(alert, Alert)
            for channel in self._channels
        ]

    def _delivery(self, alert: Alert, channel: str, silences: Sequence[Silence], now: datetime) -> Delivery:
        reason = ""
        silence = next((silence for silence in silences if _covers(silence, alert)), None)
        if silence is not None:
            comment = f": {silence.comment}" if silence.comment else ""
            end = silence.ends_at.strftime("%Y-%m-%d %H:%M UTC")
            reason = f"silenced by {silence.created_by} until {end}{comment} (silence {silence.id})"
        elif alert.episode.severity == "info" and channel not in self._informed:
            reason = f"information only; `info: true` on channel {channel} sends it there too"
        return Delivery(
            alert=alert,
            channel=channel,
            state="suppressed" if reason else "pending",
            due_at=now,
            detail=reason,
        )


def _covers(silence: Silence, alert: Alert) -> bool:
    if silence.watchlist not in (None, alert.episode.watchlist):
        return False
    return silence.starts_at <= alert.at < silence.ends_at
