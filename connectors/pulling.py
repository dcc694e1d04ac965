"""One source being drained into the intake: retries, the order of fetch and commit, and how it is doing."""

import random
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import Event, Lock
from types import TracebackType
from typing import Literal

import structlog

from opinionwatch.pipeline.errors import OpinionwatchError, RetryableError
from opinionwatch.pipeline.ports import Intake, Page, Source
from opinionwatch.pipeline.redact import redact

log = structlog.get_logger(__name__)

State = Literal["starting", "running", "waiting", "backing off", "exhausted", "failed", "stopped"]
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


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waiting times after errors: doubling from `base_s` up to `cap_s`, and a random part of up to one half off."""

    base_s: float = 1.0
    cap_s: float = 300.0
    longest_s: float = 3600.0
    """No wish of a server (Retry-After) is granted beyond this."""

    def wait_s(self, failures: int, wish_s: float | None) -> float:
        """Seconds to wait after so many failures in a row (1: the first)."""
        own = min(self.cap_s, self.base_s * 2.0 ** min(failures - 1, 30)) * random.uniform(0.5, 1.0)
        return max(own, min(wish_s or 0.0, self.longest_s))


class _Boundary(AbstractContextManager[None]):
    """Where a source's own mistakes end: whatever it raises, this source has failed and the others go on."""

    def __init__(self, failed: Callable[[str], None]) -> None:
        self._failed = failed

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            return False
        known = isinstance(error, OpinionwatchError)
        self._failed(str(error) if known else f"unexpected {type(error).__name__}: {error}")
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
        self._lock = Lock()
        self._health = Health(source.name, source.kind)

    @property
    def health(self) -> Health:
        """As it is now."""
        with self._lock:
            return self._health

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
            wait_s = self._drain()
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
        except RetryableError as error:
            return self._wait_after(error)
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
            self._record("backing off", str(error))
            log.warning(
                "source.postponed", source=self.source.name, reason=self.health.last_error, wait_s=round(wait_s, 1)
            )
        return wait_s

    def _succeeded(self, page: Page | None = None) -> None:
        self._failures = 0
        with self._lock:
            now = self._health
            pages, items = (now.pages + 1, now.items + len(page.items)) if page else (now.pages, now.items)
            self._health = replace(now, state="running", last_success=datetime.now(UTC), pages=pages, items=items)

    def _failed(self, reason: str) -> None:
        if self._stopping.is_set():
            self._change(state="stopped")
            return
        self._record("failed", reason)
        log.error("source.failed", source=self.source.name, reason=self.health.last_error)

    def _record(self, state: State, reason: str) -> None:
        with self._lock:
            self._health = replace(
                self._health,
                state=state,
                last_error=redact(reason),
                last_error_at=datetime.now(UTC),
                errors=self._health.errors + 1,
            )

    def _change(self, state: State) -> None:
        with self._lock:
            self._health = replace(self._health, state=state)


def _close(pages: Iterator[Page]) -> None:
    """Let a generator run its `finally` now, not whenever it is collected."""
    close = getattr(pages, "close", None)
    if close:
        close()
