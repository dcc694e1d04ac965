"""Manners: how often one host may be asked, by all sources together."""

from threading import Event, Lock
from time import monotonic

from opinionwatch.pipeline.errors import RetryableError

_IDLE_S = 600.0


class BusyError(RetryableError):
    """It is not this host's turn: nobody did anything wrong, and nothing was asked."""


class Hosts:
    """A token bucket a host, and the pauses that hosts have asked for (Retry-After)."""

    def __init__(self, per_s: float = 2.0, burst: int = 5, patience_s: float = 5.0) -> None:
        """`per_s` requests a second after a first `burst`; a request waits up to `patience_s` for its turn."""
        self._gap_s = 1 / per_s
        self._burst = burst
        self._patience_s = patience_s
        self._lock = Lock()
        self._free_at: dict[str, float] = {}
        """When the bucket of a host is full again, less the burst: the classic cell-rate form of a token bucket."""
        self._closed_until: dict[str, float] = {}

    def take_turn(self, host: str, closing: Event) -> None:
        """Wait for this host's turn. Raises BusyError when it is not soon: no thread is to be held up."""
        with self._lock:
            now = monotonic()
            earliest = max(self._free_at.get(host, 0.0), now - self._gap_s * (self._burst - 1))
            wait_s = max(earliest, self._closed_until.get(host, 0.0)) - now
            if wait_s > self._patience_s:
                raise BusyError(f"{host} is not asked more often than {1 / self._gap_s:g} times a second", wait_s)
            self._free_at[host] = earliest + self._gap_s
            if len(self._free_at) > 1000:
                self._free_at = {name: at for name, at in self._free_at.items() if at > now - _IDLE_S}
                self._closed_until = {name: at for name, at in self._closed_until.items() if at > now}
        if wait_s > 0:
            closing.wait(wait_s)

    def pause(self, host: str, seconds: float) -> None:
        """Ask this host nothing for a while: it said so."""
        with self._lock:
            self._closed_until[host] = max(self._closed_until.get(host, 0.0), monotonic() + seconds)


SHARED = Hosts()
"""One for the process, because a host does not care which of our sources is asking."""
