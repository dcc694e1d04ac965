"""The notifier: takes deliveries from the outbox to their channels, and remembers what became of each.

    pending ──► sending ──► sent
       ▲           ├──────► failed      rejected, or given up after about a day
       └───────────┘                    to be tried again

`sending` is written before the attempt, so that no crash can forget one. It means: an attempt was made and its outcome
is not known. A delivery found in it is sent again with the same ids, and says that it is a repetition. Each channel has
one thread of its own and one delivery at a time, so that a hanging channel holds up nobody else.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from threading import Condition, Event, Thread

import structlog

from opinionwatch.alerts.attempt import Attempt
from opinionwatch.alerts.excuse import Excuse
from opinionwatch.alerts.joined import explained, joined, latest, lead
from opinionwatch.pipeline.contracts_trend import Alert, Delivery, Message
from opinionwatch.pipeline.errors import OpinionwatchError, RetryableError
from opinionwatch.pipeline.failpoints import failpoint
from opinionwatch.pipeline.ports import Channel, Clock
from opinionwatch.pipeline.ports_outbox import Outbox

log = structlog.get_logger(__name__)
BATCH = 64


class Deliverer:
    """Delivers what is due. The wall clock decides only when; every id and every word follows from the alert.

    Delivery: at least once. Only a crash, or a connection lost between sending and the answer, can repeat a message;
    the repetition has the same ids and says so.
    """

    def __init__(
        self,
        outbox: Outbox,
        channels: Mapping[str, Channel],
        render: Callable[[Alert, bool], Message],
        clock: Clock,
        *,
        excuse: Callable[[Delivery], Excuse | None] = lambda _: None,
        told: Callable[[Delivery], object] = lambda _: None,
        poll_s: float = 0.5,
        patience_s: float = 60.0,
    ) -> None:
        """`render(alert, repeat)` says an alert; `excuse` gives the reason why a delivery need not be sent any more, or
        not yet; `told` hears what became of every attempt (sent, failed, or pending again), from many threads;
        `patience_s` is how long a pass waits for channels that hang.
        """
        self._outbox, self._clock = outbox, clock
        self._poll_s, self._patience_s = poll_s, patience_s
        self._excuse, self._told = excuse, told
        self._changed = Condition()
        self._lanes = {
            name: _Lane(channel, outbox, render, clock, told, self._changed) for name, channel in channels.items()
        }

    def deliver_due(self) -> None:
        """One pass: try everything that is due until nothing is, or until only hanging channels are left to wait for.

        Raises RetryableError when the outbox cannot be read now.
        """
        deadline = time.monotonic() + self._patience_s
        with self._changed:
            while self._hand_out() or any(lane.busy for lane in self._lanes.values()):
                if not self._changed.wait(deadline - time.monotonic()):
                    self._complain()
                    return

    def run(self, stop: Event) -> None:
        """Deliver until `stop` is set; then wait for the attempts in flight as long as patience lasts."""
        while not stop.is_set():
            try:
                with self._changed:
                    self._hand_out()
            except RetryableError as error:
                log.warning("the outbox cannot be read now", error=str(error))
            stop.wait(self._poll_s)
        with self._changed:
            if not self._changed.wait_for(self._idle, self._patience_s):
                self._complain()

    def hangs(self, seconds: float) -> bool:
        """Whether a channel has been at one delivery for so long."""
        return any(lane.stands(seconds) for lane in self._lanes.values())

    def _idle(self) -> bool:
        return not any(lane.busy for lane in self._lanes.values())

    def _hand_out(self) -> int:
        """Give every idle channel the oldest delivery that is due for it. Returns how many were given."""
        now = self._clock()
        idle = {name for name, lane in self._lanes.items() if lane.ready(now)}
        given, again, taken = 0, False, set[str]()
        due = self._due(now, idle)
        for delivery in due:
            if delivery.channel not in self._lanes:
                detail = f"no channel '{delivery.channel}' in the settings"
                rows = _with_fallback(delivery.model_copy(update={"state": "failed", "detail": detail}), now)
                again = again or len(rows) > 1
                self._outbox.save(*rows)
                self._told(rows[0])
                log.error("alert not delivered", channel=delivery.channel, alert=delivery.alert.id, detail=detail)
            elif delivery.channel in idle and delivery.id not in taken:
                company = [one for one in due if delivery.id == one.id or _together(delivery, one)]
                taken.update(one.id for one in company)
                if wanted := [one for one in company if not self._excused(one)]:
                    idle.discard(delivery.channel)
                    self._lanes[delivery.channel].take(wanted)
                    given += 1
                else:  # what comes behind it may not have been looked at
                    again = True
        return given + (self._hand_out() if again else 0)

    def _excused(self, delivery: Delivery) -> bool:
        """Whether it need not be sent any more, or not yet; then it is put away or put off, with the reason."""
        excuse = self._excuse(delivery)
        if excuse is None:
            return False
        if excuse.until is not None:
            self._outbox.put_off(delivery.model_copy(update={"due_at": excuse.until, "detail": excuse.reason}))
            return True
        put_away = {"state": "suppressed", "detail": excuse.reason, "uncertain": _may_be_there(delivery)}
        self._outbox.save(delivery.model_copy(update=put_away))
        return True

    def _due(self, now: datetime, idle: set[str]) -> list[Delivery]:
        """What is due, by time, but each story, and what is due at one time, in the order of what happened. Looks past
        the backlog of a busy channel until every idle one has something, or there is no more.
        """
        limit = BATCH
        while True:
            found = self._outbox.due(now, limit)
            more = len(found) == limit
            # Of the last moment there may be more, which happened before.
            due = [one for one in found if one.due_at <= now and not (more and one.due_at == found[-1].due_at)]
            if not more or idle <= {delivery.channel for delivery in due}:
                begins: dict[str, datetime] = {}
                for one in sorted(due, key=lambda one: one.due_at):
                    begins.setdefault(one.alert.episode.id, one.due_at)
                return sorted(due, key=lambda one: (begins[one.alert.episode.id], one.alert.at, one.id))
            limit *= 2

    def _complain(self) -> None:
        for name, lane in self._lanes.items():
            if lane.busy:
                log.error("a channel hangs; its deliveries wait", channel=name)


class _Lane:
    """One channel, its thread, and the one delivery in it. `busy` changes only under the deliverer's condition."""

    def __init__(
        self,
        channel: Channel,
        outbox: Outbox,
        render: Callable[[Alert, bool], Message],
        clock: Clock,
        told: Callable[[Delivery], object],
        changed: Condition,
    ) -> None:
        self._channel, self._outbox, self._render, self._clock = channel, outbox, render, clock
        self._told, self._changed = told, changed
        self._resume_at: datetime | None = None
        self._touched = time.monotonic()
        self.busy = False

    def stands(self, seconds: float) -> bool:
        """Whether it has been at one delivery for so long; while it waits for the outbox, it is not."""
        return self.busy and time.monotonic() - self._touched > seconds

    def ready(self, now: datetime) -> bool:
        """Whether the channel can take a delivery: idle, and not asked to be left alone."""
        return not self.busy and (self._resume_at is None or self._resume_at <= now)

    def take(self, deliveries: Sequence[Delivery]) -> None:
        """Deliver them as one message on the lane's own thread: a daemon, for a channel that hangs must not keep the
        process alive.
        """
        self.busy = True
        self._touched = time.monotonic()
        Thread(target=self._deliver, args=(deliveries,), name=f"channel {self._channel.name}", daemon=True).start()

    def _deliver(self, deliveries: Sequence[Delivery]) -> None:
        hold_s: float | None = None
        try:
            hold_s = self._try(deliveries)
        except OpinionwatchError as error:  # of the outbox: what it holds is still true
            hold_s = error.after_s if isinstance(error, RetryableError) and error.after_s else 1.0
            log.warning("the outbox cannot be written now", channel=self._channel.name, error=str(error))
        finally:
            with self._changed:
                self._resume_at = None if hold_s is None else self._clock() + timedelta(seconds=hold_s)
                self.busy = False
                self._changed.notify_all()

    def _try(self, deliveries: Sequence[Delivery]) -> float | None:
        # What may have got through is repeated as it was; otherwise the last word of every episode counts.
        begun = (one for one in deliveries if one.id == one.joined and _may_be_there(one))
        first = next(begun, None) or lead(latest(deliveries))
        joins = "" if len(deliveries) == 1 and not first.joined else first.id
        attempt = Attempt(first.model_copy(update={"joined": joins}), self._clock)
        others = [one for one in deliveries if one.id != first.id]
        failpoint("outbox.before_sending")
        self._outbox.save(attempt.begun, *(_alike(one, attempt.begun) for one in others))
        with attempt:
            message = self._worded(first, others)
            failpoint("outbox.before_send")
            self._channel.notify(message)
        failpoint("outbox.after_send")
        self._settle([attempt.outcome, *(_alike(one, attempt.outcome) for one in others)])
        failpoint("outbox.after_sent")
        return attempt.hold_s

    def _worded(self, first: Delivery, others: Sequence[Delivery]) -> Message:
        told = [one for one in latest([first, *others]) if one.alert.episode.id != first.alert.episode.id]
        again = _may_be_there(first)
        message = joined(self._render(first.alert, again), [self._render(one.alert, again) for one in told])
        return explained(message, first)

    def _settle(self, outcomes: Sequence[Delivery]) -> None:
        """Save what happened; as long as it cannot be saved, this channel does nothing else."""
        outcome = outcomes[0]
        if outcome.state != "sent":
            log.warning(
                "alert not delivered", channel=outcome.channel, alert=outcome.alert.id, state=outcome.state,
                attempts=outcome.attempts, detail=outcome.detail,
            )  # fmt: skip
        now = self._clock()
        rows = [row for one in outcomes for row in _with_fallback(one, now)]
        while True:
            try:
                self._outbox.save(*rows)
                break
            except RetryableError as error:
                log.warning("the outbox cannot be written now", channel=outcome.channel, error=str(error))
                self._touched = time.monotonic()
                Event().wait(error.after_s or 1.0)
        for one in outcomes:
            self._told(one)


