"""One attempt to deliver, and what becomes of the delivery by how it ends."""

from datetime import datetime, timedelta
from hashlib import blake2b
from types import TracebackType

from opinionwatch.alerts.channel import UncertainError
from opinionwatch.pipeline.contracts_trend import Delivery, DeliveryState
from opinionwatch.pipeline.errors import OpinionwatchError, RejectedError, RetryableError
from opinionwatch.pipeline.ports import Clock

FIRST_S, LONGEST_S = 2.0, 3600.0
MOST_ATTEMPTS = 40
"""Waits of 2 s doubling to 1 h, a quarter less on average by jitter: 40 attempts take about a day."""
KEEPS_ITS_PLACE = 5
"""Attempts, in about a minute."""
LONGEST_WISH_S = 86_400.0
"""A service that asks for more than a day is asked again after a day."""


def wait_s(delivery: Delivery, after_s: float | None) -> float:
    """Seconds until the next attempt: exponential, with a jitter that follows from id and attempt, never less than
    `after_s`.
    """
    return waiting_s(delivery.id, delivery.attempts, after_s)


def waiting_s(name: str, attempts: int, after_s: float | None) -> float:
    """The same for anything with a name that has been tried so often."""
    step = min(LONGEST_S, FIRST_S * 2.0 ** min(attempts - 1, 30))
    digest = blake2b(f"{name}:{attempts}".encode(), digest_size=4).digest()
    jittered = step * (0.5 + int.from_bytes(digest, "big") / 2**33)
    return max(jittered, _asked_s(after_s) or 0.0)


def _asked_s(after_s: float | None) -> float | None:
    return min(after_s, LONGEST_WISH_S) if after_s is not None and after_s > 0 else None


class Attempt:
    """A context around `notify`: swallows what a channel raises and turns it into the delivery's next state.

    A channel is somebody's code and somebody's network: an error of no kind that we know is a defect in it, must not
    stop the others, and leaves open whether the message got through.
    """

    def __init__(self, delivery: Delivery, clock: Clock) -> None:
        """Prepare: the delivery as it is saved before the attempt is in `begun`."""
        uncertain = delivery.uncertain or delivery.state == "sending"
        begun = {"state": "sending", "attempts": delivery.attempts + 1, "uncertain": uncertain}
        self.begun = delivery.model_copy(update=begun)
        self.outcome = self.begun
        self.hold_s: float | None = None
        """How long the whole channel wants to be left alone."""
        self._clock = clock

    def __enter__(self) -> "Attempt":
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        """Decide. Only what stops the process passes through."""
        if error is not None and not isinstance(error, Exception):
            return False
        now = self._clock()
        self.outcome = after(self.begun, error, now)
        if isinstance(error, RetryableError):
            self.hold_s = _asked_s(error.after_s)
        if isinstance(error, OpinionwatchError) and self.outcome.state != "failed":
            self._keep_its_place(now)
        return True

    def _keep_its_place(self, now: datetime) -> None:
        """The whole channel waits for the first attempts, lest a sequel that is due be told first, and the opening then
        not at all. Later others go first, for what is wrong may be wrong with this message alone.
        """
        if self.begun.attempts <= KEEPS_ITS_PLACE:
            self.hold_s = (self.outcome.due_at - now).total_seconds()


def after(begun: Delivery, error: Exception | None, now: datetime) -> Delivery:
    """The delivery after an attempt that ended with `error` (None: it got through)."""
    state: DeliveryState = "pending"
    if error is None:
        return begun.model_copy(update={"state": "sent", "detail": ""})
    if isinstance(error, RejectedError):
        return begun.model_copy(update={"state": "failed", "detail": error.detail})
    if isinstance(error, UncertainError):
        state, detail = "sending", f"may have got through: {error}"
    elif isinstance(error, OpinionwatchError):
        detail = str(error)
    else:  # its words are not ours and may hold a secret
        state, detail = "sending", f"may have got through: defect in the channel ({type(error).__name__})"
    if begun.attempts >= MOST_ATTEMPTS:
        return begun.model_copy(
            update={"state": "failed", "detail": f"given up after {begun.attempts} attempts: {detail}"}
        )
    after_s = error.after_s if isinstance(error, RetryableError) else None
    due_at = now + timedelta(seconds=wait_s(begun, after_s))
    return begun.model_copy(update={"state": state, "detail": detail, "due_at": due_at})
