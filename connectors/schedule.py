"""Drives all sources: polling ones by APScheduler, run-once and endless ones in a thread of their own."""

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from time import monotonic

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, JobSubmissionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler

from opinionwatch.connectors.pulling import Backoff, Health, Pull
from opinionwatch.pipeline.ports import Intake, Source

POLLERS = 24
"""Threads for polls, at most."""
SLOW_POLLERS = 8
"""Threads for sources whose last poll failed or took long, at most: hostile ones never hold up the others."""
JITTER = 0.1
_SPREAD_S = 0.05


class Schedule:
    """All sources of a runtime.

    A poll never overlaps the one before; polls missed meanwhile become one. After a RetryableError a source is asked
    again with the same cursor, after a wait that doubles and honours `after_s`; after many in a row its circuit is open
    and it is only probed. Sources that fail or take long share a few threads of their own, so the others keep their
    time. After a FatalError, or a bug of its own, a source is failed with its reason, and the others go on.

    Delivery: at least once; a page is asked for only after the one before it is durable together with its cursor.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        intake: Intake,
        load_cursor: Callable[[Source], str | None],
        backoff: Backoff | None = None,
        pollers: int = POLLERS,
    ) -> None:
        """`load_cursor` reads what the runtime stored with a source's last durable page; None: nothing yet."""
        self._stopping = Event()
        self._intake, self._load_cursor, self._backoff = intake, load_cursor, backoff or Backoff()
        self._pulls = [Pull(source, intake, load_cursor, self._backoff, self._stopping) for source in sources]
        self._threads = [
            Thread(target=pull.until_exhausted, name=f"source-{pull.source.name}", daemon=True)
            for pull in self._pulls
            if pull.source.interval_s is None
        ]
        self._polled = {pull.source.name: pull for pull in self._pulls if pull.source.interval_s is not None}
        self._lanes: dict[str, str] = {}
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={
                lane: ThreadPoolExecutor(max(1, min(most, len(self._polled))))
                for lane, most in (("default", pollers), ("slow", SLOW_POLLERS))
            },
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )

    def start(self) -> None:
        """Start; first polls are spread over a short while."""
        for index, pull in enumerate(self._polled.values()):
            interval_s = pull.source.interval_s or 0.0
            first = datetime.now(UTC) + timedelta(seconds=min(interval_s, index * _SPREAD_S * random.uniform(0.5, 1.5)))
            self._scheduler.add_job(
                self._poll,
                "interval",
                args=[pull],
                id=pull.source.name,
                seconds=interval_s,
                jitter=interval_s * JITTER,
                next_run_time=first,
            )
        if self._polled:
            self._scheduler.add_listener(self._skipped, EVENT_JOB_MAX_INSTANCES)
            self._scheduler.start()
        for thread in self._threads:
            thread.start()

    def add(self, source: Source) -> None:
        """Drain one more run-once source, from now on."""
        pull = Pull(source, self._intake, self._load_cursor, self._backoff, self._stopping)
        thread = Thread(target=pull.until_exhausted, name=f"source-{pull.health.name}", daemon=True)
        self._pulls.append(pull)
        self._threads.append(thread)
        thread.start()

    def stop(self, timeout: float) -> None:
        """Tell all sources to stop and wait up to `timeout` seconds. A page in flight is committed or left undone."""
        deadline = monotonic() + timeout
        self._stopping.set()
        for pull in self._pulls:
            pull.source.close()
        if self._scheduler.running:
            self._scheduler.remove_all_jobs()
            self._scheduler.shutdown(wait=False)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - monotonic()))
        while any(pull.health.state == "running" for pull in self._polled.values()) and monotonic() < deadline:
            Event().wait(0.02)

    def done(self) -> bool:
        """Whether every source is exhausted or failed. Polling and push sources go on for ever."""
        return all(pull.health.state in ("exhausted", "failed") for pull in self._pulls)

    def health(self) -> list[Health]:
        """How each source is doing, in the order of the settings."""
        return [pull.health for pull in self._pulls]

    def replaying(self) -> list[str]:
        """Names of the sources that still bring their own, simulated time. One that is only stopped will go on later:
        until then its time stands still.
        """
        done = ("exhausted", "failed")
        return [pull.source.name for pull in self._pulls if pull.source.replays and pull.health.state not in done]

    def _poll(self, pull: Pull) -> None:
        if self._stopping.is_set():
            return
        wait_s = pull.poll()
        try:
            if pull.health.state == "failed":
                self._scheduler.remove_job(pull.source.name)
                return
            if pull.is_slow != (self._lanes.get(pull.source.name) == "slow"):
                self._lanes[pull.source.name] = lane = "slow" if pull.is_slow else "default"
                self._scheduler.modify_job(pull.source.name, executor=lane)
            if wait_s is not None:
                again = datetime.now(UTC) + timedelta(seconds=wait_s)
                self._scheduler.modify_job(pull.source.name, next_run_time=again)
        except JobLookupError:
            return  # stopped meanwhile

    def _skipped(self, event: JobSubmissionEvent) -> None:
        self._polled[event.job_id].skip()