def _may_be_there(delivery: Delivery) -> bool:
    """Whether an earlier attempt may have got through."""
    return delivery.uncertain or delivery.state == "sending"


def _together(first: Delivery, other: Delivery) -> bool:
    """Whether both belong into one message: due together in one group, or begun together and perhaps there already."""
    if first.channel != other.channel or first.state != other.state:
        return False
    if _may_be_there(first) or _may_be_there(other):
        return bool(first.joined) and first.joined == other.joined
    return bool(first.group) and first.group == other.group and first.purpose == other.purpose


def _alike(other: Delivery, first: Delivery) -> Delivery:
    """Another delivery of the same message: what becomes of the message becomes of it."""
    same = {name: getattr(first, name) for name in ("state", "attempts", "uncertain", "due_at", "detail", "joined")}
    return other.model_copy(update=same)


def _with_fallback(outcome: Delivery, now: datetime) -> list[Delivery]:
    """The outcome and, when it is refused for good, the delivery to the channel that is told instead."""
    if outcome.state != "failed" or not outcome.fallback:
        return [outcome]
    instead = Delivery(
        alert=outcome.alert,
        channel=outcome.fallback,
        state="pending",
        due_at=now,
        purpose="fallback",
        group=outcome.group,
        detail=f"instead of {outcome.channel}: {outcome.detail}"[:500],
    )
    return [outcome, instead]
