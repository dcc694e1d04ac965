"""A bound on how many bytes are on their way at once: whoever comes later waits, but not for ever."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

from opinionwatch.pipeline.errors import RetryableError


class Budget:
    """So many bytes may be in flight; safe to use from many threads.

    >>> budget = Budget(10, patience_s=0)
    >>> with budget.spend(8):
    ...     budget.free
    2
    """

    def __init__(self, size: int, patience_s: float) -> None:
        """`size` bytes; one who finds no room waits `patience_s`."""
        self._size = size
        self.free = size
        self._patience_s = patience_s
        self._changed = Condition()

    @contextmanager
    def spend(self, count: int) -> Iterator[None]:
        """Hold `count` bytes (all there are, when it is more) while the block runs. Raises RetryableError when there
        is no room in time.
        """
        share = min(count, self._size)
        with self._changed:
            if not self._changed.wait_for(lambda: self.free >= share, self._patience_s):
                raise RetryableError("the log is busy: too much is on its way already", after_s=5)
            self.free -= share
        try:
            yield
        finally:
            with self._changed:
                self.free += share
                self._changed.notify_all()
