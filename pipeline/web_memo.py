"""Answers remembered for a moment, so that many readers of a page cost a store as much as one."""

from collections.abc import Callable, Hashable
from threading import Lock
from time import monotonic
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Answer = TypeVar("Answer")


class Memo(Generic[Key, Answer]):
    """Remembers each answer for ten times as long as it took to find, within limits: reading stays a tenth of the load.

    Safe from several threads; two that ask at once may both go and look.
    """

    def __init__(self, at_least_s: float = 0.5, at_most_s: float = 30.0, entries: int = 256) -> None:
        self._at_least_s = at_least_s
        self._at_most_s = at_most_s
        self._entries = entries
        self._lock = Lock()
        self._answers: dict[Key, tuple[float, Answer]] = {}

    def __call__(self, key: Key, find: Callable[[], Answer]) -> Answer:
        """The remembered answer to `key`, or what `find` says."""
        begun = monotonic()
        with self._lock:
            known = self._answers.get(key)
            if known is not None and begun < known[0]:
                return known[1]
        answer = find()
        ended = monotonic()
        keep_s = min(max(10 * (ended - begun), self._at_least_s), self._at_most_s)
        with self._lock:
            self._answers.pop(key, None)
            while len(self._answers) >= self._entries:
                del self._answers[next(iter(self._answers))]
            self._answers[key] = (ended + keep_s, answer)
        return answer
