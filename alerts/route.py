"""Who is told what, and when: one delivery per alert and channel, with a named reason for all that is not sent at once.

In this order: a silence, information that nobody asked for, and inhibition suppress; quiet hours and the limit an hour
hold; a group waits for company. What was decided before is read from the outbox, which is the only memory.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from opinionwatch.alerts.hold import Hold
from opinionwatch.alerts.matchers import Labels, labels_of, matches
from opinionwatch.alerts.quiet import QuietHours
from opinionwatch.alerts.route_settings import Escalation, NotifySettings, Receiver, RouteSettings
from opinionwatch.pipeline.contracts import content_id
from opinionwatch.pipeline.contracts_trend import Alert, Delivery, Episode, Silence

Known = Alert | Silence | Delivery | Episode


@dataclass(frozen=True, slots=True)
class Leaf:
    """Where a walk down the tree ends."""

    receiver: Receiver
    place: str
    """Which branch: groups of different branches never mix."""
    group_by: tuple[str, ...]
    """Empty: every alert is a message of its own."""
    wait: timedelta
    interval: timedelta
    quiet: tuple[QuietHours, ...]
    escalate: Escalation | None


class Route:
    """Stage: turns alerts into deliveries. Pure.

    A batch carries the alerts, every silence there is, and as memory the outbox's recent deliveries, all of those of
    the episodes that end, and the open episodes; without memory, limits and inhibition see this batch alone. A silence
    counts when it is active at the alert's own time, so a replay is silenced where the live run was; quiet hours,
    limits and waits count by `now`, when people would be disturbed. Neither silence nor inhibition keeps back the end
    of an episode where something of it was told: an incident that was opened there would stay open. So whoever was
    told, by whatever route, escalation or fallback, is told the end. Delivery ids follow from alert and channel:
    routing a batch again gives the same ones.
    """

    def __init__(
        self,
        channels: Sequence[str],
        *,
        informed: Collection[str] = (),
        settings: NotifySettings | None = None,
        tags: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """`channels` are told whatever the routes say, those in `informed` information, too. `settings` have been
        checked; `tags` are the watchlists'.
        """
        self._informed = frozenset(informed)
        self._settings = settings or NotifySettings()
        self._tags = tags or {}
        told = Receiver.model_construct(name="", channels=tuple(channels), fallback=None, info=False, per_hour=None)
        zero = timedelta(0)
        self._everybody = Leaf(told, "", (), zero, zero, (), None)

    def __call__(self, batch: Sequence[Known], now: datetime) -> list[Delivery]:
        """Deliveries in the order of the batch's alerts."""
        silences = sorted((item for item in batch if isinstance(item, Silence)), key=lambda item: item.id)
        episodes = {item.id: item for item in batch if isinstance(item, Episode)}
        hold = Hold(now, [item for item in batch if isinstance(item, Delivery)])
        routed: list[Delivery] = []
        for alert in batch:
            if isinstance(alert, Alert):
                episodes[alert.episode.id] = alert.episode
                for delivery in self._routed(alert, silences, episodes, hold):
                    hold.remember(delivery)
                    routed.append(delivery)
        return routed

    def _routed(
        self, alert: Alert, silences: Sequence[Silence], episodes: Mapping[str, Episode], hold: Hold
    ) -> Iterator[Delivery]:
        labels = labels_of(alert.episode, alert.event, self._tags)
        decided: dict[str, Delivery] = {}
        planned: dict[str, Delivery] = {}
        for leaf in self._leaves(labels):
            for channel in leaf.receiver.channels:
                if channel not in decided or decided[channel].state == "suppressed":  # an earlier branch tells it first
                    decided[channel] = self._delivery(alert, labels, leaf, channel, silences, episodes, hold)
                for later in self._escalation(decided[channel], leaf):
                    planned[later.id] = min(planned.get(later.id, later), later, key=lambda one: one.due_at)
        yield from decided.values()
        yield from planned.values()
        if alert.event == "resolved":
            yield from (end for end in hold.ends(alert) if not _told(end, decided.get(end.channel)))

    def _delivery(
        self,
        alert: Alert,
        labels: Labels,
        leaf: Leaf,
        channel: str,
        silences: Sequence[Silence],
        episodes: Mapping[str, Episode],
        hold: Hold,
    ) -> Delivery:
        told = leaf.receiver
        group = content_id(leaf.place, channel, *self._group(alert, labels, leaf.group_by)) if leaf.group_by else ""
        delivery = Delivery(
            alert=alert,
            channel=channel,
            state="pending",
            due_at=hold.now,
            group=group,
            fallback=told.fallback or "",
        )
        reason = self._uninformed(alert, channel, told)
        if not (alert.event == "resolved" and hold.knows(channel, alert)):
            reason = silenced(silence_of(silences, alert.episode.watchlist, alert.at)) or reason
            reason = reason or self._inhibited(alert, labels, episodes)
        if reason:
            return delivery.model_copy(update={"state": "suppressed", "detail": reason})
        return hold.held(delivery, quiet=leaf.quiet, per_hour=told.per_hour, wait=leaf.wait, interval=leaf.interval)

    def _escalation(self, delivery: Delivery, leaf: Leaf) -> Iterator[Delivery]:
        """Told later, unless somebody has acknowledged by then, or it has ended."""
        rises = delivery.alert.event in ("opened", "escalated") and delivery.alert.episode.severity != "info"
        if leaf.escalate is None or not rises or delivery.state == "suppressed":
            return
        receiver = self._settings.receiver(leaf.escalate.receiver)
        due_at = delivery.due_at + timedelta(minutes=leaf.escalate.after_m)
        for channel in receiver.channels:
            yield Delivery(
                alert=delivery.alert,
                channel=channel,
                state="pending",
                due_at=due_at,
                purpose="escalation",
                detail=f"told if nobody acknowledges within {leaf.escalate.after_m:g} min",
                fallback=receiver.fallback or "",
            )

    def _uninformed(self, alert: Alert, channel: str, told: Receiver) -> str:
        if alert.episode.severity != "info" or told.info or channel in self._informed:
            return ""
        return f"information only; `info: true` on channel {channel} sends it there too"

    def _inhibited(self, alert: Alert, labels: Labels, episodes: Mapping[str, Episode]) -> str:
        for rule in self._settings.inhibit:
            if not matches(rule.target, labels):
                continue
            for other in episodes.values():
                if other.id == alert.episode.id or other.state == "resolved":
                    continue
                theirs = labels_of(other, "opened", self._tags)
                if matches(rule.source, theirs) and all(labels[name] & theirs[name] for name in rule.equal):
                    return f"inhibited while the {other.kind} about {other.watchlist} is open (episode {other.id})"
        return ""

    def _group(self, alert: Alert, labels: Labels, group_by: Sequence[str]) -> Iterator[str]:
        for name in group_by:
            yield alert.episode.id if name == "episode" else "\n".join(sorted(labels[name])[:1])

    def _leaves(self, labels: Labels) -> list[Leaf]:
        leaves = [self._everybody] if self._everybody.receiver.channels else []
        if self._settings.route is not None:
            leaves += self._walk(self._settings.route, RouteSettings(), "route", labels)
        return leaves

    def _walk(self, branch: RouteSettings, above: RouteSettings, place: str, labels: Labels) -> Iterator[Leaf]:
        """The leaves below a branch that matches; the branch itself when none of its own does."""
        inherited = {
            name: getattr(branch, name) if getattr(branch, name) is not None else getattr(above, name)
            for name in ("receiver", "group_by", "group_wait_s", "group_interval_s", "quiet_hours", "escalate")
        }
        here = RouteSettings.model_construct(**inherited)
        found = False
        for at, inner in enumerate(branch.routes):
            if matches(inner.matchers, labels):
                found = True
                yield from self._walk(inner, here, f"{place}.{at}", labels)
                if not inner.goes_on:
                    return
        if not found:
            hours = set(here.quiet_hours or ())
            yield Leaf(
                receiver=self._settings.receiver(here.receiver or ""),
                place=place,
                group_by=here.group_by or ("episode",),
                wait=timedelta(seconds=here.group_wait_s or 0),
                interval=timedelta(seconds=here.group_interval_s or 0),
                quiet=tuple(one for one in self._settings.quiet_hours if one.name in hours),
                escalate=here.escalate,
            )


def _told(end: Delivery, decided: Delivery | None) -> bool:
    return decided is not None and (decided.state == "pending" or decided.id == end.id)


def silence_of(silences: Sequence[Silence], watchlist: str, at: datetime) -> Silence | None:
    """The silence that covers the watchlist at that time, the first of them."""
    return next(
        (one for one in silences if one.watchlist in (None, watchlist) and one.starts_at <= at < one.ends_at), None
    )


def silenced(one: Silence | None) -> str:
    """Whose silence it is, in words; empty when there is none."""
    if one is None:
        return ""
    comment = f": {one.comment}" if one.comment else ""
    return f"silenced by {one.created_by} until {one.ends_at:%Y-%m-%d %H:%M} UTC{comment} (silence {one.id})"
