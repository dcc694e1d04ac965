"""One source being drained into the intake: retries, the order of fetch and commit, and how it is doing."""

import random
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import Event, Lock
from time import monotonic
from types import TracebackType
from typing import Literal

import structlog

from opinionwatch.connectors.hosts import BusyError
from opinionwatch.connectors.http import RefusedError, SignInError, UnansweredError
from opinionwatch.connectors.quota import Metered, Quota
from opinionwatch.pipeline.errors import OpinionwatchError, RetryableError
from opinionwatch.pipeline.ports import Intake, Page, Source, cursor_name
from opinionwatch.pipeline.redact import redact

log = structlog.get_logger(__name__)

State = Literal["starting", "running", "waiting", "backing off", "circuit open", "exhausted", "failed", "stopped"]
SLOW_S = 5.0
"""A poll that takes longer is a slow one."""
ENDED: frozenset[State] = frozenset({"exhausted", "failed", "stopped"})


@dataclass(frozen=True, slots=True)
class Health:
    """How a source is doing. Errors are redacted: no queries, no userinfo."""

    name: str
    kind: str
    state: State = "starting"
    last_success: datetime | None = None
    """When a poll or a page was last completed."""
    last_error: str | None = None
    last_error_at: datetime | None = None
    pages: int = 0
    items: int = 0
    errors: int = 0
    skipped: int = 0
    """Polls left out because the one before was still running."""
    kinds: tuple[tuple[str, int], ...] = ()
    """Errors by kind, e.g. `http 503` or `no answer`."""
    quota: Quota | None = None
    """What its service lets it ask, where it says so."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waiting times after errors: doubling from `base_s` up to `cap_s`, and a random part of up to one half off.

    After `opens_after` failures in a row the source's circuit is open: it is probed once a `cap_s`, and one success
    closes it.
    """

    base_s: float = 1.0
    cap_s: float = 300.0
    opens_after: int = 6
    longest_s: float = 3600.0
    """No wish of a server (Retry-After) is granted beyond this."""

    def wait_s(self, failures: int, wish_s: float | None) -> float:
        """Seconds to wait after so many failures in a row (1: the first)."""
        doubled = self.cap_s if self.is_open(failures) else self.base_s * 2.0 ** (failures - 1)
        own = min(self.cap_s, doubled) * random.uniform(0.5, 1.0)
        return max(own, min(wish_s or 0.0, self.longest_s))

    def is_open(self, failures: int) -> bool:
        """Whether so many failures in a row open the circuit."""
        return failures >= self.opens_after


class _Boundary(AbstractContextManager[None]):
    """Where a source's own mistakes end: whatever it raises, this source has failed and the others go on."""

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        self._failed = failed

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            return False
        self._failed(error)
        return isinstance(error, Exception)


