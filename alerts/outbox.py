"""The notifier: takes deliveries from the outbox to their channels, and remembers what became of each.

    pending ──► sending ──► sent
       ▲           ├──────► failed      rejected, or given up after about a day
       └───────────┘                    to be tried again

`sending` is written before the attempt, so that no crash can forget one. It means: an attempt was made and its outcome
is not known. A delivery found in it is sent again with the same ids, and says that it is a repetition. Each channel has
one thread of its own and one delivery at a time, so that a hanging channel holds up nobody else.
"""

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from threading import Condition, Event, Thread

import structlog

from opinionwatch.alerts.attempt import Attempt
from opinionwatch.pipeline.contracts_trend import Alert, Delivery, Message
from opinionwatch.pipeline.errors import OpinionwatchError, RetryableError
from opinionwatch.pipeline.failpoints import failpoint
from opinionwatch.pipeline.ports import Channel, Clock, Outbox

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
        poll_s: float = 0.5,
        patience_s: float = 60.0,
    ) -> None:
        """`render(alert, repeat)` says an alert; `patience_s` is how long a pass waits for channels that hang."""
        self._outbox, self._clock = outbox, clock
        self._poll_s, self._patience_s = poll_s, patience_s
        self._changed = Condition()
        self._lanes = {name: _Lane(channel, outbox, render, clock, self._changed) for name, channel in channels.items()}

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

    def _idle(self) -> bool:
        return not any(lane.busy for lane in self._lanes.values())

    def _hand_out(self) -> int:
        """Give every idle channel the oldest delivery that is due for it. Returns how many were given."""
        now = self._clock()
        idle = {name for name, lane in self._lanes.items() if lane.ready(now)}
        given = 0
        for delivery in self._due(now, idle):
            if delivery.channel not in self._lanes:
                detail = f"no channel '{delivery.channel}' in the settings"
                self._outbox.save(delivery.model_copy(update={"state": "failed", "detail": detail}))
                log.error("alert not delivered", channel=delivery.channel, alert=delivery.alert.id, detail=detail)
            elif delivery.channel in idle:
                idle.discard(delivery.channel)
                self._lanes[delivery.channel].take(delivery)
                given += 1
        return given

    def _due(self, now: datetime, idle: set[str]) -> list[Delivery]:
        """What is due. Looks past the backlog of a busy channel until every idle one has something, or there is no
        more.
        """
        limit = BATCH
        while True:
            found = self._outbox.due(now, limit)
            due = [delivery for delivery in found if delivery.due_at <= now]
            if len(found) < limit or idle <= {delivery.channel for delivery in due}:
                return due
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
        changed: Condition,
    ) -> None:
        self._channel, self._outbox, self._render, self._clock = channel, outbox, render, clock
        self._changed = changed
        self._resume_at: datetime | None = None
        self.busy = False

    def ready(self, now: datetime) -> bool:
        """Whether the channel can take a delivery: idle, and not asked to be left alone."""
        return not self.busy and (self._resume_at is None or self._resume_at <= now)

    def take(self, delivery: Delivery) -> None:
        """Deliver on the lane's own thread: a daemon, for a channel that hangs must not keep the process alive."""
        self.busy = True
        Thread(target=self._deliver, args=(delivery,), name=f"channel {self._channel.name}", daemon=True).start()

    def _deliver(self, delivery: Delivery) -> None:
        hold_s: float | None = None
        try:
            hold_s = self._try(delivery)
        except OpinionwatchError as error:  # of the outbox: what it holds is still true
            hold_s = error.after_s if isinstance(error, RetryableError) and error.after_s else 1.0
            log.warning("the outbox cannot be written now", channel=delivery.channel, error=str(error))
        finally:
            with self._changed:
                self._resume_at = None if hold_s is None else self._clock() + timedelta(seconds=hold_s)
                self.busy = False
                self._changed.notify_all()

    def _try(self, delivery: Delivery) -> float | None:
        attempt = Attempt(delivery, self._clock)
        failpoint("outbox.before_sending")
        self._outbox.save(attempt.begun)
        with attempt:
            message = self._render(delivery.alert, delivery.state == "sending")
            failpoint("outbox.before_send")
            self._channel.notify(message)
        failpoint("outbox.after_send")
        self._settle(attempt.outcome)
        failpoint("outbox.after_sent")
        return attempt.hold_s

    def _settle(self, outcome: Delivery) -> None:
        """Save what happened; as long as it cannot be saved, this channel does nothing else."""
        if outcome.state != "sent":
            log.warning(
                "alert not delivered", channel=outcome.channel, alert=outcome.alert.id, state=outcome.state,
                attempts=outcome.attempts, detail=outcome.detail,
            )  # fmt: skip
        while True:
            try:
                return self._outbox.save(outcome)
            except RetryableError as error:
                log.warning("the outbox cannot be written now", channel=outcome.channel, error=str(error))
                Event().wait(error.after_s or 1.0)
