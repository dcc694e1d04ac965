"""What was told before, and so when a delivery that is going to be sent is sent: after its group's wait, quiet hours,
and the limit an hour.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from opinionwatch.alerts.quiet import QuietHours, quiet_until
from opinionwatch.pipeline.contracts_trend import Alert, Delivery

HOUR = timedelta(hours=1)


class Hold:
    """What was sent or is going to be, by group and by channel. Lives for one batch."""

    def __init__(self, now: datetime, before: Iterable[Delivery]) -> None:
        """`before` is what the outbox holds of the last day, and of the episodes that end."""
        self.now = now
        self._groups: dict[tuple[str, str], list[datetime]] = {}
        self._channels: dict[str, list[tuple[datetime, str]]] = {}
        self._seen: set[str] = set()
        self._known: set[tuple[str, str]] = set()
        self._told: dict[str, dict[str, list[Delivery]]] = {}
        for delivery in before:
            self.remember(delivery)

    def remember(self, delivery: Delivery) -> None:
        """Count a delivery from now on."""
        if _may_be_told(delivery):
            self._told.setdefault(delivery.alert.episode.id, {}).setdefault(delivery.channel, []).append(delivery)
        if delivery.state in ("suppressed", "failed") or delivery.purpose == "escalation" or delivery.id in self._seen:
            return
        self._seen.add(delivery.id)
        self._known.add((delivery.channel, delivery.alert.episode.id))
        message = (delivery.due_at, delivery.group or delivery.id)
        if message not in self._channels.setdefault(delivery.channel, []):  # one message, however many alerts are in it
            self._channels[delivery.channel].append(message)
        if delivery.group:  # a fallback has the group of another channel
            self._groups.setdefault((delivery.channel, delivery.group), []).append(delivery.due_at)

    def knows(self, channel: str, alert: Alert) -> bool:
        """Whether the channel was told, or is going to be told, of the alert's episode."""
        return (channel, alert.episode.id) in self._known

    def ends(self, alert: Alert) -> Iterator[Delivery]:
        """The end of an episode to whoever was told of it, as it was told: by a route, an escalation, or instead of
        another channel. While that still waits, so does the end.
        """
        for channel, words in self._told.get(alert.episode.id, {}).items():
            before = [one for one in words if one.alert.at < alert.at]
            ended = max((one.alert.at for one in before if one.alert.event == "resolved"), default=None)
            open_since = [one for one in before if ended is None or one.alert.at > ended]  # it was taken up again
            if open_since:
                told = min(open_since, key=lambda one: (_waits(one), one.due_at))
                yield Delivery(
                    alert=alert,
                    channel=channel,
                    state="pending",
                    due_at=max(self.now, told.due_at) if _waits(told) else self.now,
                    purpose=told.purpose,
                    group=told.group if _waits(told) else "",
                    fallback=told.fallback,
                )

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
        due_at, reason = self._with_company(delivery, wait, interval, critical=critical)
        due_at, reason = _after_quiet(quiet, due_at, reason, critical=critical)
        if per_hour is not None and not critical:
            while (free_at := self._free_at(delivery, due_at, per_hour)) > due_at:  # which may be in quiet hours again
                reason = f"held until {_words(free_at)}: more than {per_hour} messages an hour"
                due_at, reason = _after_quiet(quiet, free_at, reason, critical=critical)
        return delivery.model_copy(update={"due_at": due_at, "detail": reason})

    def _with_company(
        self, delivery: Delivery, wait: timedelta, interval: timedelta, *, critical: bool
    ) -> tuple[datetime, str]:
        """When its group is told next. A critical one waits for the group's own times, never for what holds others."""
        earlier = self._groups.get((delivery.channel, delivery.group), ())
        alone, reason = self._apart([at for at in earlier if at <= self.now], wait, interval)
        together = min((at for at in earlier if at > self.now), default=None)
        if together is None or (critical and alone < together):
            return alone, reason
        return together, f"held until {_words(together)}: with others of its group"

    def _apart(self, told: Sequence[datetime], wait: timedelta, interval: timedelta) -> tuple[datetime, str]:
        last = max(told, default=None)
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


def _may_be_told(delivery: Delivery) -> bool:
    return delivery.uncertain or delivery.state not in ("suppressed", "failed")


def _waits(delivery: Delivery) -> bool:
    return delivery.state == "pending" and not delivery.uncertain


def _after_quiet(quiet: Sequence[QuietHours], due_at: datetime, reason: str, *, critical: bool) -> tuple[datetime, str]:
    pause = quiet_until(quiet, due_at, critical=critical)
    if pause is None:
        return due_at, reason
    return pause[0], f"held until {_words(pause[0])}: quiet hours '{pause[1]}'"


def _words(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")