class Pull:
    """Drains one source: for each page, submit, wait until it is durable, only then ask for the next."""

    def __init__(
        self,
        source: Source,
        intake: Intake,
        load_cursor: Callable[[Source], str | None],
        backoff: Backoff,
        stopping: Event,
    ) -> None:
        self.source = source
        self._intake = intake
        self._load_cursor = load_cursor
        self._backoff = backoff
        self._stopping = stopping
        self._failures = 0
        self._took_s = 0.0
        self._lock = Lock()
        self._health = Health(cursor_name(source), source.kind)

    @property
    def health(self) -> Health:
        """As it is now."""
        with self._lock:
            return self._health

    @property
    def is_slow(self) -> bool:
        """Whether the last poll failed or took long: such a source is not to hold up the others."""
        return self._failures > 0 or self._took_s > SLOW_S

    def until_exhausted(self) -> None:
        """Run a source that is fetched once, through all retries, until it is exhausted, fails or is stopped."""
        with _Boundary(self._failed):
            while not self._stopping.is_set():
                wait_s = self._drain()
                if wait_s is None:
                    break
                self._stopping.wait(wait_s)
            self._change(state="stopped" if self._stopping.is_set() else "exhausted")

    def poll(self) -> float | None:
        """One poll. Seconds to wait before the next, when that is not its regular time."""
        with _Boundary(self._failed):
            began = monotonic()
            wait_s = self._drain()
            self._took_s = monotonic() - began
            if self._stopping.is_set():
                self._change(state="stopped")
            elif wait_s is None:
                self._change(state="waiting")
            return wait_s
        return None

    def skip(self) -> None:
        """Count a poll that was due while the one before was still running."""
        with self._lock:
            self._health = replace(self._health, skipped=self._health.skipped + 1)

    def _drain(self) -> float | None:
        """Fetch from the stored cursor to the end. None: done. A number: try again after so many seconds."""
        self._change(state="running")
        try:
            pages = self.source.fetch(self._load_cursor(self.source))
            try:
                for page in pages:
                    if not self._store(page):
                        return None
            finally:
                _close(pages)
        except BusyError as error:
            self._change(state="waiting")
            return (error.after_s or 0.0) * random.uniform(1.0, 1.2)
        except RetryableError as error:
            return self._wait_after(error)
        finally:
            self._learn_quota()
        self._succeeded()
        return None

    def _store(self, page: Page) -> bool:
        """Hand in a page until it is durable. The same page again and again: a pipe could not be read a second time."""
        while not self._stopping.is_set():
            try:
                durable = self._intake.submit(self.source, page)
                while not self._stopping.is_set():
                    try:
                        durable.result(timeout=0.5)
                    except TimeoutError:
                        if not durable.done():
                            continue
                        raise
                    self._succeeded(page)
                    return True
            except RetryableError as error:
                self._stopping.wait(self._wait_after(error))
            except CancelledError:
                return False
        return False

    def _wait_after(self, error: RetryableError) -> float:
        self._failures += 1
        wait_s = self._backoff.wait_s(self._failures, error.after_s)
        if not self._stopping.is_set():
            is_open = self._backoff.is_open(self._failures)
            self._record("circuit open" if is_open else "backing off", error)
            log.warning(
                "source.postponed", source=self.source.name, reason=self.health.last_error, wait_s=round(wait_s, 1)
            )
        return wait_s

    def _succeeded(self, page: Page | None = None) -> None:
        # An empty page may only prepare a question that fails again. What is never polled has no other sign of life.
        if page is None or page.items or self.source.interval_s is None:
            self._failures = 0
        with self._lock:
            now = self._health
            pages, items = (now.pages + 1, now.items + len(page.items)) if page else (now.pages, now.items)
            self._health = replace(now, state="running", last_success=datetime.now(UTC), pages=pages, items=items)

    def _failed(self, error: BaseException) -> None:
        if self._stopping.is_set():
            self._change(state="stopped")
            return
        self._record("failed", error)
        log.error("source.failed", source=self.source.name, reason=self.health.last_error)

    def _record(self, state: State, error: BaseException) -> None:
        known = isinstance(error, OpinionwatchError)
        reason = str(error) if known else f"unexpected {type(error).__name__}: {error}"
        with self._lock:
            kinds = dict(self._health.kinds)
            kinds[kind_of(error)] = kinds.get(kind_of(error), 0) + 1
            self._health = replace(
                self._health,
                state=state,
                last_error=redact(reason),
                last_error_at=datetime.now(UTC),
                errors=self._health.errors + 1,
                kinds=tuple(sorted(kinds.items())),
            )

    def _learn_quota(self) -> None:
        if isinstance(self.source, Metered):
            with self._lock:
                self._health = replace(self._health, quota=self.source.quota)

    def _change(self, state: State) -> None:
        with self._lock:
            self._health = replace(self._health, state=state)


def kind_of(error: BaseException) -> str:
    """One word or two for what went wrong, for counting."""
    if isinstance(error, RefusedError):
        return f"http {error.status}"
    if isinstance(error, SignInError):
        return "sign-in refused"
    if isinstance(error, UnansweredError):
        return "no answer"
    if isinstance(error, RetryableError):
        return "not ready"
    return "refused for ever" if isinstance(error, OpinionwatchError) else "defect"


def _close(pages: Iterator[Page]) -> None:
    """Let a generator run its `finally` now, not whenever it is collected."""
    close = getattr(pages, "close", None)
    if close:
        close()
