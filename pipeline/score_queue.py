"""Scores texts that come from many callers at once: one thread reads whatever waits, in one pass of the scorer.

Work-conserving: there is no timer. A lone text is read at once; while a pass runs, others gather for the next one, so
passes grow with the load. Callers take turns text by text: one who brings a thousand does not hold up one who brings
one. What waits is bounded by its characters.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition, Thread

from opinionwatch.pipeline.errors import RetryableError
from opinionwatch.pipeline.scoring import Answer, Asked

PASS_TEXTS = 256
PASS_CHARS = 32_000
"""Most of a pass: a second or two of one core, so that nobody waits much longer than for his own texts."""
FASTEST_S, SLOWEST_S = 1.0, 60.0
"""Bounds of what callers are told to wait."""


@dataclass
class _Order:
    """What one caller wants, and what of it is done."""

    texts: Sequence[str]
    target: str | None
    done: "Future[list[Answer]]" = field(default_factory=Future)
    answers: list[Answer] = field(default_factory=list)
    taken: int = 0


class ScoreQueue:
    """Texts in, futures of answers out. Safe to use from many threads; the scorer is used from one."""

    def __init__(
        self,
        score: Callable[[Sequence[Asked]], list[Answer]],
        most_chars: int,
        passed: Callable[[int, float], None] | None = None,
    ) -> None:
        """`score` reads a pass; `passed` is told how many texts it had and how long it took."""
        self._score = score
        self._most = most_chars
        self._passed = passed
        self._orders: deque[_Order] = deque()
        self._chars = 0
        self._pace = 0.0
        """Seconds a character, smoothed."""
        self._change = Condition()
        self._closing = False
        self._number = 0
        self._reading: int | None = None
        self._thread = Thread(target=self._work, name="score-queue", daemon=True)
        self._thread.start()

    @property
    def waiting_chars(self) -> int:
        """Characters that wait for their pass."""
        return self._chars

    @property
    def reading(self) -> int | None:
        """Which pass is under way, by its number; None between passes. The same one for long: the scorer hangs."""
        return self._reading

    def submit(self, texts: Sequence[str], target: str | None = None) -> "Future[list[Answer]]":
        """Ask for answers, in order, and what each text says of `target`; cancel the future when nobody waits for them
        any more.

        Raises RetryableError, with a time after which there should be room, when too much waits already, or when the
        queue is closing.
        """
        order = _Order(texts, target)
        chars = sum(map(len, texts))
        with self._change:
            if self._closing:
                raise RetryableError("the service is stopping", after_s=FASTEST_S)
            if self._chars and self._chars + chars > self._most:
                raise RetryableError("too much is waiting", after_s=self._relief())
            if not texts:
                order.done.set_result([])
                return order.done
            self._chars += chars
            self._orders.append(order)
            self._change.notify()
        return order.done

    def close(self, patience_s: float) -> bool:
        """Take no more, and finish what waits; False when that was not done in time."""
        with self._change:
            self._closing = True
            self._change.notify()
        self._thread.join(patience_s)
        return not self._thread.is_alive()

    def _relief(self) -> float:
        return min(SLOWEST_S, max(FASTEST_S, self._pace * self._chars / 2))

    def _work(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._orders or self._closing)
                batch = self._take()
                if not batch and self._closing and not self._orders:
                    return
            if batch:
                self._number += 1
                self._reading = self._number
                self._pass(batch)
                self._reading = None

    def _take(self) -> list[_Order]:
        """The orders whose next texts make up a pass, one entry a text, in turn."""
        batch: list[_Order] = []
        chars = 0
        while self._orders and len(batch) < PASS_TEXTS:
            order = self._orders.popleft()
            if order.done.cancelled():
                self._chars -= sum(map(len, order.texts[order.taken :]))
                continue
            size = len(order.texts[order.taken])
            if batch and chars + size > PASS_CHARS:
                self._orders.appendleft(order)
                break
            batch.append(order)
            chars += size
            self._chars -= size
            order.taken += 1
            if order.taken < len(order.texts):
                self._orders.append(order)
        return batch

    def _pass(self, batch: Sequence[_Order]) -> None:
        places: dict[int, int] = {}
        asked = []
        for order in batch:
            at = places.setdefault(id(order), len(order.answers))
            asked.append(Asked(order.texts[at], order.target))
            places[id(order)] += 1
        begun = time.monotonic()
        try:
            answers = self._score(asked)
        except BaseException as error:  # noqa: BLE001 - handed to those who wait; the next pass may go well
            self._fail(batch, error)
            return
        took = time.monotonic() - begun
        self._pace = 0.8 * self._pace + 0.2 * took / max(1, sum(len(each.text) for each in asked))
        for order, answer in zip(batch, answers, strict=True):
            order.answers.append(answer)
        for order in {id(order): order for order in batch}.values():
            if len(order.answers) == len(order.texts) and order.done.set_running_or_notify_cancel():
                order.done.set_result(order.answers)
        if self._passed is not None:
            self._passed(len(asked), took)

    def _fail(self, batch: Sequence[_Order], error: BaseException) -> None:
        failed = {id(order): order for order in batch}
        with self._change:
            for order in failed.values():
                self._chars -= sum(map(len, order.texts[order.taken :]))
            self._orders = deque(order for order in self._orders if id(order) not in failed)
        for order in failed.values():
            if order.done.set_running_or_notify_cancel():
                order.done.set_exception(error)
