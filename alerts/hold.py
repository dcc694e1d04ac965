"""When a delivery that is going to be sent is sent: after its group's wait, quiet hours, and the limit an hour."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from opinionwatch.alerts.quiet import QuietHours, quiet_until
from opinionwatch.pipeline.contracts_trend import Delivery

HOUR = timedelta(hours=1)
MEMORY = timedelta(days=1)
"""How far back deliveries matter: the longest interval of a group."""


class Hold:
    """What was sent or is going to be, by group and by channel. Lives for one batch."""

    def __init__(self, now: datetime, before: Iterable[Delivery]) -> None:
        """`before` is what the outbox holds of the last day."""
        self.now = now
        self._groups: dict[str, list[datetime]] = {}
        self._channels: dict[str, list[tuple[datetime, str]]] = {}
        self._seen: set[str] = set()
        for delivery in before:
            self.remember(delivery)

    def remember(self, delivery: Delivery) -> None:
        """Count a delivery from now on."""
        if delivery.state in ("suppressed", "failed") or delivery.purpose == "escalation" or delivery.id in self._seen:
            return
        self._seen.add(delivery.id)
        message = (delivery.due_at, delivery.group or delivery.id)
        if message not in self._channels.setdefault(delivery.channel, []):  # one message, however many alerts are in it
            self._channels[delivery.channel].append(message)
        self._groups.setdefault(delivery.group, []).append(delivery.due_at)

    def held(
        self,
        delivery: Delivery,
        *,
        quiet: Sequence[QuietHours],
        per_hour: int | None,
        wait: timedelta,
        interval: timedelta,
    ) -> Delivery:
        """The delivery with the time at which it is due, and the reason when that is not now."""
        critical = delivery.alert.episode.severity == "critical"
        due_at, reason = self._with_company(delivery.group, wait, interval)
        if (pause := quiet_until(quiet, due_at, critical=critical)) is not None:
            due_at, name = pause
            reason = f"held until {_words(due_at)}: quiet hours '{name}'"
        if per_hour is not None and not critical:
            free_at = self._free_at(delivery, due_at, per_hour)
            if free_at > due_at:
                due_at, reason = free_at, f"held until {_words(free_at)}: more than {per_hour} messages an hour"
        return delivery.model_copy(update={"due_at": due_at, "detail": reason})

    def _with_company(self, group: str, wait: timedelta, interval: timedelta) -> tuple[datetime, str]:
        earlier = self._groups.get(group, ())
        waiting = [at for at in earlier if at > self.now]
        if waiting:
            return min(waiting), f"held until {_words(min(waiting))}: with others of its group"
        last = max(earlier, default=None)
        if last is not None and last + interval > self.now:
            return last + interval, f"held until {_words(last + interval)}: its group is told every {interval}"
        if last is None and wait:
            return self.now + wait, f"held until {_words(self.now + wait)}: its group waits for company"
        return self.now, ""

    def _free_at(self, delivery: Delivery, due_at: datetime, per_hour: int) -> datetime:
        """The first moment at or after `due_at` whose last hour has room for another message on the channel."""
        messages = sorted(self._channels.get(delivery.channel, ()))
        if (due_at, delivery.group) in messages:
            return due_at
        times = [at for at, _ in messages]
        while sum(due_at - HOUR < at <= due_at for at in times) >= per_hour:
            due_at = sorted(at for at in times if due_at - HOUR < at <= due_at)[-per_hour] + HOUR
        return due_at


def _words(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")
